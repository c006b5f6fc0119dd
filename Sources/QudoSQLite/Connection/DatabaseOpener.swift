internal import CSQLite
internal import Logging
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The steps from a path to a connection to a file with this version's schema.
enum DatabaseOpener {
  /// Returns the file name without extensions: "qudo" for "/var/lib/qudo.db".
  static func stem(_ path: String) -> String {
    let last = path.split(separator: "/").last ?? "qudo"
    return String(last.split(separator: ".", omittingEmptySubsequences: true).first ?? "qudo")
  }

  /// - Parameters:
  ///   - timeout: How long each step waits for other processes.
  ///   - vfs: The SQLite VFS, as in ``Connection``.
  static func open(
    path: String, durability: SQLiteDriver.Durability, create: Bool, limits: Limits = Limits(),
    timeout: Duration = .seconds(30),
    logger: Logger = Logger(label: "qudo"), vfs: String? = nil
  ) throws(QudoError) -> Connection {
    guard sqlite3_libversion_number() >= 3_035_000 else {
      throw QudoError(
        .unsupportedDatabase, "SQLite \(String(cString: sqlite3_libversion())) is too old: use 3.35 or newer")
    }
    guard !path.isEmpty, path != ":memory:", !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the path is empty, \":memory:\" or contains a NUL byte: pass the path of a file")
    }
    do {
      let place = try DatabasePath(path, vfs: vfs)
      place.warn(logger)
      return try connect(
        place, durability: durability, create: create, limits: limits, timeout: timeout, logger: logger,
        vfs: vfs)
    } catch  where error.code == .database {
      // The statements up to here are simple, so SQLite cannot read the file's format or its schema's text.
      throw QudoError(
        .unsupportedDatabase,
        "\(path): SQLite cannot read the file: it is damaged, or written by a newer SQLite",
        cause: error.cause)
    } catch {
      throw error.prefixed(path)
    }
  }

  private static func connect(
    _ place: DatabasePath, durability: SQLiteDriver.Durability, create: Bool, limits: Limits,
    timeout: Duration, logger: Logger, vfs: String?
  ) throws(QudoError) -> Connection {
    try FileSystem.check(place.path, logger)
    let isMadeBySQLite = create ? try place.makeFile() : false
    let connection = try Connection(path: place.path, create: create, vfs: vfs)
    if isMadeBySQLite { place.closeToOthers(logger) }
    try place.check(connection)
    // "for reading and writing if possible, or reading only if the file is write protected": sqlite.org/c3ref/open.html.
    guard sqlite3_db_readonly(connection.handle, "main") == 0 else {
      throw QudoError(
        .readOnly,
        "the file cannot be written to: check its permissions, and that its disk is not mounted read-only")
    }
    connection.waitForOthers(timeout)
    try connection.harden(limits)
    // 2 KiB pages halve what a commit of one job writes. The setting takes effect only in a new file.
    try connection.run("PRAGMA page_size = 2048")
    try connection.requireWAL(within: timeout)
    // The first read creates the -wal, which carries the write lock.
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    // Check again what SQLite opened: another user may have put it there since the first check.
    try place.check(connection)
    // "In WAL mode with synchronous=NORMAL a transaction committed might roll back following a power loss."
    try connection.execute("PRAGMA synchronous = \(durability.rawValue)")
    try connection.run("PRAGMA fullfsync = 1")
    // Only the writer checkpoints, under the write lock.
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    // The WAL grows during a long-running read transaction, and only then reaches this limit. "Each time a transaction
    // is committed or a WAL file resets, SQLite compares the size of the ... WAL file left in the file-system to the size
    // limit set by this pragma and if the ... WAL file is larger it is truncated to the limit."
    try connection.run("PRAGMA journal_size_limit = 67108864")
    try connection.prepareToRollBack()
    return connection
  }

  /// Opens a read connection to a file that a writer has open.
  static func reader(path: String, limits: Limits, timeout: Duration, vfs: String? = nil) throws(QudoError)
    -> Connection
  {
    let connection = try Connection(path: path, create: false, vfs: vfs)
    connection.waitForOthers(timeout)
    try connection.harden(limits)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    // If this connection closes last, it runs the last checkpoint. "If the fullfsync flag is set, then the F_FULLFSYNC
    // syncing method is used for all sync operations and the checkpoint_fullfsync setting is irrelevant."
    try connection.run("PRAGMA fullfsync = 1")
    // "prevents data changes on database files": sqlite.org/pragma.html#pragma_query_only.
    try connection.run("PRAGMA query_only = 1")
    return connection
  }
}

extension Connection {
  /// "sleeps multiple times until at least "ms" milliseconds of sleeping have accumulated": sqlite.org/c3ref/busy_timeout.html.
  func waitForOthers(_ timeout: Duration) {
    sqlite3_busy_timeout(handle, Int32(clamping: timeout.wholeMicroseconds / 1000))
  }

  /// Switches an empty file to WAL mode. A file with tables keeps its journal mode, and is refused if that is not WAL.
  func requireWAL(within timeout: Duration) throws(QudoError) {
    if try journalMode() == "wal" { return }
    let tables = try integer("SELECT count(*) FROM sqlite_schema") ?? 0
    // Another process may have set up the file between the two checks. It sets WAL mode before it creates tables.
    if tables > 0, try journalMode() == "wal" { return }
    guard tables == 0 else {
      throw QudoError(
        .unsupportedDatabase, "the database is not in WAL mode: set it with PRAGMA journal_mode = WAL")
    }
    try becomeWAL(within: timeout)
    guard try journalMode() == "wal" else {
      throw QudoError(
        .unsupportedDatabase, "the file system does not let SQLite use its WAL mode: use a local disk")
    }
  }

  /// Switches to WAL mode. That needs exclusive access for a moment, for which SQLite itself does not wait.
  private func becomeWAL(within timeout: Duration) throws(QudoError) {
    let end = ContinuousClock.now + timeout
    while true {
      do {
        return try run("PRAGMA journal_mode = WAL")
      } catch  where error.code == .busy && ContinuousClock.now < end {
        usleep(1000)
      }
    }
  }

  func journalMode() throws(QudoError) -> String {
    var mode = ""
    try each("PRAGMA journal_mode") { row throws(QudoError) in mode = row.text(0) }
    return mode
  }
}
