#if Compression
import Qudo
import QudoCompression
import QudoMessagePack
import QudoTesting
import Testing

struct CompressionTests {
  /// Bytes as they are, to see them.
  struct Plain: Codec {
    var id: CodecID { CodecID(200) }
    var name: String { "plain" }
    func encode<Value: Encodable>(_ value: Value, of kind: Kind) throws -> [UInt8] { value as? [UInt8] ?? [] }
    func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], of kind: Kind) throws -> Value {
      try #require(bytes as? Value)
    }
  }

  let codec = CompressedCodec(Plain())

  private func encode(_ bytes: [UInt8]) throws -> [UInt8] { try codec.encode(bytes, of: "a") }
  private func decode(_ bytes: [UInt8]) throws -> [UInt8] {
    try codec.decode([UInt8].self, from: bytes, of: "a")
  }

  private func message(_ bytes: [UInt8], _ codec: some Codec) -> String? {
    do {
      _ = try Codecs(codec).decode([UInt8].self, from: Payload(bytes, codec: codec.id), of: "a")
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: [0, 1, 1023, 1024, 1025, 5000, 100_000, 3_000_000]) func whatIsEncodedIsDecoded(size: Int)
    throws
  {
    let text = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 100) }
    let encoded = try encode(text)
    #expect(encoded.first == (size > 1024 ? 1 : 0))
    #expect(size > 1024 ? encoded.count < size / 2 : encoded.count == size + 1)
    #expect(try decode(encoded) == text)
  }

  @Test func whatDoesNotGetSmallerIsStoredAsItIs() throws {
    var random = SystemRandomNumberGenerator()
    let noise = (0..<5000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let encoded = try encode(noise)
    #expect(encoded == [0] + noise)
    #expect(try decode(encoded) == noise)
  }

  /// `zlib.compress(b"qudo " * 5)` of Python.
  @Test func pythonsBytesAreRead() throws {
    let python: [UInt8] = [
      0x78, 0x9C, 0x2B, 0x2C, 0x4D, 0xC9, 0x57, 0x28, 0xC4, 0x42, 0x00, 0x00, 0x7B, 0x7A, 0x09, 0x3E,
    ]
    let text = Array(String(repeating: "qudo ", count: 5).utf8)
    let ours = try CompressedCodec(Plain(), threshold: 0).encode(text, of: "a")
    #expect(try decode(ours) == text)
    #expect(try decode([1] + python) == text)
  }

  @Test func aBombIsRefusedBeforeItHasGrown() throws {
    let limit = 10_000
    let small = CompressedCodec(Plain(), limit: limit)
    #expect(
      try small.decode(
        [UInt8].self, from: small.encode([UInt8](repeating: 0, count: limit), of: "a"), of: "a"
      ).count == limit)
    let bomb = try encode([UInt8](repeating: 0, count: 10_000_000))
    let words = try #require(message(bomb, small))
    #expect(words.hasPrefix("the payload is not compressed plain for Array<UInt8>: byte "))
    #expect(words.hasSuffix(": it decompresses to more than the limit of 10000 bytes"))
    let oneMore = try encode([UInt8](repeating: 0, count: limit + 1))
    #expect(message(oneMore, small)?.hasSuffix("more than the limit of 10000 bytes") == true)
    #expect(
      message([0] + [UInt8](repeating: 0, count: limit + 1), small)?.hasSuffix(
        "10001 bytes exceed the limit, 10000") == true)
    #expect(throws: CompressionError.self) {
      try small.encode([UInt8](repeating: 0, count: limit + 1), of: "a")
    }
  }

  @Test func damagedBytesSayWhere() throws {
    let text = (0..<3000).map { UInt8(truncatingIfNeeded: $0 / 7 * $0) }
    let good = try encode(text)
    func words(_ bytes: [UInt8]) -> String? {
      message(bytes, codec)?.replacing("the payload is not compressed plain for Array<UInt8>: ", with: "")
    }
    #expect(words([]) == "byte 0: the payload is empty")
    #expect(words([7]) == "byte 0: no payload begins with 7")
    #expect(words([1]) == "byte 1: the compressed data ends too early")
    #expect(words([1, 0, 0]) == "byte 3: the compressed data is damaged: unknown compression method")
    #expect(words(Array(good.dropLast())) == "byte \(good.count - 1): the compressed data ends too early")
    #expect(words(good + [0]) == "byte \(good.count): bytes follow the compressed data")
    for index in good.indices.dropFirst() {
      #expect(words(Array(good[..<index])) == "byte \(index): the compressed data ends too early")
      var damaged = good
      damaged[index] ^= 0x10
      // A few bits mean nothing: those that fill up the last byte before the checksum.
      if let words = words(damaged) {
        #expect(words.hasPrefix("byte "))
      } else {
        #expect(try decode(damaged) == text)
      }
    }
  }

  @Test func itGoesRoundAnyCodec() throws {
    let codec = CompressedCodec(MessagePackCodec(), threshold: 10)
    #expect("\(codec.id)" == "16/3")
    let value = ["words": Array(repeating: "again", count: 100)]
    let bytes = try codec.encode(value, of: "a")
    #expect(bytes.count < 50)
    #expect(try codec.decode([String: [String]].self, from: bytes, of: "a") == value)
    let codecs = Codecs(codec)
    #expect(throws: PayloadDecodingError.self) {
      try codecs.decode([String: Int].self, from: codecs.encode(value, of: "a"), of: "a")
    }
  }
}
#endif
