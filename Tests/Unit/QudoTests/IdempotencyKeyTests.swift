import Qudo
import Testing

@Suite struct IdempotencyKeyTests {
  /// The beginnings of the hashes in FIPS 180-2, appendix B, and of no bytes; and lengths about that of a block, by another program.
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb924"), ("abc", "ba7816bf8f01cfea414140de5dae2223"),
    ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039"),
    (String(repeating: "a", count: 1_000), "41edece42d63e8d9bf515a9ba6932e1c"),
    (String(repeating: "b", count: 55), "eb2c86e932179f4ba13fe8715a26124b"),
    (String(repeating: "b", count: 56), "a5fc6e203a4c2b657d0d153885932414"),
    (String(repeating: "b", count: 64), "a0fab1377f49a759b57f63318262ebe8"),
  ])
  func theKeyOfATextIsItsHash(_ text: String, hash: String) {
    #expect("\(IdempotencyKey(text))" == hash)
  }

  @Test func textsAreComparedAsBytes() {
    #expect(IdempotencyKey("e\u{301}") != IdempotencyKey("\u{E9}"))
    #expect(IdempotencyKey("order 1") == IdempotencyKey("order 1"))
  }

  @Test func bytesComeBackAsTheyWere() throws {
    let bytes = (0..<16).map { UInt8($0 * 17) }
    #expect(try #require(IdempotencyKey(bytes: bytes)).bytes == bytes)
    #expect(IdempotencyKey(bytes: bytes)?.description == "00112233445566778899aabbccddeeff")
    #expect(IdempotencyKey(bytes: bytes.dropLast()) == nil)
    #expect(IdempotencyKey(bytes: bytes + [0]) == nil)
  }

  @Test func newOnesDiffer() {
    #expect(Set((0..<1000).map { _ in IdempotencyKey() }).count == 1000)
  }
}
