internal import Qudo

// A job of a group has a row in qudo_group from its enqueue on until it is deleted. When the job becomes ready it gets a place, which is
// its due time in qudo_ready; its true due time stays in qudo_job. Jobs without a group come here only to learn that no job has one, which
// the connection usually knows.
//
// The places are those of start-time fair queuing. A job comes after the last one of its group, and not before the first ready job of its
// kind and priority: so a group that was idle has no advantage, and one that has a million jobs waits behind the ten of another.

/// What a transaction knows of the places of one kind and rank.
struct GroupPlaces {
  /// The place of the first ready job; nil if there is none.
  var first: Int64?
  /// The highest place of each group that was looked up; nil for one without a place.
  var last: [[UInt8]: Int64?] = [:]
}

/// The kind and rank of ``GroupPlaces``.
struct RankedKind: Hashable {
  let kind: Int64
  let rank: Int64
}

extension Transaction {
  /// Whether any job has a group.
  @inline(__always)
  func hasGroups() throws(QudoError) -> Bool {
    guard let known = connection.cache.hasGroups else {
      // A new connection learns it with the highest id, which it needs anyway.
      if connection.hints.highestID == nil { _ = try highestID() }
      return try groupTable.hasAny()
    }
    return known
  }

  /// Whether a job without a group takes turns with those that have one.
  func isGrouped(_ kind: Int64) throws(QudoError) -> Bool {
    guard try hasGroups() else { return false }
    if let known = effects.groupedKinds[kind] { return known }
    let isGrouped = try groupTable.hasGroups(of: kind)
    effects.groupedKinds[kind] = isGrouped
    return isGrouped
  }

  /// Forgets the places, because ready or running jobs have left or came back.
  @inline(__always)
  func forgetPlaces() {
    guard connection.cache.hasGroups != false else { return }
    if !effects.places.isEmpty { effects.places = [:] }
    if !effects.groupedKinds.isEmpty { effects.groupedKinds = [:] }
  }

  // MARK: Filing jobs

  /// Stores the group of a new or overwritten job, which has no place yet.
  func setGroup(of id: Int64, _ group: String?, _ key: SortKey) throws(QudoError) {
    if let group {
      try groupTable.set(id, group, kind: key.kind, rank: key.rank, place: nil)
    } else {
      try deleteGroups(id...id)
    }
  }

  /// Gives a job that becomes ready its place. A place that it has had counts as the last one of its group, so that a job which is retried
  /// at once does not come before those of other groups again and again.
  ///
  /// - Parameter key: Its kind, rank and due time.
  /// - Returns: Its sort key in `qudo_ready`.
  func place(_ id: Int64, _ key: SortKey) throws(QudoError) -> SortKey {
    guard try hasGroups() else { return key }
    return try placeNew(id, groupTable.row(of: id)?.group, key)
  }

  /// Gives a job that ran and is ready again a new place.
  func placeAgain(_ id: Int64) throws(QudoError) {
    guard try hasGroups(), let key = try jobTable.sortKey(of: id) else { return }
    _ = try place(id, key)
  }

  /// Gives a new job that is ready at once its place.
  func placeNew(_ id: Int64, _ group: String?, _ key: SortKey) throws(QudoError) -> SortKey {
    if let group { return try place(id, group, key) }
    return try isGrouped(key.kind) ? place(id, GroupTable.none, key) : key
  }

  private func place(_ id: Int64, _ group: String, _ key: SortKey) throws(QudoError) -> SortKey {
    let queue = RankedKind(kind: key.kind, rank: key.rank)
    let name = Array(group.utf8)
    var places =
      if let known = effects.places[queue] { known } else { GroupPlaces(first: try firstPlace(of: queue)) }
    let last =
      if let known = places.last[name] {
        known
      } else {
        try groupTable.lastPlace(of: group, kind: key.kind, rank: key.rank)
      }
    let place = max(places.first ?? now.wall.microseconds, last.map { $0.clampedPlus(1) } ?? .min)
    try groupTable.set(id, group, kind: key.kind, rank: key.rank, place: place)
    places.first = min(places.first ?? place, place)
    places.last[name] = place
    effects.places[queue] = places
    if group != GroupTable.none { effects.groupedKinds[key.kind] = true }
    return SortKey(kind: key.kind, rank: key.rank, due: place)
  }

  private func firstPlace(of queue: RankedKind) throws(QudoError) -> Int64? {
    // Jobs of this transaction may not be written yet.
    try insertCollectedReady()
    return try readyTable.firstPlace(of: queue.kind, rank: queue.rank)
  }

  /// Takes the place of a job that is delayed now.
  func clearPlace(of id: Int64) throws(QudoError) {
    guard try hasGroups() else { return }
    try groupTable.clearPlace(of: id)
    forgetPlaces()
  }

  /// Whether a job whose change moves it nowhere goes back to where it was among the ready ones.
  func keepsPlace(_ id: Int64, wasDelayed: Bool, due: Int64) throws(QudoError) -> Bool {
    guard try hasGroups() else { return false }
    if try groupTable.row(of: id)?.place != nil { return true }
    return !wasDelayed && due <= now.wall.microseconds
  }

  /// Deletes the groups of jobs that are deleted.
  @inline(__always)
  func deleteGroups(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    guard try hasGroups() else { return }
    try groupTable.delete(jobs)
    forgetPlaces()
  }
}
