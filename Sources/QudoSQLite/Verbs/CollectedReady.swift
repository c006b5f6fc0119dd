/// Stored jobs with consecutive ids that are not in `qudo_ready` yet.
struct CollectedReady {
  /// An id range with one sort key, which becomes one row of `qudo_ready`.
  struct Part {
    var ids: ClosedRange<Int64>
    let key: SortKey
  }
  /// The last part, usually the only one.
  private var last: Part?
  private var others: [Part] = []

  /// Appends a job. Returns false if its id does not follow the last one.
  mutating func append(_ id: Int64, _ key: SortKey) -> Bool {
    guard let part = last else {
      last = Part(ids: id...id, key: key)
      return true
    }
    guard part.ids.precedes(id) else { return false }
    if part.key == key {
      last?.ids = part.ids.lowerBound...id
    } else {
      others.append(part)
      last = Part(ids: id...id, key: key)
    }
    return true
  }

  /// Removes and returns all parts in id order: the last part, and those before it.
  mutating func take() -> (others: [Part], last: Part)? {
    guard let part = last else { return nil }
    defer { (others, last) = ([], nil) }
    return (others, part)
  }
}
