import Testing

@testable import QudoImport

@Suite struct MessagePackShapeTests {
  @Test(
    arguments: [
      [0x00], [0xFF], [0xC0], [0xC2], [0x80], [0x90], [0xA0], [0x82, 1, 2, 3, 4],
      [0x92, 0x91, 0xC3, 0xA1, 0x61], [0xC4, 1, 9], [0xC5, 0, 1, 9],
      [0xC6, 0, 0, 0, 1, 9], [0xC7, 1, 5, 9], [0xC9, 0, 0, 0, 0, 5], [0xCA, 0, 0, 0, 0],
      [0xCB, 0, 0, 0, 0, 0, 0, 0, 0], [0xCC, 1], [0xCF, 0, 0, 0, 0, 0, 0, 0, 0],
      [0xD0, 1], [0xD3, 0, 0, 0, 0, 0, 0, 0, 0], [0xD4, 5, 9], [0xD6, 5, 0, 0, 0, 0], [0xD9, 0],
      [0xDA, 0, 1, 0x61], [0xDB, 0, 0, 0, 1, 0x61],
      [0xDC, 0, 1, 7], [0xDD, 0, 0, 0, 1, 7], [0xDE, 0, 1, 7, 8], [0xDF, 0, 0, 0, 1, 7, 8],
    ] as [[UInt8]])
  func aWholeValueIsOneAndNoPartOfItIs(bytes: [UInt8]) {
    #expect(MessagePackShape.isOneValue(bytes))
    for count in 0..<bytes.count {
      #expect(!MessagePackShape.isOneValue(Array(bytes.prefix(count))), "\(count) bytes")
    }
    #expect(!MessagePackShape.isOneValue(bytes + [0]))
  }

  @Test(
    arguments: [
      [0xC1], Array("{\"a\":1}".utf8), [0xDF, 0xFF, 0xFF, 0xFF, 0xFF], [0xDD, 0xFF, 0xFF, 0xFF, 0xFF, 0],
      [0x91, 0xC1],
    ] as [[UInt8]])
  func otherBytesAreNone(bytes: [UInt8]) { #expect(!MessagePackShape.isOneValue(bytes)) }

  @Test func whatIsNestedDeeplyIsReadWithoutAStack() {
    #expect(MessagePackShape.isOneValue(Array(repeating: 0x91, count: 1_000_000) + [0xC0]))
  }
}
