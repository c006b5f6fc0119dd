/// The elements of an array, one after the other.
struct ArrayDecoder: UnkeyedDecodingContainer {
  let input: Input
  private let list: CodingPathNode.List
  let elements: Int
  private(set) var currentIndex = 0
  /// The offset of the next element.
  private var at: Int

  init(input: Input, place: CodingPathNode) throws {
    let head = try input.located { () throws(Input.Fault) in try input.head(place.at) }
    guard case .array(let elements) = head.head else { throw input.mismatch([Any].self, place, head.head) }
    self.input = input
    list = CodingPathNode.List(place, isMap: false)
    self.elements = elements
    at = head.end
  }

  var codingPath: [any CodingKey] { input.path(list.place) }
  var count: Int? { elements }
  var isAtEnd: Bool { currentIndex >= elements }

  private var place: CodingPathNode { CodingPathNode(at: at, list: list, step: currentIndex) }

  private mutating func next<Value>(_ type: Value.Type, _ read: (CodingPathNode) throws -> Value) throws
    -> Value
  {
    guard !isAtEnd else {
      let words = "the array has no more than \(elements) elements, expected \(type)"
      throw DecodingError.valueNotFound(type, input.context(list.place.at, words, path: codingPath))
    }
    let value = try read(place)
    try skip()
    return value
  }

  private mutating func skip() throws {
    at = try input.located { () throws(Input.Fault) in try input.end(at) }
    currentIndex += 1
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, input.isNil(place) else { return false }
    try skip()
    return true
  }

  mutating func decode(_ type: Bool.Type) throws -> Bool { try next(type, input.bool) }
  mutating func decode(_ type: String.Type) throws -> String { try next(type, input.text) }
  mutating func decode(_ type: Double.Type) throws -> Double { try next(type, input.double) }
  mutating func decode(_ type: Float.Type) throws -> Float { try next(type, input.float) }
  mutating func decode(_ type: Int.Type) throws -> Int { try integer(type) }
  mutating func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
  mutating func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
  mutating func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
  mutating func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
  mutating func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
  mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
  mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
  mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
  mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

  private mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
    try next(type) { [input] in try input.integer(type, $0) }
  }

  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try next(type) { [input] in try input.value(type, $0) }
  }

  mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key>
  {
    try next(KeyedDecodingContainer<Key>.self) { [input] in
      try ValueDecoder(input: input, place: $0).container(keyedBy: type)
    }
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try next((any UnkeyedDecodingContainer).self) { [input] in try ArrayDecoder(input: input, place: $0) }
  }

  mutating func superDecoder() throws -> any Decoder {
    try next((any Decoder).self) { [input] in ValueDecoder(input: input, place: $0) }
  }
}

extension Input {
  /// An error of the bytes as Codable's.
  func located<Value>(_ body: () throws(Fault) -> Value) throws -> Value {
    do { return try body() } catch { throw corrupt(error) }
  }
}
