import Foundation
import QudoMessagePack
import Testing

/// The ways in which a type can encode itself.
struct ShapeTests {
  private func same<Value: Codable & Equatable>(_ value: Value, _ expected: String? = nil) throws {
    let encoded = try encode(value)
    if let expected { #expect(hex(encoded) == expected) }
    #expect(try decode(Value.self, encoded) == value)
  }

  enum Shape: Codable, Hashable {
    case point
    case circle(radius: Double)
    case label(String, size: Int?)
    indirect case both(Shape, Shape)
  }

  @Test func enumsWithPayloads() throws {
    try same(Shape.point, "81a5706f696e7480")
    try same(Shape.circle(radius: 1), "81a6636972636c6581a6726164697573cb3ff0000000000000")
    try same(Shape.both(.label("a", size: nil), .both(.point, .label("b", size: 2))))
    try same([Shape.point, .circle(radius: .infinity)])
  }

  @Test func optionals() throws {
    struct Holder: Codable, Equatable { var a: Int?; var b: [Int?]; var c: [String: Int?] }
    try same(Holder(a: nil, b: [1, nil], c: ["x": nil]), "82a1629201c0a16381a178c0")
    try same(Holder(a: 0, b: [], c: [:]), "83a16100a16290a16380")
    #expect(try decode(Holder.self, bytes("83a161c0a16290a16380")) == Holder(a: nil, b: [], c: [:]))
  }

  class Animal: Codable {
    var name = "a"
  }

  final class Dog: Animal {
    var age = 7
    enum CodingKeys: String, CodingKey { case age }
    override init() { super.init() }
    required init(from decoder: any Decoder) throws {
      let map = try decoder.container(keyedBy: CodingKeys.self)
      age = try map.decode(Int.self, forKey: .age)
      try super.init(from: map.superDecoder())
    }
    override func encode(to encoder: any Encoder) throws {
      var map = encoder.container(keyedBy: CodingKeys.self)
      try super.encode(to: map.superEncoder())
      try map.encode(age, forKey: .age)
    }
  }

  @Test func superEncodersOfMaps() throws {
    let encoded = try encode(Dog())
    #expect(hex(encoded) == "82a361676507a5737570657281a46e616d65a161")
    let dog = try decode(Dog.self, encoded)
    #expect(dog.age == 7 && dog.name == "a")
  }

  /// Takes all containers first and fills them in turns.
  struct Interleaved: Codable, Equatable {
    enum CodingKeys: CodingKey { case z, list, map, deep, more }
    init() {}

    func encode(to encoder: any Encoder) throws {
      var outer = encoder.container(keyedBy: CodingKeys.self)
      var list = outer.nestedUnkeyedContainer(forKey: .list)
      var map = outer.nestedContainer(keyedBy: CodingKeys.self, forKey: .map)
      try list.encode(1)
      try map.encode("m", forKey: .z)
      try outer.encode(true, forKey: .z)
      var inner = list.nestedUnkeyedContainer()
      try list.encode("after")
      var innerMap = list.nestedContainer(keyedBy: CodingKeys.self)
      try innerMap.encodeNil(forKey: .deep)
      try inner.encode([9])
      try map.encode([1: "x"], forKey: .deep)
      var second = encoder.container(keyedBy: CodingKeys.self)
      try second.encode(2.5, forKey: .more)
      var more = list.superEncoder().unkeyedContainer()
      try more.encodeNil()
    }

    init(from decoder: any Decoder) throws {
      let outer = try decoder.container(keyedBy: CodingKeys.self)
      var list = try outer.nestedUnkeyedContainer(forKey: .list)
      let map = try outer.nestedContainer(keyedBy: CodingKeys.self, forKey: .map)
      #expect(try map.decode(String.self, forKey: .z) == "m")
      #expect(try map.decode([Int: String].self, forKey: .deep) == [1: "x"])
      #expect(list.count == 5)
      #expect(try list.decode(Int8.self) == 1)
      var inner = try list.nestedUnkeyedContainer()
      #expect(try inner.decode([Int].self) == [9])
      #expect(inner.isAtEnd)
      #expect(try list.decode(String.self) == "after")
      let innerMap = try list.nestedContainer(keyedBy: CodingKeys.self)
      #expect(try innerMap.decodeNil(forKey: .deep))
      var last = try list.superDecoder().unkeyedContainer()
      #expect(try last.decodeNil())
      #expect(list.isAtEnd)
    }
  }

  @Test func containersThatAreFilledInTurns() throws {
    let encoded = try encode(Interleaved())
    #expect(
      hex(encoded) == """
        84a46c6973749501919109a5616674657281a464656570c091c0\
        a36d617082a4646565708101a178a17aa16da46d6f7265cb4004000000000000a17ac3
        """)
    _ = try decode(Interleaved.self, encoded)
    _ = try decode([Interleaved].self, encode([Interleaved(), Interleaved()]))
  }

  @Test func keysOfDictionaries() throws {
    enum Color: String, Codable, CodingKeyRepresentable { case red, one = "1" }
    enum Level: Int, Codable, CodingKeyRepresentable { case low = 1, high = 300 }
    try same([1: "a", -1: "b"], "82ffa16201a161")
    try same(["007": 1, "7": 2, "-1": 3], "83a22d3103a330303701a13702")
    try same([Color.red: 1, .one: 2], "82a13102a372656401")
    try same([Level.low: 1, .high: 2], "820101cd012c02")
    try same([UInt8(5): true], "9205c3")
    try same([String: [Int: [String]]]())
    #expect(try decode([Int: Int].self, bytes("81a13507")) == [5: 7])
  }

  @Test func codingKeysThatAreNumbersAreShort() throws {
    struct Short: Codable, Equatable {
      enum CodingKeys: Int, CodingKey { case name = 1, size = 2 }
      var name = "a"
      var size = 3
    }
    try same(Short(), "8201a1610203")
    #expect(try decode(Short.self, bytes("82a46e616d65a161a473697a6503")) == Short())
  }

  @Test func equalDictionariesHaveEqualBytes() throws {
    let pairs = (0..<100).map { ("key \($0)", $0) }
    var large = Dictionary<String, Int>(minimumCapacity: 5000)
    for (key, value) in pairs.reversed() { large[key] = value }
    #expect(try encode(large) == encode(Dictionary(uniqueKeysWithValues: pairs)))
  }

  @Test func datesComeBackToTheBit() throws {
    let edges: [Double] = [
      0, 0.1, -0.1, 1e-9, 978_307_200, 1e10, -1e10, -62_135_596_800, 1e17, 4e18, 0.999_999_9,
    ]
    for time in edges { try same(Date(timeIntervalSince1970: time)) }
    for _ in 0..<2000 {
      try same(Date(timeIntervalSince1970: .random(in: 1_100_000_000...2_000_000_000)))
      try same(Date(timeIntervalSinceReferenceDate: .random(in: -900_000_000 ... -30_000_000)))
      // The bits of a date are finer than nanoseconds near the turn to 2001 only.
      let date = Date(timeIntervalSinceReferenceDate: .random(in: -3e7...3e7))
      #expect(try abs(decode(Date.self, encode(date)).timeIntervalSince(date)) < 2e-9)
    }
    try same([Date.distantPast, .distantFuture])
    for time in [Double.nan, .infinity, -1e300, 1e19] {
      #expect(throws: EncodingError.self) { try encode(Date(timeIntervalSinceReferenceDate: time)) }
    }
  }

  @Test func foundationTypes() throws {
    let id = try #require(UUID(uuidString: "E621E1F8-C36C-495A-93FC-0C247A3E6E5F"))
    try same(id)
    try same([id: Decimal(string: "1.10")])
    let link = try #require(URL(string: "https://example.org/?q=a%20b"))
    #expect(try encode([link]) == encode(["https://example.org/?q=a%20b"]))
    try same([link])
    #expect(message(URL.self, "a0") == "byte 0: the text is not a URL")
  }

  @Test func bytesAreTakenFromNumbersToo() throws {
    #expect(try decode([UInt8].self, bytes("9300ccff01")) == [0, 255, 1])
    #expect(try decode(Data.self, bytes("9300ccff01")) == Data([0, 255, 1]))
    #expect(message([UInt8].self, "9100a161") == "byte 2: 2 bytes follow the value")
    #expect(message([UInt8].self, "9200cd0100") == "at [1], byte 2: the number does not fit in UInt8")
    #expect(message([UInt8].self, "a161") == "byte 0: expected Array<Any>, found text")
  }

  @Test func whatATypeCatchesLeavesNothingBehind() throws {
    struct Refuses: Encodable {
      func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Tree.Key.self)
        try map.encode(1, forKey: .init(stringValue: "half"))
        throw CancellationError()
      }
    }
    struct Careful: Encodable {
      func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Tree.Key.self)
        try map.encode(1, forKey: .init(stringValue: "a"))
        try? map.encode(Refuses(), forKey: .init(stringValue: "b"))
        try map.encode(3, forKey: .init(stringValue: "c"))
      }
    }
    #expect(try hex(encode([Careful()])) == "9182a16101a16303")
    #expect(throws: CancellationError.self) { try encode(Refuses()) }
  }

  @Test func aTypeThatEncodesNothingOrTwoThings() throws {
    struct Nothing: Encodable { func encode(to encoder: any Encoder) {} }
    struct Twice: Encodable {
      func encode(to encoder: any Encoder) throws {
        var one = encoder.singleValueContainer()
        try one.encode(1)
        try one.encode(2)
      }
    }
    struct Mixed: Encodable {
      func encode(to encoder: any Encoder) throws {
        _ = encoder.unkeyedContainer()
        _ = encoder.container(keyedBy: Tree.Key.self)
      }
    }
    struct SameKey: Encodable {
      func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Tree.Key.self)
        for number in 1...3 { try map.encode(number, forKey: .init(stringValue: number == 2 ? "a" : "b")) }
      }
    }
    #expect(try hex(encode([Nothing()])) == "9180")
    #expect(throws: EncodingError.self) { try encode([Twice()]) }
    #expect(throws: EncodingError.self) { try encode([Mixed()]) }
    #expect(try hex(encode(SameKey())) == "82a16102a16203")
  }

  /// Found by the fuzzer: what holds containers that are filled later was held by them.
  @Test(arguments: [false, true]) func nothingIsLeftInMemory(fails: Bool) throws {
    final class Seen {
      weak var frame: AnyObject?
      var wasThere = false
    }
    struct Watched: Encodable {
      let seen: Seen
      let fails: Bool
      func encode(to encoder: any Encoder) throws {
        seen.frame = Mirror(reflecting: encoder).descendant("frame") as AnyObject
        seen.wasThere = seen.frame != nil
        var map = encoder.container(keyedBy: Tree.Key.self)
        var inner = map.nestedContainer(keyedBy: Tree.Key.self, forKey: .init(stringValue: "a"))
        var list = inner.nestedUnkeyedContainer(forKey: .init(stringValue: "b"))
        var last = list.nestedUnkeyedContainer()
        try last.encode(1)
        if fails { throw CancellationError() }
      }
    }
    let seen = Seen()
    let bytes = try? encode([Watched(seen: seen, fails: fails)])
    #expect(bytes.map(hex) == (fails ? nil : "9181a16181a162919101"))
    #expect(seen.wasThere)
    #expect(seen.frame == nil)
  }

  @Test func aRingOfObjectsIsAnErrorAndNoOverflow() throws {
    final class Link: Encodable { var next: [Link] = [] }
    let link = Link()
    link.next = [link]
    #expect(throws: EncodingError.self) { try encode(link) }
    link.next = []
  }

  @Test func whatIsEncodedUpToTheLimitIsDecoded() throws {
    func nest(_ depth: Int) -> Tree { (0..<depth).reduce(.int(1)) { inner, _ in .array([inner]) } }
    try same(nest(MessagePackCodec.depthLimit))
    #expect(throws: EncodingError.self) { try encode(nest(MessagePackCodec.depthLimit + 1)) }
  }
}
