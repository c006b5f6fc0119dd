import Foundation
import QudoMessagePack
import Testing

/// What is wrong with bytes, and at which.
struct FaultTests {
  struct Order: Codable { var item: String; var parts: [Part]; struct Part: Codable { var count: UInt8 } }

  @Test(arguments: [
    ("", "byte 0: the bytes end, expected a value"),
    ("c1", "byte 0: no value begins with the byte 0xC1"),
    ("92c0c1", "byte 2: no value begins with the byte 0xC1"),
    ("c0c0", "byte 1: 1 bytes follow the value"),
    ("a5616263", "byte 0: the value has 6 bytes, but only 4 are left"),
    ("d9", "byte 0: the value has 2 bytes, but only 1 are left"),
    ("91dbffffffff61", "byte 1: the value has 4294967300 bytes, but only 6 are left"),
    ("c6ffffffff", "byte 0: the value has 4294967300 bytes, but only 5 are left"),
    ("ddffffffff", "byte 0: an array is longer than the bytes that are left"),
    ("dfffffffff00", "byte 0: a map is longer than the bytes that are left"),
    ("9101c0", "byte 2: 1 bytes follow the value"),
    ("9201", "byte 0: an array is longer than the bytes that are left"),
    ("929101", "byte 3: the bytes end, expected a value"),
    ("cb00", "byte 0: the value has 9 bytes, but only 2 are left"),
    ("d4", "byte 0: the value has 3 bytes, but only 1 are left"),
    ("c7ff", "byte 0: the value has 258 bytes, but only 2 are left"),
    ("a3c3a9ff", "byte 3: text is not UTF-8"),
    ("a2eda0", "byte 1: text is not UTF-8"),
    ("81a1ff01", "byte 2: text is not UTF-8"),
  ]) func bytesThatAreNotMessagePack(hex: String, words: String) {
    #expect(message(Tree.self, hex) == words)
    #expect(message(Int?.self, hex) == words)
  }

  @Test(arguments: [
    ("82a46974656d01a5706172747390", "at item, byte 6: expected String, found a whole number"),
    (
      "82a46974656da0a570617274739281a5636f756e740181a5636f756e74cd0100",
      "at parts.[1].count, byte 29: the number does not fit in UInt8"
    ),
    (
      "82a46974656da0a570617274739181a5636f756e74cb3ff0000000000000",
      "at parts.[0].count, byte 21: expected UInt8, found a floating-point number"
    ),
    ("81a46974656da0", "byte 0: the map has no key parts"),
    ("82a46974656da0a570617274739180", "at parts.[0], byte 14: the map has no key count"),
    ("c0", "byte 0: expected Dictionary<String, Any>, found nil"),
    ("82a46974656dc0a5706172747390", "at item, byte 6: expected String, found nil"),
    ("83a46974656da0a5706172747390a46974656da0", "byte 14: the map has this key twice"),
    ("81c001", "byte 1: expected a key of text or Int, found nil"),
    ("81cfffffffffffffffff01", "byte 1: expected a key of text or Int, found a whole number"),
  ]) func valuesOfAnotherType(hex: String, words: String) { #expect(message(Order.self, hex) == words) }

  @Test func placesInsideLists() {
    #expect(message([[Int]].self, "92910192a161c3") == "at [1].[0], byte 4: expected Int, found text")
    #expect(
      message([Int: [Bool]].self, "81059101") == "at [5].[0], byte 3: expected Bool, found a whole number")
    #expect(message([Date].self, "91d5ff0000") == "at [0], byte 1: a timestamp has 2 bytes, not 4, 8 or 12")
    #expect(
      message([Date].self, "91d7ffee6b280065920080")
        == "at [0], byte 1: a timestamp has more than 999,999,999 nanoseconds")
    #expect(
      message([Date].self, "91c70cff000000007fffffffffffffff")
        == "at [0], byte 1: a timestamp is beyond what a date can be")
    #expect(
      message([Date].self, "91d605000000ff") == "at [0], byte 1: expected Date, found an extension of type 5")
    #expect(message(Double.self, "cfffffffffffffffff") == "byte 0: the number does not fit in Double")
    #expect(message(Float.self, "cb7fe0000000000000") == "byte 0: the number does not fit in Float")
  }

  @Test func anArrayThatIsTooShortForItsType() {
    struct Pair: Decodable {
      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        for _ in 0..<2 { _ = try list.decode(Int.self) }
      }
    }
    #expect(
      message([Pair].self, "929101920102")
        == "at [0], byte 1: the array has no more than 1 elements, expected Int")
  }

  @Test func numbersOfOtherForms() throws {
    #expect(try decode(Double.self, bytes("05")) == 5)
    #expect(try decode(Float.self, encode(0.1)) == 0.1)
    #expect(try decode(Double.self, encode(Float(0.5))) == 0.5)
    #expect(try decode(UInt8.self, bytes("d30000000000000007")) == 7)
    #expect(try decode(Int8.self, bytes("d3ffffffffffffff80")) == -128)
  }

  @Test func depthIsLimited() {
    for first in ["91", "8100"] {
      let limit = MessagePackCodec.depthLimit
      #expect(
        message(Int.self, String(repeating: first, count: limit) + "00")?.hasPrefix("byte 0: expected Int")
          == true)
      let deep = message(Tree.self, String(repeating: first, count: 100_000))
      #expect(deep == "byte \(limit * first.count / 2): arrays and maps are nested deeper than \(limit)")
    }
  }

  @Test func noPrefixAndNoChangedByteCrashes() throws {
    let value = VectorTests.Nested.example
    let good = try encode(value)
    for index in good.indices {
      #expect(throws: DecodingError.self) { try decode(Tree.self, Array(good[..<index])) }
      for changed in [0, 1, 0x7F, 0x81, 0x8F, 0x91, 0x9F, 0xA0, 0xA3, 0xBF, 0xFF] + Array(0xC0...0xE0)
        as [UInt8]
      {
        var bad = good
        bad[index] = changed
        _ = try? decode(VectorTests.Nested.self, bad)
        guard let tree = try? decode(Tree.self, bad) else { continue }
        #expect(try decode(Tree.self, encode(tree)) == tree || bad.contains(0xCB) || bad.contains(0xCA))
      }
    }
  }

  @Test func aLargeMapInAnyOrderIsReadAndItsTwinsAreFound() throws {
    let shuffled = (0..<20_000).shuffled()
    let body: [UInt8] = try shuffled.flatMap { number -> [UInt8] in try encode(number) + [0xC3] }
    let map = try decode([Int: Bool].self, bytes("df00004e20") + body)
    #expect(map.count == 20_000)
    #expect(
      message([Int: Bool].self, hex(bytes("df00004e21") + body + [0x05, 0xC3]))?.hasSuffix(
        "the map has this key twice") == true)
  }
}
