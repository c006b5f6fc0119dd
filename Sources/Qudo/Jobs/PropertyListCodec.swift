#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A codec for binary property lists, as Foundation writes them. It stores `Date` and `Data` natively.
///
/// A payload must be a struct, a class, an array or a dictionary: Foundation refuses a single number, text or
/// date. Its errors name no byte. Unlike with the other codecs, equal dictionaries can have different bytes.
public struct PropertyListCodec: Codec {
  /// Creates a codec.
  public init() {}
  public var id: CodecID { .propertyList }
  public var name: String { "a property list" }

  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let encoder = PropertyListEncoder()
    encoder.outputFormat = .binary
    return [UInt8](try encoder.encode(value))
  }

  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
  {
    // Otherwise Foundation tries the other formats and reports an error about those.
    for (offset, byte) in "bplist00".utf8.enumerated() where offset >= bytes.count || bytes[offset] != byte {
      let words = "a binary property list begins with bplist00"
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: words, underlyingError: PayloadByte(offset)))
    }
    return try PropertyListDecoder().decode(type, from: Data(bytes))
  }
}
