/// The elements of an array, one after the other.
struct ArrayEncoder: UnkeyedEncodingContainer {
  let frame: EncodingNode

  var codingPath: [any CodingKey] { frame.path }
  var count: Int { frame.count }

  private func put(_ write: (Output) -> Bool) throws {
    try frame.check()
    try frame.put(write)
    frame.count += 1
  }

  func encodeNil() throws {
    try put {
      $0.null(); return true
    }
  }
  func encode(_ value: Bool) throws {
    try put {
      $0.bool(value); return true
    }
  }
  func encode(_ value: String) throws { try put { $0.text(value) } }
  func encode(_ value: Double) throws {
    try put {
      $0.double(value); return true
    }
  }
  func encode(_ value: Float) throws {
    try put {
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

  private func integer(_ value: some FixedWidthInteger) throws {
    try put {
      $0.integer(value); return true
    }
  }

  func encode<Value: Encodable>(_ value: Value) throws {
    if let write = try frame.form(value) { return try put(write) }
    try frame.check()
    try frame.nested(at: PathKey(intValue: frame.count)) { try $0.encode(value) }
    frame.count += 1
  }

  func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    ValueEncoder(frame: child()).container(keyedBy: type)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    ValueEncoder(frame: child()).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { ValueEncoder(frame: child()) }

  /// An element that is put in its place at the end.
  private func child() -> EncodingNode {
    let child = EncodingNode(Output(), frame.session, frame, at: PathKey(intValue: frame.count))
    // A failure is kept, and thrown by what comes next.
    if (try? frame.check()) != nil {
      frame.session.add(frame)
      frame.children.append((frame.output.bytes.count, child))
      frame.count += 1
    }
    return child
  }
}
