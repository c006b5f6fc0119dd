internal import CSQLite
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// A database that a restore replaces, and that no other program can open meanwhile.
final class ReplacedFile {
  let path: String
  let status: FileStatus
  /// Nil if SQLite cannot read the file.
  let connection: Connection?
  /// Why it cannot be read.
  let damage: String?
  /// The state of a file that SQLite cannot read, which no lock protects. Nil for one that is locked.
  private let stamp: [Int]?

  /// - Parameters:
  ///   - path: The absolute path, without links.
  ///   - holds: Whether to lock the file; otherwise only to read it alongside others.
  init(_ path: String, _ status: FileStatus, limits: Limits, holds: Bool) throws(QudoError) {
    (self.path, self.status) = (path, status)
    do throws(QudoError) {
      connection = holds ? try Self.hold(path, status, limits) : try Self.read(path, limits)
      (damage, stamp) = (nil, nil)
    } catch  where Self.isDamage(error) {
      let now = FileStatus(path)
      guard !holds || now?.isSame(status) == true else { throw Self.moved(path, "locked") }
      (connection, damage, stamp) = (nil, "\(error)", now?.stamp)
    }
  }

  private static func read(_ path: String, _ limits: Limits) throws(QudoError) -> Connection {
    let connection = try DatabaseOpener.reader(path: path, limits: limits, timeout: .seconds(5))
    try connection.run("BEGIN")
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    return connection
  }

  /// The time to wait for others: a listing has the file open for a moment.
  private static let timeout = Duration.seconds(2)
  /// The time between two attempts, in microseconds.
  private static let pause = 5_000 as UInt32

  /// Locks the file, and copies its `-wal` into it.
  private static func hold(_ path: String, _ status: FileStatus, _ limits: Limits) throws(QudoError)
    -> Connection
  {
    if KernelLocks(looking: path).hasDriver { throw inUse(path) }
    // The connection of a failed attempt is closed by now: it would be one of the users.
    guard let connection = try lock(path, status, limits) else { throw inUse(path) }
    // From here on the file is complete without a -wal.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw QudoError.sqlite(code, connection.handle) }
    return connection
  }

  /// Returns a connection that locks the file. Nil if another program keeps it open.
  private static func lock(_ path: String, _ status: FileStatus, _ limits: Limits) throws(QudoError)
    -> Connection?
  {
    let connection = try Connection(path: path, create: false)
    guard sqlite3_db_readonly(connection.handle, "main") == 0 else {
      throw QudoError(.readOnly, "\(path): this user may not write to the file: run as its owner")
    }
    connection.waitForOthers(timeout)
    try connection.harden(limits)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    try connection.run("PRAGMA fullfsync = 1")
    // When it is closed, another file has its name, and other processes may have that file's -wal open.
    _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    // The attempts are this function's own: another restore that had the lock has replaced the file, and SQLite would take
    // the new file's -wal for the old one's.
    connection.waitForOthers(.zero)
    func checkUnmoved() throws(QudoError) {
      guard !connection.hasMoved, FileStatus(path)?.isSame(status) == true else {
        throw moved(path, "locked")
      }
    }
    let end = ContinuousClock.now + timeout
    while true {
      try checkUnmoved()
      var isLocked = false
      do throws(QudoError) {
        // "If the locking mode is EXCLUSIVE when first entering WAL journal mode, then [...] no -shm file", and no other
        // connection can open the file until this one is closed.
        try connection.run("PRAGMA locking_mode = EXCLUSIVE")
        try connection.run("BEGIN EXCLUSIVE")
        try connection.run("COMMIT")
        isLocked = true
      } catch  where error.code == .busy {
        guard ContinuousClock.now < end else { return nil }
      }
      if isLocked {
        try checkUnmoved()
        return connection
      }
      usleep(pause)
    }
  }

  /// Checks that the file is not the database of another program. One without tables, or that cannot be read, may be replaced.
  func checkIsQueue() throws(QudoError) {
    let isForeign = try read { connection throws(QudoError) in
      guard try SchemaCheck(connection).isEmpty else { return false }
      return try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0 > 0
    }
    guard isForeign == true else { return }
    throw QudoError(
      .unsupportedDatabase,
      "\(path) is a database without Qudo tables: remove it first, or choose another path")
  }

  /// The highest job id of the file; 0 if it cannot be read. A damaged file may have a number that leaves no ids.
  func highestID() throws(QudoError) -> Int64 {
    let id = try read { connection throws(QudoError) in try connection.infoTable.highestID() } ?? 0
    return id < 1 << 62 ? id : 0
  }

  /// Returns nil if the file cannot be read, or is too damaged. Any other error may pass, and says nothing of the file.
  private func read<Value>(_ body: (Connection) throws(QudoError) -> Value) throws(QudoError) -> Value? {
    guard let connection else { return nil }
    do throws(QudoError) {
      return try body(connection)
    } catch  where Self.isDamage(error) {
      return nil
    }
  }

  private static func isDamage(_ error: QudoError) -> Bool {
    [.notADatabase, .corrupt, .database, .unsupportedDatabase, .foreignSchema, .newerSchema].contains(
      error.code)
  }

  /// - Parameter what: What the restore did to the path meanwhile.
  private static func moved(_ path: String, _ what: String) -> QudoError {
    QudoError(
      .busy, "\(path) was replaced while it was being \(what), and nothing was changed: restore again")
  }

  /// Checks that the path still leads to the file.
  func checkUnmoved() throws(QudoError) {
    let now = FileStatus(path)
    // The number of a file that is neither locked nor open may be another file's by now.
    guard now?.isSame(status) == true, stamp == nil || now?.stamp == stamp else {
      throw Self.moved(path, "restored")
    }
  }

  private static func inUse(_ path: String) -> QudoError {
    let users = DatabaseUsers.of(path)
    return QudoError(
      .busy,
      "\(path) is in use by \(users.isEmpty ? "another program" : users.joined(separator: ", ")), and nothing was changed: stop it, then restore again"
    )
  }

  /// Removes the files next to the database, which are not needed any more. The next file of the name must not meet
  /// them: SQLite would take a `-wal` for its own.
  func removeBeside() throws(QudoError) {
    try checkUnmoved()
    for ending in ["-wal", "-shm", "-journal"] where unlink(path + ending) != 0 && errno != ENOENT {
      throw .file(errno, "cannot remove \(path)\(ending)")
    }
    // A power failure must not bring a -wal back next to the new file.
    try FileSystem.syncFolder(of: path)
  }
}
