internal import CSQLite
internal import Qudo
internal import QudoSQLSupport

/// A `sqlite3 *` with its statements, used by one thread at a time: by ``Writer``, by ``Reader``, or, if it is borrowed,
/// by the application.
final class Connection {
  let handle: OpaquePointer
  private let isBorrowed: Bool
  /// The facts about the file that the connection caches.
  let cache: ConnectionCache
  /// The ready jobs that claims have read.
  var readyLists: ReadyLists { cache.readyLists }
  /// The number of waiting jobs of some kinds.
  var waitingCounts: WaitingCounts { cache.waitingCounts }
  /// Facts about the file that save small commits the statements that usually find nothing.
  var hints: FileHints {
    _read { yield cache.hints }
    _modify { yield &cache.hints }
  }
  /// Prepared statements by their text.
  private var statements: [String: Statement] = [:]
  /// The same statements by the addresses of literals, which are faster to look up.
  private let literals: LiteralStatements
  private var walPageCount: UnsafeMutablePointer<Int32>?
  /// The key at which the next check for expired receipts begins; nil before the first check.
  var receiptCursor: [UInt8]?
  /// The time at which an idle worker last checked receipts, since boot.
  var receiptsSeen: Int64?
  /// The sizes of the logs, for pruning.
  var (failureLogSize, statusLogSize) = (LogSize(), LogSize())

  /// - Parameters:
  ///   - parameters: URI parameters, such as `immutable=1`; nil for none.
  ///   - vfs: The name of the SQLite VFS; nil for the default.
  init(path: String, create: Bool, readOnly: Bool = false, parameters: String? = nil, vfs: String? = nil)
    throws(QudoError)
  {
    var handle: OpaquePointer?
    let name = parameters.map { "\(Self.uri(path))?\($0)" } ?? path
    let mode = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0)
    // "The database filename is not allowed to contain a symbolic link": ``DatabasePath`` has resolved the allowed ones.
    // "The database is opened with shared cache disabled, overriding the default shared cache setting provided by
    // sqlite3_enable_shared_cache()": an application may have called that.
    let flags =
      mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE
      | (parameters == nil ? 0 : SQLITE_OPEN_URI)
    let code = sqlite3_open_v2(name, &handle, flags, vfs)
    guard let handle else {
      throw QudoError(.outOfMemory, "out of memory while opening \(path): try again later")
    }
    guard code == SQLITE_OK else {
      let error = QudoError.sqlite(code, handle)
      sqlite3_close_v2(handle)
      throw error
    }
    self.handle = handle
    isBorrowed = false
    literals = LiteralStatements(isSmall: false)
    cache = ConnectionCache(handle)
  }

  /// Borrows an application's handle for a single call: the handle gets no hook and stays open.
  init(borrowing handle: OpaquePointer) {
    self.handle = handle
    isBorrowed = true
    literals = LiteralStatements(isSmall: true)
    cache = ConnectionCache()
  }

  deinit {
    finalizeStatements()
    guard !isBorrowed else { return }
    cache.detach(handle)
    sqlite3_close_v2(handle)
    walPageCount?.deallocate()
  }

  /// Returns a file URI, with "%HH" for each byte that may have a meaning in a URI.
  private static func uri(_ path: String) -> String {
    "file:"
      + path.utf8.map { byte in
        let isPlain =
          byte == UInt8(ascii: "/") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
          || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
          || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
        return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }.joined()
  }

  func finalizeStatements() {
    for statement in statements.values { sqlite3_finalize(statement.handle) }
    statements = [:]
    literals.removeAll()
  }

  /// Drops all hints if another connection changed the file. Call it at the beginning of a transaction.
  ///
  /// "The "data version" changes whenever any change occurs to the corresponding database file, either through SQL statements
  /// on the same database connection or through transactions committed by separate database connections possibly in other
  /// processes": sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
  ///
  /// - Returns: Whether the file was changed.
  func invalidateIfChanged() -> Bool {
    let version = dataVersion
    guard version == nil || version != hints.version else { return false }
    cache.invalidate()
    hints.version = version
    return true
  }

  /// Updates the hints after a commit on this connection.
  func noteCommit() {
    hints.version = dataVersion
    if let highest = hints.highestID { highestCommitted = highest }
    if let new = hints.instance { (committedInstance, hints.instance) = (new, nil) }
  }

  /// The id of this driver's row in `qudo_instance`; nil before its first claim.
  var instance: Int64? { hints.instance ?? committedInstance }
  private var committedInstance: Int64?

  /// The highest job id that this connection has ever seen committed. It survives dropped hints: without a restore, the
  /// highest id of a file never falls.
  private(set) var highestCommitted: Int64 = 0

  /// Whether the file was moved, replaced or deleted since it was opened.
  ///
  /// "SQLITE_FCNTL_HAS_MOVED … true if the file has been renamed, moved, or deleted since it was first opened":
  /// sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
  var hasMoved: Bool {
    var hasMoved: Int32 = 0
    return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved) == SQLITE_OK
      && hasMoved != 0
  }

  var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }

  private var dataVersion: UInt32? {
    var version: UInt32 = 0
    return sqlite3_file_control(handle, "main", SQLITE_FCNTL_DATA_VERSION, &version) == SQLITE_OK
      ? version : nil
  }

  /// Rolls back the open transaction, if any. After some errors SQLite has already done so.
  ///
  /// ``prepareToRollBack()`` prepares the statement in advance, because memory may have run out by then. If the rollback
  /// still fails, the next transaction begins with it.
  func endTransaction() throws(QudoError) {
    guard sqlite3_get_autocommit(handle) == 0 else { return }
    try run("ROLLBACK")
  }

  func prepareToRollBack() throws(QudoError) { _ = try statement("ROLLBACK" as StaticString) }

  /// The number of pages in the WAL; 0 before ``countWALPages()``.
  var walPages: Int32 {
    get { walPageCount?.pointee ?? 0 }
    set { walPageCount?.pointee = newValue }
  }

  /// Lets SQLite update ``walPages`` after each commit. The counter outlives the connection's handle.
  func countWALPages() {
    let count = walPageCount ?? .allocate(capacity: 1)
    count.initialize(to: 0)
    walPageCount = count
    sqlite3_wal_hook(
      handle,
      { context, _, _, pages in
        context?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, count)
  }

  /// The size of the WAL file in bytes, its unused part included; nil if unknown.
  var walBytes: Int64? {
    var size: Int64 = 0
    guard let (wal, methods) = walFile, let ask = methods.xFileSize, ask(wal, &size) == SQLITE_OK else {
      return nil
    }
    return size
  }

  /// The size of the database file in bytes; nil if unknown.
  var fileSize: Int? {
    var file: UnsafeMutablePointer<sqlite3_file>?
    var size: Int64 = 0
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK, let file,
      let ask = file.pointee.pMethods?.pointee.xFileSize, ask(file, &size) == SQLITE_OK
    else { return nil }
    return Int(size)
  }

  /// Syncs the WAL, other connections' writes included.
  func syncWAL() throws(QudoError) {
    guard let (wal, methods) = walFile, let sync = methods.xSync else { return }
    // As SQLite itself does with `PRAGMA fullfsync`: "SQLITE_SYNC_FULL means to use Mac OS X style fullsync instead of fsync()".
    let code = sync(wal, SQLITE_SYNC_FULL)
    guard code == SQLITE_OK else {
      throw QudoError(
        .ioError, "the disk reported an error: check it, then try again",
        cause: SQLiteError(code: code, message: "the WAL could not be synced"))
    }
  }

  private var walFile: (UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods)? {
    var wal: UnsafeMutablePointer<sqlite3_file>?
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK, let wal,
      let methods = wal.pointee.pMethods
    else { return nil }
    return (wal, methods.pointee)
  }

  /// Whether SQLite pads the WAL, so that a full disk may stop it after a complete commit was written.
  var padsWAL: Bool {
    var isPowersafe: Int32 = -1
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_POWERSAFE_OVERWRITE, &isPowersafe) == SQLITE_OK
    else { return true }
    return isPowersafe == 0
  }

  /// The file's absolute path with symbolic links resolved, from which SQLite derives the `-wal` and `-shm` paths.
  var path: String { sqlite3_db_filename(handle, "main").map { String(cString: $0) } ?? "" }

  /// The texts of all cached statements, sorted.
  var preparedSQL: [String] { statements.keys.sorted() }

  func execute(_ sql: String) throws(QudoError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw .sqlite(code, handle) }
  }

  /// Returns the statement for this text, which is prepared once and cached.
  func statement(_ sql: String) throws(QudoError) -> Statement {
    if let statement = statements[sql] { return statement }
    var handle: OpaquePointer?
    // "a hint to the query planner that the prepared statement will be retained for a long time"
    let flags = isBorrowed ? 0 : UInt32(SQLITE_PREPARE_PERSISTENT)
    let code = sqlite3_prepare_v3(self.handle, sql, -1, flags, &handle, nil)
    guard code == SQLITE_OK, let handle else { throw .sqlite(code, self.handle) }
    let statement = Statement(handle: handle, database: self.handle)
    statements[sql] = statement
    return statement
  }

  @inline(__always)
  func statement(_ sql: StaticString) throws(QudoError) -> Statement {
    if let statement = literals.statement(sql.utf8Start) { return statement }
    return try prepare(sql)
  }

  @inline(never)
  private func prepare(_ literal: StaticString) throws(QudoError) -> Statement {
    let statement = try statement("\(literal)")
    literals.insert(statement, for: literal.utf8Start)
    return statement
  }

  @inline(__always)
  func run(_ sql: StaticString, _ values: Value...) throws(QudoError) {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() {}
  }

  /// Returns the first column of the first row, or nil if there is no row or the value is NULL.
  ///
  /// - Throws: ``QudoError/Code/corrupt`` for text and blobs, which SQLite orders after all numbers.
  @inline(__always)
  func integer(_ sql: StaticString, _ values: Value...) throws(QudoError) -> Int64? {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    guard try statement.step() else { return nil }
    return try statement.number(0)
  }

  /// Calls `body` for each row.
  @inline(__always)
  func each(_ sql: StaticString, _ values: Value..., body: (Statement) throws(QudoError) -> Void)
    throws(QudoError)
  {
    try each(try statement(sql), values, body)
  }

  // For SQL that is composed at run time:

  func run(_ sql: String, values: [Value]) throws(QudoError) {
    try each(try statement(sql), values) { _ in }
  }

  func integer(_ sql: String, values: [Value]) throws(QudoError) -> Int64? {
    var found: Int64?
    try each(try statement(sql), values) { row throws(QudoError) in
      if found == nil { found = try row.number(0) }
    }
    return found
  }

  func each(_ sql: String, values: [Value], body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try each(try statement(sql), values, body)
  }

  @inline(__always)
  func each(_ sql: StaticString, _ values: [Value], body: (Statement) throws(QudoError) -> Void)
    throws(QudoError)
  {
    try each(try statement(sql), values, body)
  }

  @inline(__always)
  private func each(_ statement: Statement, _ values: [Value], _ body: (Statement) throws(QudoError) -> Void)
    throws(QudoError)
  {
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() { try body(statement) }
  }

  var changes: Int { Int(sqlite3_changes(handle)) }
}
