internal import CSQLite
internal import Qudo

/// A `sqlite3 *` with its statements, used by one thread at a time: by the holder of ``Writer``'s lock, or ``Reader``'s;
/// or a borrowed one, by whom it belongs to.
final class Connection {
  let handle: OpaquePointer
  private let isBorrowed: Bool
  /// The numbers of the kinds that this connection has met.
  let kinds: ConnectionCache
  /// What claims have read of the ready jobs.
  var ready: ReadyLists { kinds.ready }
  /// What else it knows.
  var hints: FileHints {
    get { kinds.hints }
    _modify { yield &kinds.hints }
  }
  /// By their text; and for those whose text is a literal by where it lies, which is found faster.
  private var statements: [String: Statement] = [:]
  private var literals: [UnsafePointer<UInt8>: Statement] = [:]
  private var walPageCount: UnsafeMutablePointer<Int32>?
  /// Where the next look at old receipts begins; nil before the first.
  var receiptCursor: [UInt8]?
  /// When an idle worker last looked at some, by the clock since boot.
  var receiptsSeen: Int64?

  /// - Parameters:
  ///   - parameters: of a URI, as `immutable=1`; nil for none.
  ///   - vfs: the name of what SQLite reaches the disk by; nil for its own way.
  init(path: String, create: Bool, readOnly: Bool = false, parameters: String? = nil, vfs: String? = nil) throws(QudoError) {
    var handle: OpaquePointer?
    let name = parameters.map { "\(Self.uri(path))?\($0)" } ?? path
    let mode = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0)
    // "The database filename is not allowed to contain a symbolic link": ``DatabasePath`` has followed those that may be followed.
    // "The database is opened with shared cache disabled, overriding the default shared cache setting provided by
    // sqlite3_enable_shared_cache()": an application may have called that.
    let flags = mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE
      | (parameters == nil ? 0 : SQLITE_OPEN_URI)
    let code = sqlite3_open_v2(name, &handle, flags, vfs)
    guard let handle else { throw QudoError(.outOfMemory, "no memory to open \(path)") }
    guard code == SQLITE_OK else {
      let error = QudoError.sqlite(code, handle)
      sqlite3_close_v2(handle)
      throw error
    }
    self.handle = handle
    isBorrowed = false
    kinds = ConnectionCache(handle)
  }

  /// For a single call on a handle that is not Qudo's: it gets no hook and stays open.
  init(borrowing handle: OpaquePointer) {
    self.handle = handle
    isBorrowed = true
    kinds = ConnectionCache()
  }

  deinit {
    finalizeStatements()
    guard !isBorrowed else { return }
    kinds.detach(handle)
    sqlite3_close_v2(handle)
    walPageCount?.deallocate()
  }

  /// "%HH" for each byte that may mean something in a URI.
  private static func uri(_ path: String) -> String {
    "file:" + path.utf8.map { byte in
      let isPlain = byte == UInt8(ascii: "/") || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
        || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
      return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }

  func finalizeStatements() {
    for statement in statements.values { sqlite3_finalize(statement.handle) }
    statements = [:]
    literals = [:]
  }

  /// At the beginning of a transaction: what is known of the file is forgotten if somebody else has changed it.
  ///
  /// "The "data version" changes whenever any change occurs to the corresponding database file, either through SQL statements
  /// on the same database connection or through transactions committed by separate database connections possibly in other
  /// processes": sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
  ///
  /// - Returns: whether it was.
  func invalidateIfChanged() -> Bool {
    let version = dataVersion
    guard version == nil || version != hints.version else { return false }
    kinds.invalidate()
    hints.version = version
    return true
  }

  /// After a commit of its own.
  func noteCommit() {
    hints.version = dataVersion
    if let highest = hints.highestID { highestCommitted = highest }
    if let new = hints.instance { (committedInstance, hints.instance) = (new, nil) }
  }

  /// The number of this driver among the instances that hold leases; nil before its first claim.
  var instance: Int64? { hints.instance ?? committedInstance }
  private var committedInstance: Int64?

  /// The highest id that this connection has ever known to be given. It outlives what is remembered: in one history of a file it
  /// never falls.
  private(set) var highestCommitted: Int64 = 0

  /// Whether another file, or none, is now where this one was opened.
  ///
  /// "SQLITE_FCNTL_HAS_MOVED … true if the file has been renamed, moved, or deleted since it was first opened":
  /// sqlite.org/c3ref/c_fcntl_begin_atomic_write.html.
  var hasMoved: Bool {
    var hasMoved: Int32 = 0
    return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved) == SQLITE_OK && hasMoved != 0
  }

  var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(handle) }

  private var dataVersion: UInt32? {
    var version: UInt32 = 0
    return sqlite3_file_control(handle, "main", SQLITE_FCNTL_DATA_VERSION, &version) == SQLITE_OK ? version : nil
  }

  /// Rolls back what is open. SQLite has done so by itself after some errors; then there is nothing to do.
  ///
  /// Its statement is prepared by ``prepareToRollBack()``, since there may be no memory left to do it with. Should it fail all the
  /// same, the next transaction begins with it.
  func endTransaction() throws(QudoError) {
    guard sqlite3_get_autocommit(handle) == 0 else { return }
    try run("ROLLBACK")
  }

  func prepareToRollBack() throws(QudoError) { _ = try statement("ROLLBACK" as StaticString) }

  /// How many pages the WAL has, once they are counted.
  var walPages: Int32 {
    get { walPageCount?.pointee ?? 0 }
    set { walPageCount?.pointee = newValue }
  }

  /// From now on SQLite tells after each commit. It outlives the connection's handle.
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

  /// The size of the WAL file, in bytes, whatever of it is in use; nil if that cannot be told.
  var walBytes: Int64? {
    var size: Int64 = 0
    guard let (wal, methods) = walFile, let ask = methods.xFileSize, ask(wal, &size) == SQLITE_OK else { return nil }
    return size
  }

  /// Brings to the disk what others have written to the WAL.
  func syncWAL() throws(QudoError) {
    guard let (wal, methods) = walFile, let sync = methods.xSync else { return }
    // As SQLite itself does with `PRAGMA fullfsync`: "SQLITE_SYNC_FULL means to use Mac OS X style fullsync instead of fsync()".
    let code = sync(wal, SQLITE_SYNC_FULL)
    guard code == SQLITE_OK else {
      throw QudoError(.ioError, "the disk reported an error", cause: SQLiteError(code: code, message: "the WAL could not be synced"))
    }
  }

  private var walFile: (UnsafeMutablePointer<sqlite3_file>, sqlite3_io_methods)? {
    var wal: UnsafeMutablePointer<sqlite3_file>?
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK, let wal, let methods = wal.pointee.pMethods
    else { return nil }
    return (wal, methods.pointee)
  }

  /// Whether a full disk may stop SQLite after the whole of a commit has been written: where it pads the WAL.
  var padsWAL: Bool {
    var isPowersafe: Int32 = -1
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_POWERSAFE_OVERWRITE, &isPowersafe) == SQLITE_OK else { return true }
    return isPowersafe == 0
  }

  /// Where the file is, absolute and with symbolic links followed, as SQLite names the files beside it.
  var path: String { sqlite3_db_filename(handle, "main").map { String(cString: $0) } ?? "" }

  /// What has been prepared and kept.
  var preparedSQL: [String] { statements.keys.sorted() }

  func execute(_ sql: String) throws(QudoError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw .sqlite(code, handle) }
  }

  /// The statement for this text, prepared once and kept.
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
    if let statement = literals[sql.utf8Start] { return statement }
    let statement = try statement("\(sql)")
    literals[sql.utf8Start] = statement
    return statement
  }

  @inline(__always)
  func run(_ sql: StaticString, _ values: Value...) throws(QudoError) {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() {}
  }

  /// The first column of the first row, or nil where there is no row or it is NULL.
  ///
  /// - Throws: ``QudoError/Code/corrupt`` for a text or a blob, which SQLite compares as larger than all numbers.
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
  func each(_ sql: StaticString, _ values: Value..., body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try each(try statement(sql), values, body)
  }

  // For texts that are put together:

  func run(_ sql: String, values: [Value]) throws(QudoError) {
    try each(try statement(sql), values) { _ in }
  }

  func integer(_ sql: String, values: [Value]) throws(QudoError) -> Int64? {
    var found: Int64?
    try each(try statement(sql), values) { row throws(QudoError) in if found == nil { found = try row.number(0) } }
    return found
  }

  func each(_ sql: String, values: [Value], body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try each(try statement(sql), values, body)
  }

  @inline(__always)
  func each(_ sql: StaticString, _ values: [Value], body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try each(try statement(sql), values, body)
  }

  @inline(__always)
  private func each(_ statement: Statement, _ values: [Value], _ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() { try body(statement) }
  }

  var changes: Int { Int(sqlite3_changes(handle)) }
}
