import CSQLite
import Foundation

/// Somebody who keeps all of Qudo's writers from a file, until it is killed: `TortureProcess hold-turn|hold-transaction DATABASE LOG SEED`.
/// When it has what it wants it writes `held` and the time to its log.
enum Holder {
  /// As a process of Qudo that was stopped in the middle of a transaction.
  static func turn(_ database: String, _ log: LineLog) throws -> Never {
    let file = open(database + "-wal", O_RDWR | O_CLOEXEC)
    guard file >= 0, flock(file, LOCK_EX) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    holdOn(log)
  }

  /// A program that is not Qudo's, in a transaction of which more is in the WAL already than in memory, and which is never committed.
  static func transaction(_ database: String, _ log: LineLog) throws -> Never {
    var handle: OpaquePointer?
    let sql = """
      PRAGMA busy_timeout = 60000; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 10; BEGIN EXCLUSIVE; CREATE TABLE other (x);
      INSERT INTO other WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT randomblob(4000) FROM n
      """
    guard sqlite3_open(database, &handle) == SQLITE_OK, sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK
    else {
      throw CocoaError(.fileWriteUnknown)
    }
    holdOn(log)
  }

  private static func holdOn(_ log: LineLog) -> Never {
    log.write("held \(TortureProcess.nanoseconds())\n")
    while true { pause() }
  }
}
