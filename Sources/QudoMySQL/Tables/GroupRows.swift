#if MySQL
internal import Qudo

/// The groups of jobs. `qudo_group` has a row for each live job with a group, and for those without one that take turns with them; other
/// jobs never touch it.
///
/// A job that becomes ready gets a place: one microsecond after the last place of its group, but not before the first ready job of its kind
/// and ranking. The place is the job's `due` in all tables while it is ready or runs, so that claims need not know of it, and the row has
/// the true due time. While the job is delayed or held, the row has neither.
///
/// The places are read without locks: two transactions that read the same ones give equal places, and then the ids decide.
///
/// Waiting jobs and leases say whether a job may have a row, so that the others pay nothing: see ``Candidate/flags`` and
/// ``ClaimedRows``. A driver looks for jobs with groups, when it enqueues one without, only in the kinds in which it has seen some: see
/// ``ControlHints/grouped``.
enum GroupRows {
  /// The bit of the column `flags` of a waiting job that may have a row.
  static let bit: Int64 = 16
  /// The group of a job without one that takes turns with those that have one. Enqueues refuse it.
  static let none: [UInt8] = []

  /// Adds the bit of jobs with a row to the column `flags`, for inserts with such jobs.
  static let flag: SQL =
    " + IF(EXISTS(SELECT 1 FROM qudo_group AS g WHERE g.job = qudo_job.id), \(bit), 0)"

  /// The number of groups whose last places one statement reads.
  private static let groupsAtOnce = 100

  /// Returns the query for whether a kind has ready or running jobs with groups.
  static func isGrouped(_ kind: Int64) -> SQL {
    "SELECT 1 FROM qudo_group WHERE kind = \(kind) AND grp > '' AND place IS NOT NULL LIMIT 1"
  }

  /// Returns the query for the first ready job's due time or place.
  ///
  /// - Parameter bound: The condition of a scan cursor, with an AND before it.
  static func first(_ queue: GroupQueue, _ bound: SQL) -> SQL {
    """
    SELECT due FROM qudo_ready WHERE kind = \(queue.kind) AND ranking = \(queue.ranking) \(bound)
    ORDER BY ranking, due, id LIMIT 1
    """
  }

  /// Returns queries for the last places of groups: the number of the group, and its last place if it has one.
  static func last(_ groups: [GroupKey]) -> [SQL] {
    zip(0..., groups).map { ($0, $1) }.parts(of: groupsAtOnce).map { part in
      part.map { number, group -> SQL in
        """
        (SELECT \(Int64(number)), place FROM qudo_group WHERE kind = \(group.queue.kind) AND grp = \(group.name) \
        AND ranking = \(group.queue.ranking) AND place IS NOT NULL ORDER BY place DESC LIMIT 1)
        """
      }.joined(" UNION ALL ")
    }
  }

  /// Returns a statement that stores rows, in place of those that the jobs have.
  static func store(_ rows: some Collection<SQL>) -> SQL {
    "REPLACE INTO qudo_group(job, kind, ranking, grp, place, due) VALUES\(Array(rows).joined(","))"
  }
}

/// The jobs of a kind and a ranking.
struct GroupQueue: Hashable {
  let kind: Int64
  let ranking: Int64
}

/// A group of a kind and a ranking.
struct GroupKey: Hashable {
  let queue: GroupQueue
  let name: [UInt8]
}

/// The place of a job that takes turns.
struct GroupPlace {
  let group: [UInt8]
  let place: Int64
  /// The true due time.
  let due: Int64
}

/// A job that becomes ready, for ``Transaction/places(for:besides:)``.
struct PlaceRequest {
  let queue: GroupQueue
  /// Nil for a job without a group.
  let group: [UInt8]?
}

/// The places that a transaction has read, for jobs that become ready together.
struct GroupPlaces {
  fileprivate var grouped: [Int64: Bool] = [:]
  fileprivate var first: [GroupQueue: Int64] = [:]
  fileprivate var last: [GroupKey: Int64] = [:]

  /// Notes a job that is ready at its due time or at a place that it has had.
  mutating func note(_ queue: GroupQueue, _ due: Int64) { first[queue] = min(first[queue] ?? due, due) }

  /// Gives the next job its place; nil for a job that takes no turn.
  ///
  /// - Parameter other: The place of a ready job that this does not know of.
  mutating func place(_ request: PlaceRequest, due: Int64, now: Int64, besides other: Int64? = nil)
    -> GroupPlace?
  {
    let queue = request.queue
    guard let group = request.group ?? (grouped[queue.kind] == true ? GroupRows.none : nil) else {
      return nil
    }
    let key = GroupKey(queue: queue, name: group)
    let place = max(
      [first[queue], other].compactMap(\.self).min() ?? now, last[key].map { $0.clampedPlus(1) } ?? .min)
    first[queue] = min(first[queue] ?? place, place)
    last[key] = place
    if !group.isEmpty { grouped[queue.kind] = true }
    return GroupPlace(group: group, place: place, due: due)
  }
}

extension Transaction {
  /// Whether jobs of a kind that have no group may take turns.
  func mayBeGrouped(_ kind: Int64) -> Bool { kinds.control.withLock { $0.grouped.contains(kind) } }

  /// Notes the kinds of jobs that a claim takes.
  func note(groupedKindsOf jobs: [Candidate]) {
    let kinds = Set(jobs.filter(\.mayBeGrouped).map(\.kind))
    self.kinds.control.withLock { $0.grouped.formUnion(kinds) }
  }

  /// Reads what the places of jobs depend on that become ready together; nil if none of them takes a turn.
  ///
  /// - Parameter ended: Jobs with expired leases that this transaction makes ready first.
  func places(for requests: [PlaceRequest], besides ended: [RunningRow] = []) throws(QudoError)
    -> GroupPlaces?
  {
    let hinted = kinds.control.withLock { hints in
      for request in requests where request.group?.isEmpty == false {
        hints.grouped.insert(request.queue.kind)
      }
      return hints.grouped
    }
    let turns = requests.filter { $0.group != nil || hinted.contains($0.queue.kind) }
    guard !turns.isEmpty else { return nil }
    let unsure = Set(turns.map(\.queue.kind)).sorted()
    let queues = Array(Set(turns.map(\.queue)))
    let groups = Array(Set(turns.map { GroupKey(queue: $0.queue, name: $0.group ?? GroupRows.none) }))
    let view = cursors.withLock { $0.bounds }
    let lasts = GroupRows.last(groups)
    let rows = try read(
      unsure.map { GroupRows.isGrouped($0) } + queues.map { GroupRows.first($0, view.ready($0.kind)) } + lasts
    )
    var places = GroupPlaces()
    for (kind, rows) in zip(unsure, rows) { places.grouped[kind] = rows.count > 0 }
    for (queue, rows) in zip(queues, rows.dropFirst(unsure.count)) {
      places.first[queue] = rows.next()?.integer(0)
    }
    for rows in rows.suffix(lasts.count) {
      while let row = rows.next() { places.last[groups[Int(row.integer(0))]] = row.integer(1) }
    }
    for row in ended {
      let queue = GroupQueue(kind: row.kind, ranking: row.ranking)
      guard queues.contains(queue) else { continue }
      places.first[queue] = min(places.first[queue] ?? row.due, row.due)
    }
    let gone = unsure.filter { kind in
      places.grouped[kind] == false && !turns.contains { $0.queue.kind == kind && $0.group != nil }
    }
    if !gone.isEmpty { kinds.control.withLock { $0.grouped.subtract(gone) } }
    return places
  }

  /// Gives stored jobs that become ready their places, in their order. It writes nothing.
  ///
  /// - Parameters:
  ///   - leaving: Jobs that leave their positions one after the other, in the order of their ids.
  ///   - keepsDue: Whether the due times of jobs that have places are these, and not the true ones.
  ///   - isReady: Whether a job becomes ready.
  ///   - ended: As in ``places(for:besides:)``.
  func placing(
    _ jobs: [Candidate], besides ended: [RunningRow] = [], leaving: [Candidate] = [], keepsDue: Bool = false,
    where isReady: (Candidate) -> Bool = { _ in true }
  ) throws(QudoError) -> [Candidate] {
    let known = try groups(of: jobs.filter { isReady($0) && $0.mayBeGrouped }.map(\.id))
    // Once one of these jobs has a group, the later ones of its kind take turns, even if the driver has not seen the group before.
    let grouped = kinds.control.withLock { $0.grouped }.union(
      jobs.lazy.filter { known[$0.id]?.name.isEmpty == false }.map(\.kind))
    let turns = jobs.filter { isReady($0) && ($0.mayBeGrouped || grouped.contains($0.kind)) }
    guard !turns.isEmpty else { return jobs }
    func request(_ job: Candidate) -> PlaceRequest {
      PlaceRequest(
        queue: GroupQueue(kind: job.kind, ranking: job.ranking), group: known[job.id]?.name)
    }
    guard var places = try places(for: turns.map { request($0) }, besides: ended) else { return jobs }
    let ids = Set(turns.map(\.id))
    return jobs.map { job in
      let queue = GroupQueue(kind: job.kind, ranking: job.ranking)
      let later = leaving.lazy.filter { other in
        if case .ready = other.source {
          other.id > job.id && GroupQueue(kind: other.kind, ranking: other.ranking) == queue
        } else {
          false
        }
      }
      guard ids.contains(job.id),
        let place = places.place(
          request(job), due: keepsDue ? known[job.id]?.due ?? job.due : job.due, now: now.microseconds,
          besides: later.map(\.due).min())
      else {
        let isReady = if case .ready = job.source { true } else { isReady(job) }
        if isReady { places.note(queue, job.due) }
        return job
      }
      return job.placed(place)
    }
  }

  /// Reads the groups of jobs, and the true due times of those that have a place.
  func groups(of jobs: [Int64]) throws(QudoError) -> [Int64: (name: [UInt8], due: Int64?)] {
    var found: [Int64: (name: [UInt8], due: Int64?)] = [:]
    guard !jobs.isEmpty else { return found }
    // A SELECT that the server was told to stop may return too few rows, so look again for what is missing: see ``Write``.
    for _ in 0..<2 {
      let rest = Set(jobs).filter { found[$0] == nil }.sorted()
      guard !rest.isEmpty else { break }
      let looks = rest.parts().map { part -> SQL in
        "SELECT job, grp, due FROM qudo_group WHERE job IN \(list: part)"
      }
      for rows in try read(looks) {
        while let row = rows.next() { found[row.integer(0)] = (row.bytes(1), row.integerIfAny(2)) }
      }
    }
    return found
  }

  // MARK: Writing

  /// Stores the places of jobs that exist, in their own rows and in `qudo_group`.
  func store(places jobs: [Candidate]) {
    let placed = jobs.compactMap { job in job.place.map { (job, $0) } }
    for (job, place) in placed {
      write("UPDATE qudo_job SET due = \(place.place) WHERE id = \(job.id)")
    }
    for part in placed.parts() {
      write(
        GroupRows.store(
          part.map { job, place -> SQL in
            "(\(job.id),\(job.kind),\(job.ranking),\(place.group),\(place.place),\(place.due))"
          }))
      write(
        Write.check(
          """
          EXISTS(SELECT 1 FROM qudo_job AS j JOIN qudo_group AS g ON g.job = j.id \
          WHERE j.id IN \(list: part.map { $0.0.id }[...]) AND j.due <> g.place)
          """))
    }
  }

  /// Stores the groups of new jobs: the values of the columns.
  func storeGroups(_ rows: [SQL]) {
    for part in rows.parts(of: 1000) { write(GroupRows.store(part)) }
  }

  /// Takes the places of jobs that are delayed now.
  func clearPlaces(of jobs: [Int64]) {
    for part in jobs.sorted().parts() {
      write("UPDATE qudo_group SET place = NULL, due = NULL WHERE job IN \(list: part)")
      write(Write.check("EXISTS(SELECT 1 FROM qudo_group WHERE job IN \(list: part) AND place IS NOT NULL)"))
    }
  }

  /// Deletes the rows of jobs that end. How many of the jobs have one is unknown.
  func deleteGroups(of jobs: [Int64]) {
    for part in jobs.sorted().parts() {
      write("DELETE FROM qudo_group WHERE job IN \(list: part)")
      write(Write.check("EXISTS(SELECT 1 FROM qudo_group WHERE job IN \(list: part))"))
    }
  }
}

extension Candidate {
  /// A job that ran, and is ready again.
  init(_ row: RunningRow, due: Int64) {
    self.init(
      kind: row.kind, ranking: row.ranking, due: due, id: row.id, hold: row.hold, mayExpire: row.mayExpire,
      mayBeKeyed: row.mayBeKeyed, source: .ended(row), mayBeGrouped: row.mayBeGrouped)
  }

  /// The same job at its place.
  fileprivate func placed(_ place: GroupPlace) -> Candidate {
    var job = Candidate(
      kind: kind, ranking: ranking, due: place.place, id: id, hold: hold, mayExpire: mayExpire,
      mayBeKeyed: mayBeKeyed, source: source)
    (job.mayBeGrouped, job.place, job.delayedUntil) = (true, place, due)
    return job
  }
}
#endif
