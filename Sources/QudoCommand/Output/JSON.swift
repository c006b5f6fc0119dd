#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo

/// A JSON value that keeps the order of its keys, unlike with `JSONEncoder`.
enum JSON {
  case null
  case bool(Bool)
  case integer(Int64)
  case text(String)
  case object([(key: String, value: JSON)])
  /// Written as Swift writes it: the shortest text that is exact.
  case double(Double)
  case array([JSON])

  /// Returns null for a value that JSON numbers cannot express.
  static func number(_ number: Double?) -> JSON {
    number.flatMap { $0.isFinite ? .double($0) : nil } ?? .null
  }

  static func text(_ text: String?) -> JSON { text.map { .text($0) } ?? .null }
  static func time(_ time: Timestamp?) -> JSON { text(time?.utc) }

  /// Returns the key `payload` with text, or `payloadBase64` if the payload is not UTF-8.
  static func payload(_ payload: Payload?) -> (key: String, value: JSON) {
    guard let payload else { return ("payload", .null) }
    if let text = String(validating: payload.bytes, as: UTF8.self) { return ("payload", .text(text)) }
    return ("payloadBase64", .text(Data(payload.bytes).base64EncodedString()))
  }
}

struct JSONWriter {
  private let encoder = JSONEncoder()
  private(set) var text = ""

  init() { encoder.outputFormatting = .withoutEscapingSlashes }

  mutating func write(_ value: JSON) throws {
    switch value {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += "\(value)"
    case .text(let value): text += String(decoding: try encoder.encode(value), as: UTF8.self)
    case .double(let value): text += "\(value)"
    case .array(let values):
      for (index, value) in values.enumerated() {
        text += index == 0 ? "[" : ",\n"
        try write(value)
      }
      text += values.isEmpty ? "[]" : "]"
    case .object(let members):
      for (index, member) in members.enumerated() {
        text += index == 0 ? "{" : ","
        try write(.text(member.key))
        text += ":"
        try write(member.value)
      }
      text += members.isEmpty ? "{}" : "}"
    }
  }

  /// Returns an array with one line per element.
  static func array(_ values: [JSON]) throws -> String {
    var writer = JSONWriter()
    try writer.write(.array(values))
    return writer.text
  }

  /// Returns a single value.
  static func one(_ value: JSON) throws -> String {
    var writer = JSONWriter()
    try writer.write(value)
    return writer.text
  }

  /// Returns one line per value.
  static func lines(_ values: [JSON]) throws -> String {
    var writer = JSONWriter()
    for value in values {
      try writer.write(value)
      writer.text += "\n"
    }
    return writer.text
  }
}
