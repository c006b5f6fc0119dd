internal import Qudo
internal import QudoSQLite

/// The reason why a row of an old file cannot be imported.
struct PerlRefusal: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// Access to the columns of a row by name.
///
/// A SQLite column can hold values of any type, so each access checks the type of the value.
struct PerlValues {
  let row: ForeignRow
  let columns: [String]
  let options: ImportOptions

  private func value(_ name: String) -> ForeignValue {
    row.value(Int32(columns.firstIndex(of: name) ?? columns.count))
  }

  func isNull(_ name: String) -> Bool { if case .null = value(name) { true } else { false } }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(PerlRefusal) -> Int64 {
    guard case .integer(let value) = value(name) else { throw PerlRefusal("\(name) is not an integer") }
    guard range.contains(value) else {
      throw PerlRefusal("\(name) is \(value), outside \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// Converts seconds since 1970, with or without a fraction, to microseconds.
  func time(_ name: String) throws(PerlRefusal) -> Int64 {
    let seconds: Double
    switch value(name) {
    case .integer(let whole): seconds = Double(whole)
    case .real(let value): seconds = value
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
    switch value(name) {
    case .null: return nil
    case .blob(let bytes), .text(let bytes): return bytes
    case .real(let value): return Array("\(value)".utf8)
    case .integer(let value): return Array("\(value)".utf8)
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
    let value = value(name)
    if case .null = value { return nil }
    guard case .text(let bytes) = value else { throw PerlRefusal("\(name) is not text") }
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
