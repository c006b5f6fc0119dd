#if Compression
public import Qudo

/// A codec that compresses the output of another codec with zlib, if that makes it smaller.
///
///     Codecs(CompressedCodec(MessagePackCodec()))
///
/// The first byte is a marker: after 0 follow the bytes of the base codec, after 1 a zlib stream (RFC 1950) of them. To
/// compress and encrypt, compress first: `EncryptedCodec(CompressedCodec(...))`. Encrypted bytes do not get smaller.
public struct CompressedCodec<Base: Codec>: Codec {
  /// The codec whose bytes are compressed.
  public let base: Base
  /// Payloads of more bytes than this are compressed.
  public let threshold: Int
  /// The maximum size of an uncompressed payload, in bytes, when it is encoded and when it is decoded.
  public let limit: Int
  /// The effort of zlib, from 1, fast, to 9, small.
  public let level: Int

  /// - Parameters:
  ///   - base: The codec whose output is compressed.
  ///   - threshold: Payloads of more bytes than this are compressed. Default: 1 KiB.
  ///   - limit: The maximum uncompressed size, in bytes. Encoding and decoding throw for a larger payload, however small its compressed
  ///     form is. Default: 16 MiB.
  ///   - level: From 1, fast, to 9, small; other values are clamped. Default: 6.
  public init(_ base: Base, threshold: Int = 1024, limit: Int = 16 << 20, level: Int = 6) {
    self.base = base
    self.threshold = threshold
    self.limit = min(max(limit, 0), 1 << 40)
    self.level = min(max(level, 1), 9)
  }

  public var id: CodecID { .wrapping(base.id, as: 16) }
  public var name: String { "compressed \(base.name)" }

  /// - Throws: ``CompressionError`` for more than ``limit`` bytes; and the errors of the base codec.
  public func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] {
    let bytes = try base.encode(value, of: kind)
    guard bytes.count <= limit else {
      throw CompressionError("\(bytes.count) bytes exceed the limit, \(limit)")
    }
    if bytes.count > threshold {
      let compressed = [Marker.zlib] + (try Zlib.compress(bytes, level: level))
      if compressed.count <= bytes.count { return compressed }
    }
    return [Marker.plain] + bytes
  }

  /// - Throws: ``CompressionError``, which names the damaged byte; and the errors of the base codec, which count bytes in the
  ///   uncompressed payload.
  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value
  {
    try base.decode(type, from: try decompressed(bytes), of: kind)
  }

  private func decompressed(_ bytes: [UInt8]) throws -> [UInt8] {
    switch bytes.first {
    case Marker.plain:
      guard bytes.count - 1 <= limit else {
        throw CompressionError("\(bytes.count - 1) bytes exceed the limit, \(limit)")
      }
      return Array(bytes.dropFirst())
    case Marker.zlib: return try Zlib.decompress(bytes, from: 1, limit: limit)
    case let marker?: throw CompressionError("byte 0: no payload begins with \(marker)")
    case nil: throw CompressionError("byte 0: the payload is empty")
    }
  }
}

/// The first byte of a payload, which says what follows.
private enum Marker {
  static let plain: UInt8 = 0
  static let zlib: UInt8 = 1
}

/// Bytes that are damaged or too many.
public struct CompressionError: Error, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
#endif
