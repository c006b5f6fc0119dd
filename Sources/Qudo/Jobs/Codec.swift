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

  /// - Throws: any error; the run fails with an ``PayloadDecodingError`` that has its words. A codec that knows which byte
  ///   is wrong says so.
  func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
}

/// The codec for what is enqueued, and those for what is already there.
public struct Codecs: Sendable {
  /// What new payloads are encoded with.
  public let primary: any Codec
  private let all: [CodecID: any Codec]
  /// What raw bytes are taken for where a job type is asked for.
  private let plain: (any Codec)?

  /// A payload of raw bytes, codec 0, is decoded with `primary`; where that wraps other codecs, with the innermost of them if it
  /// is among these by itself. So a typed handler performs what the command, or another program, enqueued as bytes.
  ///
  /// - Parameters:
  ///   - primary: what new payloads are encoded with. Default: JSON.
  ///   - others: codecs that payloads in the database may have been written with; JSON is always among them.
  public init(_ primary: any Codec = JSONCodec(), others: [any Codec] = []) {
    self.primary = primary
    var all: [CodecID: any Codec] = [:]
    for codec in [JSONCodec()] + others + [primary] { all[codec.id] = codec }
    self.all = all
    plain = all[primary.id.innermost]
  }

  /// Encodes with ``primary``.
  ///
  /// - Throws: what the codec throws.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> Payload {
    Payload(try primary.encode(value, of: kind), codec: primary.id)
  }

  /// - Throws: ``PayloadDecodingError``.
  public func decode<Value: Decodable>(_ type: Value.Type, from payload: Payload, of kind: Kind) throws -> Value {
    guard let codec = all[payload.codec] ?? (payload.codec == .raw ? plain : nil) else {
      throw PayloadDecodingError(description: "the payload was written with codec \(payload.codec), which this queue was not given")
    }
    do {
      return try codec.decode(type, from: payload.bytes, of: kind)
    } catch {
      let what = payload.codec == codec.id ? "the payload is" : "the payload, which was enqueued as bytes, is"
      throw PayloadDecodingError(description: "\(what) not \(codec.name) for \(type): \(decodingWords(error))")
    }
  }
}

/// A payload that is not what its kind's job type expects. The run fails with it.
public struct PayloadDecodingError: Error, Sendable, CustomStringConvertible {
  public let description: String
}
