internal import CSQLite
internal import Qudo

/// A `sqlite3 *` with its statements, used by one thread at a time: by the holder of ``Writer``'s lock.
final class Connection {
  let handle: OpaquePointer
  private var statements: [String: Statement] = [:]
  private var walPageCount: UnsafeMutablePointer<Int32>?

  init(path: String, create: Bool) throws(QudoError) {
    var handle: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    let code = sqlite3_open_v2(path, &handle, flags, nil)
    guard let handle else { throw QudoError(.outOfMemory, "no memory to open \(path)") }
    guard code == SQLITE_OK else {
      let error = QudoError.sqlite(code, handle)
      sqlite3_close_v2(handle)
      throw error
    }
    self.handle = handle
  }

  deinit {
    for statement in statements.values { sqlite3_finalize(statement.handle) }
    sqlite3_close_v2(handle)
    walPageCount?.deallocate()
  }

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

  func execute(_ sql: String) throws(QudoError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw .sqlite(code, handle) }
  }

  /// The statement for this text, prepared once and kept.
  func statement(_ sql: String) throws(QudoError) -> Statement {
    if let statement = statements[sql] { return statement }
    var handle: OpaquePointer?
    // "a hint to the query planner that the prepared statement will be retained for a long time"
    let code = sqlite3_prepare_v3(self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
    guard code == SQLITE_OK, let handle else { throw .sqlite(code, self.handle) }
    let statement = Statement(handle: handle, database: self.handle)
    statements[sql] = statement
    return statement
  }

  func run(_ sql: String, _ values: Value...) throws(QudoError) {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() {}
  }

  /// The first column of the first row, or nil where there is no row or it is NULL.
  func integer(_ sql: String, _ values: Value...) throws(QudoError) -> Int64? {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    guard try statement.step(), !statement.isNull(0) else { return nil }
    return statement.integer(0)
  }

  /// Calls `body` for each row.
  func each(_ sql: String, _ values: Value..., body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    let statement = try statement(sql)
    defer { statement.reset() }
    try statement.bind(values)
    while try statement.step() { try body(statement) }
  }

  var changes: Int { Int(sqlite3_changes(handle)) }
}

enum Value {
  case integer(Int64)
  case text(String?)
  case blob([UInt8])
  case null
}

extension Value: ExpressibleByIntegerLiteral {
  init(integerLiteral value: Int64) { self = .integer(value) }
}

struct Statement {
  let handle: OpaquePointer
  let database: OpaquePointer

  func bind(_ values: [Value]) throws(QudoError) {
    for (index, value) in values.enumerated() {
      let position = Int32(index + 1)
      // SQLite copies: what is bound need not outlive the call.
      let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)  // unsafe: SQLITE_TRANSIENT is this constant
      var code = SQLITE_OK
      switch value {
      case .integer(let number): code = sqlite3_bind_int64(handle, position, number)
      case .null, .text(nil): code = sqlite3_bind_null(handle, position)
      case .text(let text?):
        var text = text
        code = text.withUTF8 { utf8 in
          utf8.withMemoryRebound(to: CChar.self) { sqlite3_bind_text(handle, position, $0.baseAddress, Int32($0.count), transient) }
        }
      case .blob(let bytes) where bytes.isEmpty: code = sqlite3_bind_zeroblob(handle, position, 0)
      case .blob(let bytes):
        code = bytes.withUnsafeBytes { sqlite3_bind_blob64(handle, position, $0.baseAddress, UInt64($0.count), transient) }
      }
      guard code == SQLITE_OK else { throw .sqlite(code, database) }
    }
  }

  /// Whether there is a row.
  func step() throws(QudoError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let code: throw .sqlite(code, database)
    }
  }

  func reset() { sqlite3_reset(handle) }
  func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
  func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

  func text(_ column: Int32) -> String {
    guard let start = sqlite3_column_text(handle, column) else { return "" }
    return String(decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))), as: UTF8.self)
  }

  func blob(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, column) else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }
}
