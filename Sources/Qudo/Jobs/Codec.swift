/// Encodes values as payload bytes, and decodes them.
public protocol Codec: Sendable {
  /// The id that is stored with each payload, so that the codec that wrote it also decodes it.
  var id: CodecID { get }
  /// The name of the format in messages: "JSON".
  var name: String { get }

  /// Encodes a value.
  ///
  /// - Parameters:
  ///   - value: The job. It may be decoded much later, by a newer version of its type.
  ///   - kind: The kind of the job. A codec that encrypts binds the bytes to it.
  func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8]

  /// Decodes a value.
  ///
  /// - Throws: Any error. The run fails with a ``PayloadDecodingError`` that includes its text. If the codec
  ///   knows which byte is wrong, the error should say so.
  func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
}

/// The codec for new payloads, and those for payloads that are already stored.
public struct Codecs: Sendable {
  /// The codec that encodes new payloads.
  public let primary: any Codec
  private let all: [CodecID: any Codec]
  /// The codec that decodes raw bytes for a job type.
  private let plain: (any Codec)?

  /// Creates a set of codecs.
  ///
  /// Raw bytes, as codec 0, are decoded with `primary`; if that wraps other codecs, with the innermost of
  /// them, if it is also in the set. So a typed handler can run jobs that the command or another program
  /// enqueued as bytes.
  ///
  /// - Parameters:
  ///   - primary: The codec for new payloads. Default: JSON.
  ///   - others: More codecs that stored payloads may need. JSON is always included.
  public init(_ primary: any Codec = JSONCodec(), others: [any Codec] = []) {
    self.primary = primary
    var all: [CodecID: any Codec] = [:]
    for codec in [JSONCodec()] + others + [primary] { all[codec.id] = codec }
    self.all = all
    plain = all[primary.id.innermost]
  }

  /// Encodes a value with ``primary``.
  ///
  /// - Throws: The codec's error.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> Payload {
    Payload(try primary.encode(value, of: kind), codec: primary.id)
  }

  /// Decodes a payload with the codec that wrote it.
  ///
  /// - Throws: ``PayloadDecodingError`` if the codec is missing or the bytes do not fit the type.
  public func decode<Value: Decodable>(_ type: Value.Type, from payload: Payload, of kind: Kind) throws
    -> Value
  {
    guard let codec = all[payload.codec] ?? (payload.codec == .raw ? plain : nil) else {
      throw PayloadDecodingError(
        description: "the queue has no codec \(payload.codec) for the payload: add it to its codecs")
    }
    do {
      return try codec.decode(type, from: payload.bytes, of: kind)
    } catch {
      let what = payload.codec == codec.id ? "the payload is" : "the payload, which was enqueued as bytes, is"
      throw PayloadDecodingError(
        description: "\(what) not \(codec.name) for \(type): \(decodingWords(error))")
    }
  }
}

/// A payload that cannot be decoded as the job type of its kind. The run fails with this error.
public struct PayloadDecodingError: Error, Sendable, CustomStringConvertible {
  public let description: String
}
