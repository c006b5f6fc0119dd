#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Turns values into payload bytes and back.
public protocol Codec: Sendable {
  /// Stored with each payload, so that it is decoded by the codec that wrote it.
  var id: CodecID { get }
  /// For messages: "JSON".
  var name: String { get }

  /// - Parameters:
  ///   - value: what is to be read again later, perhaps by a newer version of its type.
  ///   - kind: of the job that the value is. A codec that encrypts binds the bytes to it.
  func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8]

  /// - Throws: any error; the run fails with an ``UndecodablePayload`` that has its words. A codec that knows which byte
  ///   is wrong says so.
  func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
}

/// JSON in UTF-8, keys in sorted order so that equal values have equal bytes. The default.
public struct JSONCodec: Codec {
  public init() {}
  public var id: CodecID { .json }
  public var name: String { "JSON" }

  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return [UInt8](try encoder.encode(value))
  }

  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value {
    try JSONDecoder().decode(type, from: Data(bytes))
  }
}

/// The codec for what is enqueued, and those for what is already there.
public struct Codecs: Sendable {
  /// What new payloads are encoded with.
  public let primary: any Codec
  private let all: [CodecID: any Codec]

  /// - Parameters:
  ///   - primary: what new payloads are encoded with. Default: JSON.
  ///   - others: codecs that payloads in the database may have been written with; JSON is always among them.
  public init(_ primary: any Codec = JSONCodec(), others: [any Codec] = []) {
    self.primary = primary
    var all: [CodecID: any Codec] = [:]
    for codec in [JSONCodec()] + others + [primary] { all[codec.id] = codec }
    self.all = all
  }

  /// Encodes with ``primary``.
  ///
  /// - Throws: what the codec throws.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> Payload {
    Payload(try primary.encode(value, of: kind), codec: primary.id)
  }

  /// - Throws: ``UndecodablePayload``.
  public func decode<Value: Decodable>(_ type: Value.Type, from payload: Payload, of kind: Kind) throws -> Value {
    guard let codec = all[payload.codec] else {
      throw UndecodablePayload(description: "the payload was written with codec \(payload.codec), which this queue was not given")
    }
    do {
      return try codec.decode(type, from: payload.bytes, of: kind)
    } catch {
      throw UndecodablePayload(description: "the payload is not \(codec.name) for \(type): \(Self.words(error))")
    }
  }

  /// Says where, in a line: Foundation's own description is long.
  private static func words(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return String(describing: error) }
    let context: DecodingError.Context
    switch error {
    case .typeMismatch(_, let found), .valueNotFound(_, let found), .keyNotFound(_, let found), .dataCorrupted(let found): context = found
    @unknown default: return String(describing: error)
    }
    let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    let below = context.underlyingError.map { " (\($0))" } ?? ""
    return (path.isEmpty ? "" : "at \(path): ") + context.debugDescription + below
  }
}

/// A payload that is not what its kind's job type expects. The run fails with it.
public struct UndecodablePayload: Error, Sendable, CustomStringConvertible {
  public let description: String
}
