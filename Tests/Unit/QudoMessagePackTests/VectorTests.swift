import Foundation
import Testing

/// Byte for byte what PyPI's `msgpack` packs, and the reverse. `vectors.py` makes the vectors.
struct VectorTests {
  struct Vector: Decodable, CustomTestStringConvertible {
    var kind: String
    var value: Value?
    var hex: String
    var length: Int?
    var testDescription: String { "\(kind) \(hex.prefix(40))" }

    enum Value: Decodable {
      case bool(Bool), text(String)
      init(from decoder: any Decoder) throws {
        let one = try decoder.singleValueContainer()
        if let value = try? one.decode(Bool.self) {
          self = .bool(value)
        } else {
          self = .text(try one.decode(String.self))
        }
      }
    }

    var text: String { if case .text(let text) = value { text } else { "" } }
    var size: Int { Int(text) ?? 0 }
    var isTrue: Bool { if case .bool(let value) = value { value } else { false } }
  }

  static let vectors: [Vector] = {
    let place = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "vectors.json")
    return (try? JSONDecoder().decode([Vector].self, from: Data(contentsOf: place))) ?? []
  }()

  @Test func allSortsOfVectorsAreThere() {
    #expect(Self.vectors.count > 110)
    #expect(Set(Self.vectors.map(\.kind)).count == 15)
  }

  @Test(arguments: vectors) func theBytesAreThoseOfPython(vector: Vector) throws {
    switch vector.kind {
    case "nil": try same(Int?.none, vector)
    case "bool": try same(vector.isTrue, vector)
    case "int": try integers(try #require(Int64(vector.text)), vector)
    case "uint": try integers(try #require(UInt64(vector.text)), vector)
    case "double":
      let number = Double(bitPattern: try #require(UInt64(vector.text)))
      #expect(try hex(encode(number)) == vector.hex)
      #expect(try decode(Double.self, bytes(vector.hex)).bitPattern == number.bitPattern)
    case "float": try same(Float(bitPattern: try #require(UInt32(vector.text))), vector)
    case "text": try same(vector.text, vector)
    case "date": try same(try date(vector.text), vector)
    case "tree": try same(Nested.example, vector)
    case "textKeys": try same(["": 0, "1": 1, "10": 2, "9": 3, "a": 4, "aa": 5, "b": 6, "é": 7], vector)
    case "intKeys": try same([Int.min: 0, -33: 1, -1: 2, 0: 3, 9: 4, 10: 5, 128: 6, Int.max: 7], vector)
    case "texts": try same(String(repeating: "a", count: vector.size), vector)
    case "binary":
      try same([UInt8](repeating: 0, count: vector.size), vector)
      try same(Data(count: vector.size), vector)
    case "zeros": try same([Int](repeating: 0, count: vector.size), vector)
    case "map": try same(Dictionary(uniqueKeysWithValues: (0..<vector.size).map { ($0, 0) }), vector)
    default: Issue.record("unknown kind \(vector.kind)")
    }
  }

  private func same<Value: Codable & Equatable>(_ value: Value, _ vector: Vector) throws {
    let encoded = try encode(value)
    #expect(encoded.count == vector.length ?? vector.hex.count / 2)
    #expect(hex(encoded.prefix(vector.hex.count / 2)) == vector.hex)
    if vector.length == nil { #expect(try decode(Value.self, bytes(vector.hex)) == value) }
    #expect(try decode(Value.self, encoded) == value)
  }

  /// All integer types that hold the number agree; the others refuse it.
  private func integers<Number: FixedWidthInteger & Codable>(_ number: Number, _ vector: Vector) throws {
    try same(number, vector)
    func check<Other: FixedWidthInteger & Codable>(_ type: Other.Type) throws {
      if let value = Other(exactly: number) {
        try same(value, vector)
        // An array of UInt8 is binary.
        if Other.self != UInt8.self {
          try same([value], Vector(kind: "", value: nil, hex: "91" + vector.hex, length: nil))
        }
        try same(["a": value], Vector(kind: "", value: nil, hex: "81a161" + vector.hex, length: nil))
      } else {
        #expect(message(type, vector.hex) == "byte 0: the number does not fit in \(type)")
      }
    }
    try check(Int.self); try check(Int8.self); try check(Int16.self); try check(Int32.self);
    try check(Int64.self)
    try check(UInt.self); try check(UInt8.self); try check(UInt16.self); try check(UInt32.self);
    try check(UInt64.self)
  }

  private func date(_ text: String) throws -> Date {
    let parts = text.split(separator: ".")
    let total = try #require(Int64(parts[0])) * 1_000_000 + #require(Int64(parts[1])) / 1000
    return Date(timeIntervalSince1970: Double(total) / 1e6)
  }

  struct Nested: Codable, Equatable {
    struct Item: Codable, Equatable {
      var name: String
      var count: Int
      var note: String??

      enum CodingKeys: String, CodingKey { case name, count, note }

      init(name: String, count: Int, note: String?? = .none) {
        (self.name, self.count, self.note) = (name, count, note)
      }

      init(from decoder: any Decoder) throws {
        let map = try decoder.container(keyedBy: CodingKeys.self)
        name = try map.decode(String.self, forKey: .name)
        count = try map.decode(Int.self, forKey: .count)
        note = map.contains(.note) ? .some(try map.decode(String?.self, forKey: .note)) : .none
      }
    }

    struct Empty: Codable, Equatable {
      var list: [Int] = []
      var map: [String: Int] = [:]

      init() {}
      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        self.list = try list.decode([Int].self)
        map = try list.decode([String: Int].self)
        _ = try list.decode(String.self)
        _ = try list.decode([UInt8].self)
      }

      func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        try list.encode(self.list)
        try list.encode(map)
        try list.encode("")
        try list.encode([UInt8]())
      }
    }

    var ok = true
    var matrix = [[1, 2], [], [300]]
    var items = [Item(name: "lamp", count: 3), Item(name: "é", count: -3, note: .some(nil))]
    var empty = Empty()

    static let example = Nested()
  }
}
