#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// JSON in UTF-8, keys in sorted order so that equal values have equal bytes. The default.
public struct JSONCodec: Codec {
  public init() {}
  public var id: CodecID { .json }
  public var name: String { "JSON" }

  // For all: they are Sendable, and to make one for each payload cost 2,400 instructions of 29,000.
  private static let decoder = JSONDecoder()
  private static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
  }()

  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    [UInt8](try Self.encoder.encode(value))
  }

  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value {
    do {
      return try Self.decoder.decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw Self.located(error, in: bytes)
    }
  }

  /// Foundation says the path, never the byte, and of text that is not JSON not even what is wrong with it.
  private static func located(_ error: DecodingError, in bytes: [UInt8]) -> DecodingError {
    if case .dataCorrupted(let context) = error, context.codingPath.isEmpty {
      if let fault = JSONScanner.fault(in: bytes) { return error.at(byte: fault.byte, saying: fault.problem) }
      // Measured: what Foundation calls "not valid JSON" although it is, has 1.5 or 99999999999999999999 for an Int.
      let words = "\(context.debugDescription) As JSON it is well formed: a number may not fit its type."
      return .dataCorrupted(.init(codingPath: [], debugDescription: words, underlyingError: context.underlyingError))
    }
    guard let path = error.context?.codingPath, let byte = JSONScanner.offset(of: path, in: bytes) else { return error }
    return error.at(byte: byte)
  }
}
