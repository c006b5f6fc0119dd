#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Values that are in one piece.
extension Input {
  func isNil(_ place: CodingPathNode) -> Bool { place.at < bytes.count && bytes[place.at] == 0xC0 }

  func read(_ place: CodingPathNode) throws -> Header {
    do { return try head(place.at).head } catch { throw corrupt(error) }
  }

  func mismatch(_ type: any Any.Type, _ place: CodingPathNode, _ found: Header) -> DecodingError {
    let context = context(place.at, "expected \(type), found \(found.words)", path: path(place))
    if case .null = found { return .valueNotFound(type, context) }
    return .typeMismatch(type, context)
  }

  private func unfit(_ type: any Any.Type, _ place: CodingPathNode) -> DecodingError {
    .dataCorrupted(context(place.at, "the number does not fit in \(type)", path: path(place)))
  }

  func bool(_ place: CodingPathNode) throws -> Bool {
    let head = try read(place)
    guard case .bool(let value) = head else { throw mismatch(Bool.self, place, head) }
    return value
  }

  func text(_ place: CodingPathNode) throws -> String {
    let head = try read(place)
    guard case .text(let range) = head else { throw mismatch(String.self, place, head) }
    return String(decoding: bytes[range], as: UTF8.self)
  }

  func integer<Number: FixedWidthInteger>(_ type: Number.Type, _ place: CodingPathNode) throws -> Number {
    let head = try read(place)
    let number: Number?
    switch head {
    case .int(let value): number = Number(exactly: value)
    case .large(let value): number = Number(exactly: value)
    default: throw mismatch(type, place, head)
    }
    guard let number else { throw unfit(type, place) }
    return number
  }

  /// Whole numbers too, if it holds them exactly.
  func double(_ place: CodingPathNode) throws -> Double {
    let head = try read(place)
    let number: Double?
    switch head {
    case .double(let value): number = value
    case .float(let value): number = Double(value)
    case .int(let value): number = Double(exactly: value)
    case .large(let value): number = Double(exactly: value)
    default: throw mismatch(Double.self, place, head)
    }
    guard let number else { throw unfit(Double.self, place) }
    return number
  }

  /// The nearest of a `Double`, unless that is infinite.
  func float(_ place: CodingPathNode) throws -> Float {
    let head = try read(place)
    let number: Float?
    switch head {
    case .float(let value): number = value
    case .double(let value): number = Float(value).isInfinite && value.isFinite ? nil : Float(value)
    case .int(let value): number = Float(exactly: value)
    case .large(let value): number = Float(exactly: value)
    default: throw mismatch(Float.self, place, head)
    }
    guard let number else { throw unfit(Float.self, place) }
    return number
  }

  func date(_ place: CodingPathNode) throws -> Date {
    let head = try read(place)
    guard case .other(MessagePackTimestamp.type, let range) = head else {
      throw mismatch(Date.self, place, head)
    }
    do {
      return try MessagePackTimestamp(bytes[range]).date
    } catch {
      throw DecodingError.dataCorrupted(context(place.at, error.words, path: path(place)))
    }
  }

  /// Nil for what is not binary.
  func binary(_ place: CodingPathNode) throws -> ArraySlice<UInt8>? {
    guard case .binary(let range) = try read(place) else { return nil }
    return bytes[range]
  }

  func url(_ place: CodingPathNode) throws -> URL? {
    guard case .text = try read(place) else { return nil }
    guard let url = URL(string: try text(place)) else {
      throw DecodingError.dataCorrupted(context(place.at, "the text is not a URL", path: path(place)))
    }
    return url
  }

  /// A value of any type. Those that have their own form, and the frequent ones, take a shortcut.
  func value<Value: Decodable>(_ type: Value.Type, _ place: CodingPathNode) throws -> Value {
    if let special = try special(type, place), let value = special as? Value { return value }
    return try Value(from: ValueDecoder(input: self, place: place))
  }

  @inline(__always)
  private func special<Value>(_ type: Value.Type, _ place: CodingPathNode) throws -> Any? {
    if type == String.self { return try text(place) }
    if type == Int.self { return try integer(Int.self, place) }
    if type == Double.self { return try double(place) }
    if type == Bool.self { return try bool(place) }
    if type == [UInt8].self { return try binary(place).map { [UInt8]($0) } }
    if type == Data.self { return try binary(place).map { Data($0) } }
    if type == Date.self { return try date(place) }
    if type == URL.self { return try url(place) }
    return nil
  }
}
