internal import CSQLite
internal import Qudo

/// Why a row of an old file cannot be imported.
struct PerlRefusal: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// The columns of a row, by name. SQLite keeps in a column whatever was put there: all is looked at as what it is.
struct PerlValues {
  let row: Statement
  let columns: [String]
  let options: ImportOptions

  private func place(_ name: String) -> Int32 { Int32(columns.firstIndex(of: name) ?? columns.count) }
  private func type(_ column: Int32) -> Int32 { sqlite3_column_type(row.handle, column) }

  func isNull(_ name: String) -> Bool { row.isNull(place(name)) }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(PerlRefusal) -> Int64 {
    let column = place(name)
    guard type(column) == SQLITE_INTEGER else { throw PerlRefusal("\(name) is no integer") }
    let value = row.integer(column)
    guard range.contains(value) else { throw PerlRefusal("\(name) is \(value), which is not from \(range.lowerBound) to \(range.upperBound)") }
    return value
  }

  /// Seconds since 1970, which need not be whole, as microseconds.
  func time(_ name: String) throws(PerlRefusal) -> Int64 {
    let column = place(name)
    let seconds: Double
    switch type(column) {
    case SQLITE_INTEGER: seconds = Double(row.integer(column))
    case SQLITE_FLOAT: seconds = sqlite3_column_double(row.handle, column)
    default: throw PerlRefusal("\(name) is no time in seconds")
    }
    let (first, last) = (Double(Timestamp.earliest.microseconds / 1_000_000), Double(Timestamp.latest.microseconds / 1_000_000))
    guard seconds >= first, seconds <= last else { throw PerlRefusal("\(name) is outside the years 1 to 9999") }
    // Exact for whole seconds: they are below 2^53.
    let whole = seconds.rounded(.down)
    return Int64(whole) * 1_000_000 + Int64(((seconds - whole) * 1_000_000).rounded())
  }

  /// As they were written, be it as text or as a blob; of a number its text. Nil for NULL.
  func bytes(_ name: String) -> [UInt8]? {
    let column = place(name)
    switch type(column) {
    case SQLITE_NULL: return nil
    case SQLITE_BLOB: return row.blob(column)
    case SQLITE_FLOAT: return Array("\(sqlite3_column_double(row.handle, column))".utf8)
    default:
      // Not `sqlite3_column_blob`, which gives the text of a UTF-16 database as it lies in the file.
      guard let start = sqlite3_column_text(row.handle, column) else { return [] }
      return Array(UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(row.handle, column))))
    }
  }

  func kind(_ name: String) throws(PerlRefusal) -> Kind {
    guard let text = try text(name, what: "kind", atMost: Limits.kindBytes) else { throw PerlRefusal("\(name) is NULL") }
    return Kind(text)
  }

  func uniqueKey() throws(PerlRefusal) -> String? { try text("uniqkey", what: "unique key", atMost: Limits.uniqueKeyBytes) }

  private func text(_ name: String, what: String, atMost limit: Int) throws(PerlRefusal) -> String? {
    guard let bytes = bytes(name) else { return nil }
    guard type(place(name)) == SQLITE_TEXT else { throw PerlRefusal("\(name) is no text") }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw PerlRefusal("\(name) is not UTF-8") }
    do { try Limits.check(what, text, atMost: limit) } catch { throw PerlRefusal("\(name): \(error.message)") }
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
