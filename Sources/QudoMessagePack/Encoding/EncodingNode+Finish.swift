extension EncodingNode {
  /// Completes the value: heads, the order of keys, what had its own output.
  func finish() throws {
    try check()
    switch state {
    // A type that encodes nothing.
    case .empty: output.bytes.append(0x80)
    case .scalar: break
    case .array: try finishArray()
    case .map: try finishMap()
    }
    isFinished = true
  }

  private func head(_ count: Int, isMap: Bool) throws -> [UInt8] {
    guard let head = Output.head(count, isMap: isMap) else {
      throw EncodingError.invalidValue(
        type ?? Any.self, context("a list is longer than MessagePack allows, 2^32 - 1"))
    }
    return head
  }

  private func finishArray() throws {
    if !children.isEmpty {
      let old = Array(output.bytes[start...])
      output.bytes.removeSubrange(start...)
      var copied = start
      for (place, frame) in children {
        try frame.finish()
        output.bytes.append(contentsOf: old[(copied - start)..<(place - start)])
        output.bytes.append(contentsOf: frame.output.bytes)
        copied = place
      }
      output.bytes.append(contentsOf: old[(copied - start)...])
    }
    place(try head(count, isMap: false))
  }

  /// Most heads are one byte, and have their place.
  private func place(_ head: [UInt8]) {
    if head.count == 1 {
      output.bytes[start] = head[0]
    } else {
      output.bytes.replaceSubrange(start...start, with: head)
    }
  }

  private func finishMap() throws {
    for entry in entries { try entry.child?.finish() }
    let isInOrder = zip(entries, entries.dropFirst()).allSatisfy { precedes(key($0), key($1)) }
    if isInOrder, !entries.contains(where: { $0.child != nil }) {
      return place(try head(entries.count, isMap: true))
    }
    let order = isInOrder ? Array(entries.indices) : ordered()
    var map = try head(order.count, isMap: true)
    map.reserveCapacity(output.bytes.count - start + 5)
    for index in order {
      let end = index + 1 < entries.count ? entries[index + 1].key : output.bytes.count
      map.append(contentsOf: output.bytes[entries[index].key..<end])
      if let child = entries[index].child { map.append(contentsOf: child.output.bytes) }
    }
    output.bytes.replaceSubrange(start..., with: map)
  }

  /// By key. If a key was encoded twice, the last value counts.
  private func ordered() -> [Int] {
    let sorted = entries.indices.sorted { a, b in
      if precedes(key(entries[a]), key(entries[b])) { return true }
      return !precedes(key(entries[b]), key(entries[a])) && a < b
    }
    return sorted.indices.filter { at in
      at + 1 == sorted.count || precedes(key(entries[sorted[at]]), key(entries[sorted[at + 1]]))
    }.map { sorted[$0] }
  }

  private func key(_ entry: Entry) -> (number: Int?, text: ArraySlice<UInt8>) {
    (entry.number, output.bytes[entry.text])
  }
}
