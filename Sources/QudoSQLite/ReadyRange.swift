/// Jobs with ids one after the other that are stored and are still to be put with the ready.
struct ReadyRange {
  /// Where a job stands among the ready.
  struct SortKey: Equatable {
    let kind: Int64
    let rank: Int64
    let due: Int64
  }
  /// Those of them that stand at one place: a row of the ready.
  struct Part {
    var ids: ClosedRange<Int64>
    let place: SortKey
  }
  /// The last part. Most often it is the only one.
  private var last: Part?
  private var others: [Part] = []

  /// False if it does not come next.
  mutating func append(_ id: Int64, _ place: SortKey) -> Bool {
    guard let part = last else {
      last = Part(ids: id...id, place: place)
      return true
    }
    guard id == part.ids.upperBound &+ 1, id > part.ids.upperBound else { return false }
    if part.place == place {
      last?.ids = part.ids.lowerBound...id
    } else {
      others.append(part)
      last = Part(ids: id...id, place: place)
    }
    return true
  }

  /// All of them, in the order of their ids: the last part, and those before it.
  mutating func take() -> (others: [Part], last: Part)? {
    guard let part = last else { return nil }
    defer { (others, last) = ([], nil) }
    return (others, part)
  }
}
