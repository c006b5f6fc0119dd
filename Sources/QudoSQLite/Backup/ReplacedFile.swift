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

  /// - Parameters:
  ///   - path: The absolute path, without links.
  ///   - holds: Whether to lock the file; otherwise only to read it beside others.
  init(_ path: String, _ status: FileStatus, limits: Limits, holds: Bool) throws(QudoError) {
    (self.path, self.status) = (path, status)
    do throws(QudoError) {
      connection = holds ? try Self.hold(path, limits) : try Self.read(path, limits)
      damage = nil
    } catch  where [.notADatabase, .corrupt, .database, .unsupportedDatabase].contains(error.code) {
      (connection, damage) = (nil, "\(error)")
    }
  }

  private static func read(_ path: String, _ limits: Limits) throws(QudoError) -> Connection {
    let connection = try DatabaseOpener.reader(path: path, limits: limits, patience: .seconds(5))
    try connection.run("BEGIN")
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    return connection
  }

  /// Locks the file, and copies its `-wal` into it.
  private static func hold(_ path: String, _ limits: Limits) throws(QudoError) -> Connection {
    if KernelLocks(looking: path).hasDriver { throw inUse(path) }
    let connection = try Connection(path: path, create: false)
    guard sqlite3_db_readonly(connection.handle, "main") == 0 else {
      throw QudoError(.readOnly, "\(path): this user may not write to the file: run as its owner")
    }
    // A listing has the file open for a moment.
    connection.waitForOthers(.seconds(2))
    try connection.harden(limits)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    try connection.run("PRAGMA fullfsync = 1")
    // When it is closed, another file has its name, and other processes may have that file's -wal open.
    _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    do throws(QudoError) {
      // "If the locking mode is EXCLUSIVE when first entering WAL journal mode, then [...] no -shm file", and no other
      // connection can open the file until this one is closed.
      try connection.run("PRAGMA locking_mode = EXCLUSIVE")
      try connection.run("BEGIN EXCLUSIVE")
      try connection.run("COMMIT")
    } catch {
      if error.code == .busy { throw inUse(path) }
      throw error
    }
    // From here on the file is complete without a -wal.
    let code = sqlite3_wal_checkpoint_v2(connection.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK else { throw QudoError.sqlite(code, connection.handle) }
    return connection
  }

  private static func inUse(_ path: String) -> QudoError {
    let users = DatabaseUsers.of(path)
    return QudoError(
      .busy,
      "\(path) is in use by \(users.isEmpty ? "another program" : users.joined(separator: ", ")), and nothing was changed: stop it, then restore again"
    )
  }

  /// Removes the files beside the database, which are not needed any more. The next file of the name must not meet them:
  /// SQLite would take a `-wal` for its own.
  func removeBeside() throws(QudoError) {
    for ending in ["-wal", "-shm", "-journal"] where unlink(path + ending) != 0 && errno != ENOENT {
      throw .file(errno, "cannot remove \(path)\(ending)")
    }
  }
}
