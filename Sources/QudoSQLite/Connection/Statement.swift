internal import CSQLite
internal import Qudo

/// A value to bind to a statement's parameter.
enum Value {
  case integer(Int64)
  case text(String?)
  case blob([UInt8])
  case null
}

extension Value: ExpressibleByIntegerLiteral {
  init(integerLiteral value: Int64) { self = .integer(value) }
}

/// A prepared statement, and, while it is stepped, its current row.
struct Statement {
  let handle: OpaquePointer
  let database: OpaquePointer

  @inline(__always)
  func bind(_ values: [Value]) throws(QudoError) {
    var position: Int32 = 0
    for value in values {
      position += 1
      let code = bind(value, position)
      guard code == SQLITE_OK else { throw .sqlite(code, database) }
    }
  }

  /// - Parameter position: The parameter's position, starting at 1.
  @inline(__always)
  func bind(_ value: Value, at position: Int32) throws(QudoError) {
    let code = bind(value, position)
    guard code == SQLITE_OK else { throw .sqlite(code, database) }
  }

  @inline(__always)
  private func bind(_ value: Value, _ position: Int32) -> Int32 {
    switch value {
    case .integer(let number): sqlite3_bind_int64(handle, position, number)
    case .null, .text(nil): sqlite3_bind_null(handle, position)
    case .text(let text?): bind(text, position)
    case .blob(let bytes): bind(bytes, position)
    }
  }

  // SQLite copies the value, so it need not outlive the call.
  private static var transient: sqlite3_destructor_type {
    unsafeBitCast(-1, to: sqlite3_destructor_type.self)  // unsafe: SQLITE_TRANSIENT is this constant
  }

  private func bind(_ text: String, _ position: Int32) -> Int32 {
    var text = text
    return text.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) {
        sqlite3_bind_text64(
          handle, position, $0.baseAddress, UInt64($0.count), Self.transient, UInt8(SQLITE_UTF8))
      }
    }
  }

  private func bind(_ bytes: [UInt8], _ position: Int32) -> Int32 {
    guard !bytes.isEmpty else { return sqlite3_bind_zeroblob(handle, position, 0) }
    return bytes.withUnsafeBytes {
      sqlite3_bind_blob64(handle, position, $0.baseAddress, UInt64($0.count), Self.transient)
    }
  }

  /// Steps the statement. Returns whether there is a row.
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

  /// Returns a number, or nil for NULL. Throws ``QudoError/Code/corrupt`` for text and blobs.
  @inline(__always)
  func number(_ column: Int32) throws(QudoError) -> Int64? {
    switch sqlite3_column_type(handle, column) {
    case SQLITE_NULL: return nil
    case SQLITE_INTEGER, SQLITE_FLOAT: return integer(column)
    default:
      throw QudoError(
        .corrupt, "a value is not a number: the file is damaged, or another program modified it")
    }
  }

  func text(_ column: Int32) -> String {
    guard let start = sqlite3_column_text(handle, column) else { return "" }
    return String(
      decoding: UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))),
      as: UTF8.self)
  }

  func blob(_ column: Int32) -> [UInt8] {
    guard let start = sqlite3_column_blob(handle, column) else { return [] }
    return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
  }
}
