/// The values of a map by their keys.
struct MapDecoder<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let input: Input
  private let list: CodingPathNode.List
  private let entries: [MapEntry]

  init(input: Input, place: CodingPathNode) throws {
    self.input = input
    list = CodingPathNode.List(place, isMap: true)
    entries = try input.entries(place)
  }

  var codingPath: [any CodingKey] { input.path(list.place) }

  var allKeys: [Key] {
    entries.compactMap { entry in
      if let number = entry.number { return Key(intValue: number) }
      return Key(stringValue: String(decoding: input.bytes[entry.text], as: UTF8.self))
    }
  }

  func contains(_ key: Key) -> Bool { input.find(key, in: entries) != nil }

  private func place(_ key: some CodingKey) throws -> CodingPathNode {
    if let entry = input.find(key, in: entries) {
      return CodingPathNode(at: entry.value, list: list, step: entry.key)
    }
    let words = "the map has no key \(key.intValue.map { "\($0)" } ?? key.stringValue)"
    throw DecodingError.keyNotFound(key, input.context(list.place.at, words, path: codingPath))
  }

  func decodeNil(forKey key: Key) throws -> Bool { input.isNil(try place(key)) }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try input.bool(try place(key)) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try input.text(try place(key)) }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try input.double(try place(key)) }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try input.float(try place(key)) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try input.integer(type, try place(key)) }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try input.integer(type, try place(key)) }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try input.integer(type, try place(key)) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try input.integer(type, try place(key)) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try input.integer(type, try place(key)) }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try input.integer(type, try place(key)) }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try input.integer(type, try place(key)) }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 {
    try input.integer(type, try place(key))
  }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 {
    try input.integer(type, try place(key))
  }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 {
    try input.integer(type, try place(key))
  }

  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    try input.value(type, try place(key))
  }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
    -> KeyedDecodingContainer<Nested>
  {
    try ValueDecoder(input: input, place: try place(key)).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try ArrayDecoder(input: input, place: try place(key))
  }

  func superDecoder() throws -> any Decoder {
    ValueDecoder(input: input, place: try place(PathKey(stringValue: "super")))
  }
  func superDecoder(forKey key: Key) throws -> any Decoder {
    ValueDecoder(input: input, place: try place(key))
  }
}
