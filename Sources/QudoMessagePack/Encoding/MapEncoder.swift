/// The values of a map with their keys.
struct MapEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let frame: EncodingNode
  let keys: KeyForm

  var codingPath: [any CodingKey] { frame.path }

  /// Writes a key; its value has to follow.
  private func put(key: some CodingKey) throws -> PathKey {
    try frame.check()
    let output = frame.output
    let start = output.bytes.count
    if let number = keys.number(of: key) {
      output.integer(number)
      frame.entries.append(.init(key: start, number: number, text: start..<start))
      return PathKey(intValue: number)
    }
    let name = key.stringValue
    try frame.put { $0.text(name) }
    let end = output.bytes.count
    frame.entries.append(.init(key: start, number: nil, text: end - name.utf8.count..<end))
    return PathKey(stringValue: name)
  }

  private func put(_ key: Key, _ write: (Output) -> Bool) throws {
    _ = try put(key: key)
    try frame.put(write)
  }

  func encodeNil(forKey key: Key) throws {
    try put(key) {
      $0.null(); return true
    }
  }
  func encode(_ value: Bool, forKey key: Key) throws {
    try put(key) {
      $0.bool(value); return true
    }
  }
  func encode(_ value: String, forKey key: Key) throws { try put(key) { $0.text(value) } }
  func encode(_ value: Double, forKey key: Key) throws {
    try put(key) {
      $0.double(value); return true
    }
  }
  func encode(_ value: Float, forKey key: Key) throws {
    try put(key) {
      $0.float(value); return true
    }
  }
  func encode(_ value: Int, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: Int8, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: Int16, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: Int32, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: Int64, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: UInt, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: UInt8, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: UInt16, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: UInt32, forKey key: Key) throws { try integer(value, key) }
  func encode(_ value: UInt64, forKey key: Key) throws { try integer(value, key) }

  private func integer(_ value: some FixedWidthInteger, _ key: Key) throws {
    try put(key) {
      $0.integer(value); return true
    }
  }

  func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
    if let write = try frame.form(value) { return try put(key, write) }
    let place = try put(key: key)
    do {
      try frame.nested(at: place) { try $0.encode(value) }
    } catch {
      if let entry = frame.entries.popLast() { frame.output.bytes.removeSubrange(entry.key...) }
      throw error
    }
  }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key)
    -> KeyedEncodingContainer<Nested>
  {
    ValueEncoder(frame: child(key)).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    ValueEncoder(frame: child(key)).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { ValueEncoder(frame: child(PathKey(stringValue: "super"))) }
  func superEncoder(forKey key: Key) -> any Encoder { ValueEncoder(frame: child(key)) }

  /// A value that is put behind its key at the end.
  private func child(_ key: some CodingKey) -> EncodingNode {
    // A failure is kept, and thrown by what comes next.
    let place = try? put(key: key)
    let child = EncodingNode(Output(), frame.session, frame, at: place)
    if place != nil {
      frame.session.add(frame)
      frame.entries[frame.entries.count - 1].child = child
    }
    return child
  }
}
