/// A value on its own.
struct ValueDecoder: Decoder, SingleValueDecodingContainer {
  let input: Input
  let place: CodingPathNode

  var codingPath: [any CodingKey] { input.path(place) }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(try MapDecoder(input: input, place: place))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try ArrayDecoder(input: input, place: place)
  }
  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { input.isNil(place) }
  func decode(_ type: Bool.Type) throws -> Bool { try input.bool(place) }
  func decode(_ type: String.Type) throws -> String { try input.text(place) }
  func decode(_ type: Double.Type) throws -> Double { try input.double(place) }
  func decode(_ type: Float.Type) throws -> Float { try input.float(place) }
  func decode(_ type: Int.Type) throws -> Int { try input.integer(type, place) }
  func decode(_ type: Int8.Type) throws -> Int8 { try input.integer(type, place) }
  func decode(_ type: Int16.Type) throws -> Int16 { try input.integer(type, place) }
  func decode(_ type: Int32.Type) throws -> Int32 { try input.integer(type, place) }
  func decode(_ type: Int64.Type) throws -> Int64 { try input.integer(type, place) }
  func decode(_ type: UInt.Type) throws -> UInt { try input.integer(type, place) }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try input.integer(type, place) }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try input.integer(type, place) }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try input.integer(type, place) }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try input.integer(type, place) }
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try input.value(type, place) }
}
