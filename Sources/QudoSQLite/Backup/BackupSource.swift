internal import CSQLite
internal import Logging
internal import Qudo

/// A database in a read transaction that a backup copies. It changes nothing, and migrates nothing.
struct BackupSource {
  let connection: Connection
  let place: DatabasePath
  /// The state of a file that is read without locks, because nobody writes to it.
  private let stamp: [Int]?

  /// Opens the file and begins to read.
  init(_ path: String, limits: Limits, timeout: Duration, logger: Logger) throws(QudoError) {
    guard !path.isEmpty, path != ":memory:", !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the path is empty, \":memory:\" or contains a NUL byte: pass the path of a file")
    }
    do throws(QudoError) {
      place = try DatabasePath(path)
      try FileSystem.check(place.path, logger)
      (connection, stamp) = try Self.open(place)
      connection.waitForOthers(timeout)
      try connection.harden(limits)
      try connection.run("PRAGMA wal_autocheckpoint = 0")
      try connection.run("PRAGMA fullfsync = 1")
      try connection.run("PRAGMA query_only = 1")
    } catch {
      throw QudoError(error.code, "\(path): \(error.message)", cause: error.cause)
    }
  }

  private static func open(_ place: DatabasePath) throws(QudoError) -> (Connection, [Int]?) {
    do throws(QudoError) {
      let connection = try Connection(path: place.path, create: false)
      // Reading makes the -wal and the -shm, which must belong to someone who may write to the file.
      if sqlite3_db_readonly(connection.handle, "main") == 0 { return (connection, nil) }
    } catch  where error.code == .readOnly || error.code == .cannotOpen && FileStatus(place.path) != nil {
      // As a reader below.
    }
    let stamp = FileStatus(place.path)?.stamp
    let isAlone = FileStatus(place.path + "-wal") == nil && FileStatus(place.path + "-journal") == nil
    do throws(QudoError) {
      let connection = try Connection(
        path: place.path, create: false, readOnly: true,
        parameters: isAlone ? "immutable=1" : "readonly_shm=1")
      return (connection, isAlone ? stamp : nil)
    } catch  where FileStatus(place.path) != nil {
      throw QudoError(
        error.code, "the file cannot be read: run as its owner, or give its group access to it (chmod 660)",
        cause: error.cause)
    }
  }

  /// Begins the read transaction.
  func begin() throws(QudoError) {
    do throws(QudoError) {
      try connection.run("BEGIN")
      // The first read takes the snapshot.
      _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
      try place.check(connection)
    } catch {
      throw error.naming(place.path)
    }
  }

  /// The size of what the WAL holds, in bytes. The file may be larger: it keeps the size that it once had.
  var walSize: Int64 {
    // A file that nobody writes to is read without an index.
    guard stamp == nil, let index = WALIndex(connection) else { return 0 }
    // After a complete checkpoint, the next commit writes from the beginning of the WAL.
    return index.left == 0 ? 0 : index.bytes
  }

  /// Ends the read transaction.
  func end() throws(QudoError) {
    try connection.run("COMMIT")
    guard let stamp else { return }
    guard FileStatus(place.path)?.stamp == stamp, FileStatus(place.path + "-wal") == nil else {
      throw QudoError(
        .busy, "\(place.path): another process wrote to the file, which this user may only read: try again")
    }
  }
}

extension Connection {
  /// Opens a file that nobody writes to, without locks and without a `-wal`.
  static func still(_ path: String, _ limits: Limits) throws(QudoError) -> Connection {
    let connection = try Connection(path: path, create: false, readOnly: true, parameters: "immutable=1")
    try connection.harden(limits)
    return connection
  }

  /// Checks that the file is a queue that this version can read.
  ///
  /// - Returns: The version of its schema.
  func readableSchema(_ logger: Logger) throws(QudoError) -> Int64 {
    do throws(QudoError) {
      let schema = try SchemaCheck(self)
      guard !schema.isEmpty else {
        throw QudoError(
          .unsupportedDatabase, "the file has no Qudo tables: give the path of a queue or of its backup")
      }
      try schema.checkVersions()
      guard let version = try schemaTable.version(), let lowest = try schemaTable.lowestVersion(.reading)
      else {
        throw QudoError(
          .foreignSchema, "the file has a qudo_schema table without a version: use another file")
      }
      guard lowest <= Schema.version else {
        throw QudoError(
          .newerSchema,
          "the file has schema \(version), and this Qudo knows \(Schema.version): update this program")
      }
      // Only a migration could tell whether an older one's tables are right.
      if version >= Schema.version { try schema.check(version: version, logger) }
      return version
    } catch  where error.code == .database {
      throw QudoError(
        .unsupportedDatabase, "SQLite cannot read the file: it is damaged, or written by a newer SQLite",
        cause: error.cause)
    }
  }

  /// Throws `corrupt` if SQLite finds damage.
  func checkPages() throws(QudoError) {
    // What violates an application's own constraints is part of a sound copy.
    guard let answer = try checkIntegrity(.quick).problems.first else { return }
    throw QudoError(
      .corrupt, "the file is damaged: \(answer)",
      cause: SQLiteError(code: SQLITE_CORRUPT, message: answer))
  }
}
