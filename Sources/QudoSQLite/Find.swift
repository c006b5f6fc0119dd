internal import Qudo

extension Snapshot {
  /// Returns a page of jobs.
  ///
  /// Without kinds and states, it reads jobs in id order, so the cost grows with the page. Otherwise it reads the ids of
  /// all matching jobs and keeps the lowest, so the cost grows with the number of matches.
  func find(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    let states = query.states ?? Set(JobState.allCases)
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    var jobs = Jobs(snapshot: self)
    if let ids = query.ids {
      try jobs.add(Set(ids).filter { $0 > query.after }.sorted(), atMost: query.limit) { kind, state in
        kinds?.contains(kind) != false && states.contains(state)
      }
    } else if kinds == nil, states.count == JobState.allCases.count {
      try jobs.add("id > ? ORDER BY id LIMIT ?", [.integer(query.after), .integer(Int64(query.limit))])
    } else {
      try jobs.add(ids(states, kinds, after: query.after, limit: query.limit), atMost: query.limit)
    }
    return jobs.found
  }

  /// Returns the lowest ids of jobs in these states. Each table is read up to the whole limit.
  private func ids(_ states: Set<JobState>, _ kinds: [Int64]?, after: Int64, limit: Int) throws(QudoError)
    -> [Int64]
  {
    let list = kinds.map { IntegerList($0) }
    let inKinds = list.map { "kind IN \($0.sql) AND" } ?? ""
    let page = [Value.integer(after), .integer(Int64(limit))]
    var ids: Set<Int64> = []
    if states.contains(.ready) {
      var ranges: [ClosedRange<Int64>] = []
      var once = Once()
      try connection.each(
        "SELECT first, last FROM qudo_ready WHERE \(inKinds) last > ? ORDER BY first LIMIT ?",
        values: (list?.values ?? []) + page
      ) { row throws(QudoError) in
        if let ids = once.ids(row.integer(0), row.integer(1)) { ranges.append(ids) }
      }
      try add(&ids, in: ranges, "", page)
    }
    for (state, condition) in [(JobState.ready, "due <= ?"), (.delayed, "due > ?")]
    where states.contains(state) {
      try connection.each(
        "SELECT id FROM qudo_delayed WHERE \(condition) AND \(inKinds) id > ? ORDER BY id LIMIT ?",
        values: [.integer(now.wall.microseconds)] + (list?.values ?? []) + page
      ) { row throws(QudoError) in ids.insert(row.integer(0)) }
    }
    for (state, isLive) in [(JobState.ready, false), (.running, true)] where states.contains(state) {
      let ranges = try running().filter { $0.isLive == isLive }.map(\.ids)
      try add(&ids, in: ranges, inKinds, (list?.values ?? []) + page)
    }
    return Array(ids.sorted().prefix(limit))
  }

  /// - Parameters:
  ///   - ranges: in their order, of each id one.
  ///   - values: of the condition, and after which id and how many are wanted.
  private func add(
    _ all: inout Set<Int64>, in ranges: [ClosedRange<Int64>], _ condition: String, _ values: [Value]
  ) throws(QudoError) {
    guard case .integer(let after)? = values.dropLast().last, case .integer(let limit)? = values.last else {
      return
    }
    var count = 0
    for range in ranges where range.upperBound > after && count < limit {
      if condition.isEmpty, range.lowerBound == range.upperBound {
        all.insert(range.lowerBound)
        count += 1
        continue
      }
      let bounds: [Value] = [.integer(range.lowerBound), .integer(range.upperBound)]
      try connection.each(
        "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? AND \(condition) id > ? ORDER BY id LIMIT ?",
        values: bounds + values
      ) { row throws(QudoError) in
        all.insert(row.integer(0))
        count += 1
      }
    }
  }
}

/// A collector that reads jobs and their states.
private struct Jobs {
  let snapshot: Snapshot
  var found: [StoredJob] = []
  /// The running jobs with their expiries, in time since boot. `qudo_running` is not keyed by id, so all of it is read
  /// when first needed.
  private var leases: [RunningIDs]?

  init(snapshot: Snapshot) { self.snapshot = snapshot }

  /// Those with these ids that are there and fit, a part at a time, so that any number can be asked for.
  mutating func add(
    _ ids: [Int64], atMost limit: Int, fits: (_ kind: Int64, JobState) -> Bool = { _, _ in true }
  ) throws(QudoError) {
    for start in stride(from: 0, to: ids.count, by: Snapshot.chunk) where found.count < limit {
      let part = IntegerList(Array(ids[start..<min(start + Snapshot.chunk, ids.count)]))
      try add("id IN \(part.sql) ORDER BY id", part.values, fits: fits)
    }
    found.removeLast(max(0, found.count - limit))
  }

  mutating func add(
    _ condition: String, _ values: [Value], fits: (_ kind: Int64, JobState) -> Bool = { _, _ in true }
  ) throws(QudoError) {
    // The conditions on `w` and `d` are the whole of their keys. No job of `w` is in two rows: the first one that ends with the
    // job or after it has it, or none.
    try snapshot.connection.each(
      """
      SELECT id, kind, (SELECT name FROM qudo_kind AS k WHERE k.id = kind), payload, codec, unique_key, rank, attempt, enqueued, due, meta,
        j.id >= (
          SELECT first FROM qudo_ready AS w WHERE w.kind = j.kind AND w.rank = j.rank AND w.due = j.due AND w.last >= j.id
          ORDER BY w.last LIMIT 1),
        EXISTS (SELECT 1 FROM qudo_delayed AS d WHERE d.due = j.due AND d.id = j.id)
      FROM qudo_job AS j WHERE \(condition)
      """, values: values
    ) { row throws(QudoError) in
      let (state, ends) = try state(row)
      if fits(row.integer(1), state) { found.append(Self.job(row, state, ends)) }
    }
  }

  /// Returns a job's state. A job that is neither ready nor delayed is running, or its lease expired.
  private mutating func state(_ row: Statement) throws(QudoError) -> (JobState, ends: Timestamp?) {
    let wall = snapshot.now.wall
    if row.integer(11) != 0 { return (.ready, nil) }
    if row.integer(12) != 0 { return (row.integer(9) > wall.microseconds ? .delayed : .ready, nil) }
    let leases = if let known = leases { known } else { try snapshot.running().filter(\.isLive) }
    self.leases = leases
    guard let ends = leases.end(of: row.integer(0)) else { return (.ready, nil) }
    return (.running, wall.advanced(by: .microseconds(ends.clampedMinus(snapshot.now.sinceBoot))))
  }

  private static func job(_ row: Statement, _ state: JobState, _ ends: Timestamp?) -> StoredJob {
    StoredJob(
      id: row.integer(0), kind: Kind(row.text(2)), state: state,
      payload: Payload(row.blob(3), codec: CodecID(row.integer(4))),
      uniqueKey: row.isNull(5) ? nil : row.text(5), priority: 0 &- Int(row.integer(6)),
      attempt: Int(row.integer(7)),
      enqueuedAt: Timestamp(microseconds: row.integer(8)), dueAt: Timestamp(microseconds: row.integer(9)),
      leaseExpiresAt: ends,
      metadata: JobMetadata(bytes: row.blob(10)))
  }
}
