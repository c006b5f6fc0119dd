internal import CSQLite
internal import Qudo

/// The reason why a row of an old file cannot be imported.
struct PerlRefusal: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// Access to the columns of a row by name.
///
/// A SQLite column can hold values of any type, so each access checks the type of the value.
struct PerlValues {
  let row: Statement
  let columns: [String]
  let options: ImportOptions

  private func place(_ name: String) -> Int32 { Int32(columns.firstIndex(of: name) ?? columns.count) }
  private func type(_ column: Int32) -> Int32 { sqlite3_column_type(row.handle, column) }

  func isNull(_ name: String) -> Bool { row.isNull(place(name)) }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(PerlRefusal) -> Int64 {
    let column = place(name)
    guard type(column) == SQLITE_INTEGER else { throw PerlRefusal("\(name) is not an integer") }
    let value = row.integer(column)
    guard range.contains(value) else {
      throw PerlRefusal("\(name) is \(value), outside \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// Converts seconds since 1970, with or without a fraction, to microseconds.
  func time(_ name: String) throws(PerlRefusal) -> Int64 {
    let column = place(name)
    let seconds: Double
    switch type(column) {
    case SQLITE_INTEGER: seconds = Double(row.integer(column))
    case SQLITE_FLOAT: seconds = sqlite3_column_double(row.handle, column)
    default: throw PerlRefusal("\(name) is not a time in seconds")
    }
    let (first, last) = (
      Double(Timestamp.earliest.microseconds / 1_000_000), Double(Timestamp.latest.microseconds / 1_000_000)
    )
    guard seconds >= first, seconds <= last else {
      throw PerlRefusal("\(name) is outside the years 1 to 9999")
    }
    // Exact for whole seconds, which stay below 2^53.
    let whole = seconds.rounded(.down)
    return Int64(whole) * 1_000_000 + Int64(((seconds - whole) * 1_000_000).rounded())
  }

  /// Returns the bytes of a text or blob, or of a number's decimal text. Nil for NULL.
  func bytes(_ name: String) -> [UInt8]? {
    let column = place(name)
    switch type(column) {
    case SQLITE_NULL: return nil
    case SQLITE_BLOB: return row.blob(column)
    case SQLITE_FLOAT: return Array("\(sqlite3_column_double(row.handle, column))".utf8)
    default:
      // Not `sqlite3_column_blob`, which would return UTF-16 from a UTF-16 database.
      guard let start = sqlite3_column_text(row.handle, column) else { return [] }
      return Array(UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(row.handle, column))))
    }
  }

  func kind(_ name: String) throws(PerlRefusal) -> Kind {
    guard let text = try text(name, what: "kind", atMost: Limits.kindBytes) else {
      throw PerlRefusal("\(name) is NULL")
    }
    return Kind(text)
  }

  func uniqueKey() throws(PerlRefusal) -> String? {
    try text("uniqkey", what: "unique key", atMost: Limits.uniqueKeyBytes)
  }

  private func text(_ name: String, what: String, atMost limit: Int) throws(PerlRefusal) -> String? {
    guard let bytes = bytes(name) else { return nil }
    guard type(place(name)) == SQLITE_TEXT else { throw PerlRefusal("\(name) is not text") }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw PerlRefusal("\(name) is not UTF-8")
    }
    do { try Limits.check(what, text, atMost: limit) } catch {
      throw PerlRefusal("\(name): \(error.message)")
    }
    return text
  }

  func payload() throws(PerlRefusal) -> Payload {
    guard let bytes = bytes("arg") else { return Payload([]) }
    guard bytes.count <= options.limits.payloadBytes else {
      throw PerlRefusal("arg has \(bytes.count) bytes, the limit is \(options.limits.payloadBytes)")
    }
    try PerlArgument.check(bytes, options.codec)
    return Payload(bytes, codec: options.codec)
  }
}
