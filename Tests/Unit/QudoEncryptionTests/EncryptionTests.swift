#if Encryption
import Qudo
import QudoEncryption
import QudoMessagePack
import Testing

struct EncryptionTests {
  let old = SecretKey.random()
  let new = SecretKey.random()

  private func ring(_ current: UInt32, _ keys: [UInt32: SecretKey]) throws -> KeyRing {
    try KeyRing(current: current, keys: keys)
  }

  private func message<Value: Decodable>(
    _ bytes: [UInt8], _ codec: some Codec, of kind: Kind = "mail", as type: Value.Type = [String].self
  ) -> String? {
    do {
      _ = try Codecs(codec).decode(type, from: Payload(bytes, codec: codec.id), of: kind)
      return nil
    } catch {
      return "\(error)".replacing("the payload is not \(codec.name) for \(type): ", with: "")
    }
  }

  @Test("Each ciphertext of the same payload differs, and each is decrypted to it")
  func encryptionRoundTripsAndDiffers() throws {
    let codec = EncryptedCodec(JSONCodec(), keys: try ring(0x0102_0304, [0x0102_0304: new]))
    #expect("\(codec.id)" == "17/1")
    let one = try codec.encode(["secret"], of: "mail")
    let two = try codec.encode(["secret"], of: "mail")
    #expect(one.prefix(5) == [1, 1, 2, 3, 4])
    #expect(one.count == 33 + 10)
    #expect(one.dropFirst(5).prefix(12) != two.dropFirst(5).prefix(12))
    #expect(one.suffix(26) != two.suffix(26))
    #expect(try codec.decode([String].self, from: one, of: "mail") == ["secret"])
    #expect(try codec.decode([String].self, from: two, of: "mail") == ["secret"])
  }

  @Test func noByteCanBeChangedOrLeftOut() throws {
    let codec = EncryptedCodec(JSONCodec(), keys: try ring(1, [1: new]))
    let good = try codec.encode(["secret"], of: "mail")
    for index in good.indices {
      #expect(message(Array(good[..<index]), codec) != nil)
      for bit in 0..<8 {
        var bad = good
        bad[index] ^= 1 << bit
        #expect(message(bad, codec) != nil)
      }
    }
    #expect(message(good + [0], codec) != nil)
    #expect(message([], codec) == "byte 0: the payload is empty")
    #expect(message([2] + good.dropFirst(), codec) == "byte 0: an encrypted payload begins with 1, not 2")
    #expect(message(Array(good.prefix(32)), codec) == "byte 32: an encrypted payload has at least 33 bytes")
  }

  @Test func aPayloadBelongsToItsKindItsCodecAndItsKey() throws {
    let keys = try ring(1, [1: new, 2: new])
    let good = try EncryptedCodec(JSONCodec(), keys: keys).encode(["secret"], of: "mail")
    let words =
      "it does not decrypt with key 1: it is damaged, or was encrypted with another key of this number, for another kind than"
    #expect(
      message(good, EncryptedCodec(JSONCodec(), keys: keys), of: "mai")
        == "\(words) mai or by another codec than 17/1")
    #expect(
      message(good, EncryptedCodec(MessagePackCodec(), keys: keys))
        == "\(words) mail or by another codec than 17/3")
    // The same key under another number.
    var renamed = good
    renamed[4] = 2
    #expect(
      message(renamed, EncryptedCodec(JSONCodec(), keys: keys))?.hasPrefix("it does not decrypt with key 2: ")
        == true)
    let other = EncryptedCodec(JSONCodec(), keys: try ring(1, [1: old]))
    #expect(message(good, other) == "\(words) mail or by another codec than 17/1")
  }

  @Test func keysRotate() throws {
    let before = EncryptedCodec(JSONCodec(), keys: try ring(1, [1: old]))
    let after = EncryptedCodec(JSONCodec(), keys: try ring(2, [1: old, 2: new]))
    let later = EncryptedCodec(JSONCodec(), keys: try ring(2, [2: new]))
    let first = try before.encode(["a"], of: "mail")
    let second = try after.encode(["b"], of: "mail")
    #expect(try after.decode([String].self, from: first, of: "mail") == ["a"])
    #expect(try after.decode([String].self, from: second, of: "mail") == ["b"])
    #expect(try later.decode([String].self, from: second, of: "mail") == ["b"])
    #expect(message(first, later) == "it was encrypted with key 1, which the key ring does not have")
    #expect(message(second, before) == "it was encrypted with key 2, which the key ring does not have")
  }

  @Test("Errors and descriptions show neither keys nor plaintext") func errorsShowNoSecrets() throws {
    enum Color: String, Codable { case red }
    let bytes = (0..<32).map { UInt8($0) }
    let key = try SecretKey(bytes)
    let keys = try ring(1, [1: key])
    let codec = EncryptedCodec(JSONCodec(), keys: keys)
    let payload = try codec.encode(["x": "hush-hush"], of: "mail")
    let error = try #require(message(payload, codec, as: [String: Color].self))
    #expect(
      error
        == "what was encrypted is not JSON for Dictionary<String, Color>: at x, byte 5: the data is damaged or not as the type expects"
    )
    #expect(message(payload, codec, as: [String: Int].self)?.hasSuffix("at x, byte 5: expected Int") == true)
    var dumped = ""
    dump((key, keys, codec), to: &dumped)
    let shown = "\(key) \(keys) \(codec) \(String(reflecting: key)) \(String(reflecting: keys)) \(dumped)"
    #expect(shown.contains("keys 1, current 1"))
    for part in [key.base64, "31", "1f", "Symmetric", "Secure"] { #expect(!shown.contains(part)) }
  }

  @Test func whatIsNoKeyIsRefused() throws {
    #expect(try SecretKey(base64: new.base64).base64 == new.base64)
    #expect(throws: QudoError.self) { try SecretKey([UInt8](repeating: 0, count: 16)) }
    #expect(throws: QudoError.self) { try SecretKey(base64: "AAAA") }
    #expect(throws: QudoError.self) { try SecretKey(base64: "not base64") }
    #expect(throws: QudoError.self) { try ring(2, [1: old]) }
    #expect(try ring(1, [7: old, 1: new]).numbers == [1, 7])
  }
}
#endif
