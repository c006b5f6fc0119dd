/// One key of a map and where its value is.
struct MapEntry {
  /// Of a number; nil for text.
  let number: Int?
  /// Of text.
  let text: Range<Int>
  let key: Int
  let value: Int
}

/// The order of keys: numbers, then text by its bytes.
func precedes(_ a: (number: Int?, text: ArraySlice<UInt8>), _ b: (number: Int?, text: ArraySlice<UInt8>))
  -> Bool
{
  switch (a.number, b.number) {
  case (let a?, let b?): a < b
  case (_?, nil): true
  case (nil, _?): false
  case (nil, nil): a.text.lexicographicallyPrecedes(b.text)
  }
}

extension Input {
  /// A map's keys in order. A key that is neither text nor an `Int`, or is there twice, is an error.
  func entries(_ place: CodingPathNode) throws -> [MapEntry] {
    let (head, end) = try located { () throws(Fault) in try self.head(place.at) }
    guard case .map(let count) = head else { throw mismatch([String: Any].self, place, head) }
    var entries: [MapEntry] = []
    // The check has found that there are so many.
    entries.reserveCapacity(count)
    var at = end
    var isSorted = true
    for _ in 0..<count {
      let entry = try entry(at: at, of: place)
      at = try located { () throws(Fault) in try self.end(entry.value) }
      if let last = entries.last, isSorted { isSorted = precedes(key(last), key(entry)) }
      entries.append(entry)
    }
    if isSorted { return entries }
    entries.sort { precedes(key($0), key($1)) }
    for (one, other) in zip(entries, entries.dropFirst()) where !precedes(key(one), key(other)) {
      let byte = max(one.key, other.key)
      throw DecodingError.dataCorrupted(context(byte, "the map has this key twice", path: path(place)))
    }
    return entries
  }

  private func entry(at: Int, of map: CodingPathNode) throws -> MapEntry {
    let (head, end) = try located { () throws(Fault) in try self.head(at) }
    switch head {
    case .text(let range): return MapEntry(number: nil, text: range, key: at, value: end)
    case .int(let number):
      if let number = Int(exactly: number) {
        return MapEntry(number: number, text: at..<at, key: at, value: end)
      }
      fallthrough
    default:
      let words = "expected a key of text or Int, found \(head.words)"
      throw DecodingError.typeMismatch(String.self, context(at, words, path: path(map)))
    }
  }

  private func key(_ entry: MapEntry) -> (number: Int?, text: ArraySlice<UInt8>) {
    (entry.number, bytes[entry.text])
  }

  /// The entry of a key: of its number, if it has one, or else of its text.
  func find(_ key: some CodingKey, in entries: [MapEntry]) -> MapEntry? {
    if let number = key.intValue, entries.first?.number != nil {
      let found = find(in: entries) { ($0.number ?? .max, $0.number == nil) < (number, false) }
      if let found, found.number == number { return found }
    }
    var name = key.stringValue
    return name.withUTF8 { name in
      let found = find(in: entries) { $0.number != nil || bytes[$0.text].lexicographicallyPrecedes(name) }
      guard let found, found.number == nil, bytes[found.text].elementsEqual(name) else { return nil }
      return found
    }
  }

  /// The first that is not before.
  private func find(in entries: [MapEntry], isBefore: (MapEntry) -> Bool) -> MapEntry? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(entries[middle]) { low = middle + 1 } else { high = middle }
    }
    return low < entries.count ? entries[low] : nil
  }
}

/// No tuple of an `Int` and a `Bool` is comparable by itself.
private func < (a: (Int, Bool), b: (Int, Bool)) -> Bool { a.0 != b.0 ? a.0 < b.0 : !a.1 && b.1 }
