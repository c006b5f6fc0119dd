internal import CSQLite
package import Foundation
package import Qudo
package import QudoSQLite

/// A database in a separate folder, which is removed with the value.
package final class TemporaryFile: Sendable {
  package let folder: URL
  package let path: String

  package init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-test-\(UUID().uuidString)")
    path = folder.appendingPathComponent("jobs.db").path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  package func open(clock: any QueueClock = SystemClock(), limits: Limits = Limits()) throws -> SQLiteDriver {
    try SQLiteDriver(path: path, durability: .normal, limits: limits, clock: clock)
  }

  /// Runs SQL on a connection that is not Qudo's.
  package func execute(_ sql: String) throws { _ = try rows(sql) }

  /// The rows of the last statement, as the shell shows them.
  ///
  /// - Parameter milliseconds: How long it waits for others that hold a lock.
  package func rows(_ sql: String, waiting milliseconds: Int32 = 0) throws -> [String] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw FailedStatement(sql: sql, handle) }
    sqlite3_busy_timeout(handle, milliseconds)
    let rows = NSMutableArray()
    let code = sqlite3_exec(
      handle, sql,
      { rows, count, values, _ in
        let row = (0..<Int(count)).map { values?[$0].map { String(cString: $0) } ?? "" }
        rows.map {
          Unmanaged<NSMutableArray>.fromOpaque($0).takeUnretainedValue().add(row.joined(separator: "|"))
        }
        return 0
      }, Unmanaged.passUnretained(rows).toOpaque(), nil)
    guard code == SQLITE_OK else { throw FailedStatement(sql: sql, handle) }
    return rows.compactMap { $0 as? String }
  }
}

/// A statement of a test that SQLite refused.
package struct FailedStatement: Error, CustomStringConvertible {
  package let description: String

  init(sql: String, _ handle: OpaquePointer?) {
    description = "\(String(cString: sqlite3_errmsg(handle))) in \(sql)"
  }
}
