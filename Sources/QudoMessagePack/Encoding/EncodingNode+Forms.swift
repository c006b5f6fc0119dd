#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

extension EncodingNode {
  /// The whole of a value that nothing is around.
  func write<Value: Encodable>(_ value: Value) throws {
    try encode(value)
    try finish()
  }

  /// Makes this frame's value of any type. Those that have their own form, and the frequent ones, take a shortcut.
  func encode<Value: Encodable>(_ value: Value) throws {
    if try special(value) { return }
    try check()
    type = Value.self
    try value.encode(to: ValueEncoder(frame: self))
    // Not every type passes an error on.
    if let failure = session.failure { throw failure }
  }

  @inline(__always)
  private func special<Value>(_ value: Value) throws -> Bool {
    guard let write = try form(value) else { return false }
    try scalar(write)
    return true
  }

  /// How a value in one piece is written; nil for one of another type.
  @inline(__always)
  func form<Value>(_ value: Value) throws -> ((Output) -> Bool)? {
    if Value.self == String.self, let value = value as? String { return { $0.text(value) } }
    if Value.self == Int.self, let value = value as? Int {
      return {
        $0.integer(value); return true
      }
    }
    if Value.self == Double.self, let value = value as? Double {
      return {
        $0.double(value); return true
      }
    }
    if Value.self == Bool.self, let value = value as? Bool {
      return {
        $0.bool(value); return true
      }
    }
    if Value.self == [UInt8].self, let value = value as? [UInt8] { return { $0.binary(value) } }
    if Value.self == Data.self, let value = value as? Data { return { $0.binary(value) } }
    if Value.self == URL.self, let value = value as? URL { return { $0.text(value.absoluteString) } }
    if Value.self == Date.self, let value = value as? Date {
      guard let moment = MessagePackTimestamp(value) else {
        throw EncodingError.invalidValue(Date.self, context("the date is none, or too far away"))
      }
      return {
        $0.other(MessagePackTimestamp.type, moment.bytes); return true
      }
    }
    return nil
  }
}
