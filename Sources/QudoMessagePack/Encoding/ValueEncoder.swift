/// A value on its own.
struct ValueEncoder: Encoder, SingleValueEncodingContainer {
  let frame: EncodingNode

  var codingPath: [any CodingKey] { frame.path }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    frame.begin(.map)
    return KeyedEncodingContainer(MapEncoder(frame: frame, keys: KeyForm(type, of: frame.type)))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    frame.begin(.array)
    return ArrayEncoder(frame: frame)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { self }

  func encodeNil() throws {
    try frame.scalar {
      $0.null(); return true
    }
  }
  func encode(_ value: Bool) throws {
    try frame.scalar {
      $0.bool(value); return true
    }
  }
  func encode(_ value: String) throws { try frame.scalar { $0.text(value) } }
  func encode(_ value: Double) throws {
    try frame.scalar {
      $0.double(value); return true
    }
  }
  func encode(_ value: Float) throws {
    try frame.scalar {
      $0.float(value); return true
    }
  }
  func encode(_ value: Int) throws { try integer(value) }
  func encode(_ value: Int8) throws { try integer(value) }
  func encode(_ value: Int16) throws { try integer(value) }
  func encode(_ value: Int32) throws { try integer(value) }
  func encode(_ value: Int64) throws { try integer(value) }
  func encode(_ value: UInt) throws { try integer(value) }
  func encode(_ value: UInt8) throws { try integer(value) }
  func encode(_ value: UInt16) throws { try integer(value) }
  func encode(_ value: UInt32) throws { try integer(value) }
  func encode(_ value: UInt64) throws { try integer(value) }
  func encode<Value: Encodable>(_ value: Value) throws { try frame.encode(value) }

  private func integer(_ value: some FixedWidthInteger) throws {
    try frame.scalar {
      $0.integer(value); return true
    }
  }
}
