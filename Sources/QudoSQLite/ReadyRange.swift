/// Jobs with ids one after the other that are stored and are still to be put with the ready.
struct ReadyRange {
  /// Where a job stands among the ready.
  struct Place {
    let kind: Int64
    let rank: Int64
    let due: Int64
  }
  private var ids: ClosedRange<Int64>?
  /// The first one's.
  private var place = Place(kind: 0, rank: 0, due: 0)

  /// False if it does not come next.
  mutating func append(_ id: Int64, _ place: Place) -> Bool {
    guard let known = ids else {
      (ids, self.place) = (id...id, place)
      return true
    }
    guard id == known.upperBound &+ 1, id > known.upperBound else { return false }
    ids = known.lowerBound...id
    return true
  }

  /// All of them, and where the first one stands.
  mutating func take() -> (ids: ClosedRange<Int64>, place: Place)? {
    guard let ids else { return nil }
    self.ids = nil
    return (ids, place)
  }
}
