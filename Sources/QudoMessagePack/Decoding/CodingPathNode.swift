/// The position of a value in the bytes, and the path to it.
struct CodingPathNode: Sendable {
  /// Its first byte.
  let at: Int
  /// The value that contains it; nil for the outermost one.
  let list: List?
  /// Its index, or in a map the first byte of its key.
  let step: Int

  static let outermost = CodingPathNode(at: 0, list: nil, step: 0)

  /// An array or map that is being decoded: there is one for all its elements.
  final class List: Sendable {
    let place: CodingPathNode
    let isMap: Bool

    init(_ place: CodingPathNode, isMap: Bool) {
      self.place = place
      self.isMap = isMap
    }
  }
}

/// A key of text or number, or an index.
struct PathKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  init(stringValue: String) {
    self.stringValue = stringValue
    intValue = nil
  }

  init(intValue: Int) {
    stringValue = "\(intValue)"
    self.intValue = intValue
  }
}

extension Input {
  /// Returns the coding path for an error. Types that try several forms create many errors, so the cost grows only with the depth.
  func path(_ place: CodingPathNode) -> [any CodingKey] {
    var keys: [PathKey] = []
    var place = place
    while let list = place.list {
      keys.append(list.isMap ? key(at: place.step) : PathKey(intValue: place.step))
      place = list.place
    }
    return keys.reversed()
  }

  private func key(at: Int) -> PathKey {
    switch try? head(at).head {
    case .text(let range): PathKey(stringValue: String(decoding: bytes[range], as: UTF8.self))
    case .int(let number): PathKey(intValue: Int(truncatingIfNeeded: number))
    default: PathKey(stringValue: "?")
    }
  }
}
