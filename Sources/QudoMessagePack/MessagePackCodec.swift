public import Qudo

/// MessagePack, in about half the bytes of JSON, and without a conversion of numbers and bytes to text.
///
/// Numbers take the smallest form that holds them, `Double` and `Float` 8 and 4 bytes, `[UInt8]` and `Data` are `bin`,
/// `Date` is the timestamp extension, `URL` its text, `nil` is `nil`. Structs, and dictionaries with keys of text or `Int`,
/// are maps, their keys in order (numbers first, then text by its UTF-8) so that equal values have equal bytes. If a
/// `CodingKey` has an `intValue`, that number is the key. Other dictionaries are arrays of key, value, key, value, as in JSON.
/// The bytes are those of PyPI's `msgpack` with its defaults, given the keys in that order and `datetime=True`.
///
/// Decoding takes any form of a number that has the value, whole numbers for `Double` as well, an array of numbers for
/// `[UInt8]` and `Data`. It never takes a fraction for a whole number, nor text for bytes. Bytes that are not MessagePack,
/// a duplicate key, lists deeper than ``depthLimit`` and bytes after the value are errors that say where.
public struct MessagePackCodec: Codec {
  /// How deep arrays and maps may be nested, for encoding as well as decoding.
  public static let depthLimit = 128

  public init() {}
  public var id: CodecID { .messagePack }
  public var name: String { "MessagePack" }

  /// - Throws: `EncodingError`, and what `value` throws.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let output = Output()
    let session = Session()
    defer { session.end() }
    try EncodingNode(output, session, nil).write(value)
    return output.bytes
  }

  /// - Throws: `DecodingError`, with the byte in its description and the path; what `Value` throws.
  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
  {
    let input = Input(bytes)
    try input.check()
    return try input.value(type, .outermost)
  }
}
