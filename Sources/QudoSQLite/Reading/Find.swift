internal import Qudo

extension Snapshot {
  /// Returns a page of jobs.
  ///
  /// Without kinds and states, it reads jobs in id order, so the cost grows with the page. Otherwise it reads the ids of
  /// all matching jobs from the state tables and keeps the lowest; if those are many, it goes through the jobs in id
  /// order: see `arePlenty`.
  func find(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    guard query.filter.looksIntoMetadata else { return try findRoughly(query) }
    return try query.collect(findRoughly, id: \.id) { jobs in jobs.filter { query.filter.fits($0.metadata) } }
  }

  private func findRoughly(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    let states = query.states ?? Set(JobState.allCases)
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    let conditions = JobConditions(query.filter)
    var page = JobPage(snapshot: self, limit: query.limit, payloadPrefix: query.payloadPrefix)
    if let ids = query.ids {
      try page.add(Set(ids).filter { $0 > query.after }.sorted(), conditions) { kind, state in
        kinds?.contains(kind) != false && states.contains(state)
      }
    } else if query.filter.looksIntoJobs {
      let list = kinds.map { IntegerList($0) }
      try page.add(idsInOrder(states, list, conditions, after: query.after, limit: query.limit)) { _, _ in
        true
      }
    } else if kinds == nil, states.count == JobState.allCases.count {
      try page.addAll(after: query.after)
    } else {
      let list = kinds.map { IntegerList($0) }
      try page.add(ids(states, list, after: query.after, limit: query.limit)) { _, _ in true }
    }
    return page.jobs
  }

  /// Returns the ids of a page of jobs, in order.
  func ids(matching query: JobQuery) throws(QudoError) -> [Int64] {
    guard query.filter.looksIntoMetadata else { return try idsRoughly(query) }
    return try query.collect(idsRoughly, id: \.self) { ids throws(QudoError) in
      let metadata = try jobTable.metadata(of: ids)
      return ids.filter { metadata[$0].map(query.filter.fits) == true }
    }
  }

  private func idsRoughly(_ query: JobQuery) throws(QudoError) -> [Int64] {
    let states = query.states ?? Set(JobState.allCases)
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    if let ids = query.ids {
      return try self.ids(
        among: Set(ids).filter { $0 > query.after }.sorted(), states, kinds, JobConditions(query.filter),
        query.limit)
    }
    if query.filter.looksIntoJobs {
      let (list, conditions) = (kinds.map { IntegerList($0) }, JobConditions(query.filter))
      return try idsInOrder(states, list, conditions, after: query.after, limit: query.limit)
    }
    if kinds == nil, states.count == JobState.allCases.count {
      return try jobTable.ids(1...Int64.max, of: nil, after: query.after, limit: query.limit)
    }
    return try ids(states, kinds.map { IntegerList($0) }, after: query.after, limit: query.limit)
  }

  /// Returns the lowest ids of jobs in these states. Each table is read up to the whole limit.
  private func ids(_ states: Set<JobState>, _ kinds: IntegerList?, after: Int64, limit: Int)
    throws(QudoError) -> [Int64]
  {
    if try arePlenty(states, kinds, after: after, limit: limit) {
      return try idsInOrder(states, kinds, after: after, limit: limit)
    }
    var ids: Set<Int64> = []
    if states.contains(.ready) {
      var ranges: [ClosedRange<Int64>] = []
      var once = Once()
      try readyTable.ranges(kinds, after: after, limit: limit) { first, last in
        if let ids = once.ids(first, last) { ranges.append(ids) }
      }
      ids.formUnion(try self.ids(in: ranges, of: nil, after: after, limit: limit))
    }
    for (state, areDue) in [(JobState.ready, true), (.delayed, false)] where states.contains(state) {
      let delayed = try delayedTable.ids(kinds, areDue: areDue, now: now.wall, after: after, limit: limit)
      ids.formUnion(delayed)
    }
    if states.contains(.held) { ids.formUnion(try heldTable.ids(kinds, after: after, limit: limit)) }
    for (state, isLive) in [(JobState.ready, false), (.running, true)] where states.contains(state) {
      let ranges = try running().filter { $0.isLive == isLive }.map(\.ids)
      ids.formUnion(try self.ids(in: ranges, of: kinds, after: after, limit: limit))
    }
    return Array(ids.sorted().prefix(limit))
  }

  /// Whether a page costs less if the jobs are read in id order.
  ///
  /// The state tables are kept in another order: a page reads all E entries of these kinds in them. In id order, it
  /// reads about `limit` * N / E of the N jobs. So the second way is better from E = sqrt(`limit` * N) on, and no page
  /// costs more than that, however many pages there are.
  private func arePlenty(_ states: Set<JobState>, _ kinds: IntegerList?, after: Int64, limit: Int)
    throws(QudoError) -> Bool
  {
    let jobs = Double(max(0, try jobTable.highestID().clampedMinus(after)))
    let most = max(10_000, Int(min((Double(limit) * jobs).squareRoot(), 1e15)))
    var entries = 0
    if states.contains(.ready) { entries += try readyTable.count(kinds, atMost: most) }
    if entries < most, !states.isDisjoint(with: [.ready, .delayed]) {
      entries += try delayedTable.count(kinds, atMost: most)
    }
    if entries < most, states.contains(.held) { entries += try heldTable.count(kinds, atMost: most) }
    return entries >= most
  }

  /// Returns the lowest ids of jobs in these states, by reading the jobs in id order.
  private func idsInOrder(
    _ states: Set<JobState>, _ kinds: IntegerList?, _ conditions: JobConditions? = nil, after: Int64,
    limit: Int
  ) throws(QudoError) -> [Int64] {
    if states.count == JobState.allCases.count {
      return try jobTable.ids(1...Int64.max, of: kinds, conditions, after: after, limit: limit)
    }
    let live = try running().filter(\.isLive)
    let chunk = 1000
    var ids: [Int64] = []
    var after = after
    while true {
      var count = 0
      try jobTable.positions(kinds, conditions, after: after, limit: chunk) { row in
        count += 1
        after = row.id
        if ids.count < limit, states.contains(state(of: row, live)) { ids.append(row.id) }
      }
      guard count == chunk, ids.count < limit else { return ids }
    }
  }

  /// Returns those of these jobs that exist and fit, in order.
  private func ids(
    among all: [Int64], _ states: Set<JobState>, _ kinds: [Int64]?, _ conditions: JobConditions, _ limit: Int
  ) throws(QudoError) -> [Int64] {
    let live = try running().filter(\.isLive)
    let list = kinds.map { IntegerList($0) }
    var ids: [Int64] = []
    for part in IntegerList.chunks(all) where ids.count < limit {
      try jobTable.positions(list, conditions, among: part) { row in
        if ids.count < limit, states.contains(state(of: row, live)) { ids.append(row.id) }
      }
    }
    return ids
  }

  /// - Parameter live: The running jobs with valid leases.
  private func state(of row: JobPosition, _ live: [RunningIDs]) -> JobState {
    if row.isInReady { return .ready }
    if row.isInDelayed { return row.dueAt > now.wall ? .delayed : .ready }
    if row.isInHeld { return .held }
    return live.range(of: row.id) == nil ? .ready : .running
  }

  /// Returns ids in ranges, in the order of the ranges, until there are `limit`.
  ///
  /// - Parameter kinds: Nil if the ranges are known to have the right kinds.
  private func ids(in ranges: [ClosedRange<Int64>], of kinds: IntegerList?, after: Int64, limit: Int)
    throws(QudoError) -> [Int64]
  {
    var ids: [Int64] = []
    for range in ranges where range.upperBound > after && ids.count < limit {
      if kinds == nil, range.lowerBound == range.upperBound {
        ids.append(range.lowerBound)
      } else {
        ids += try jobTable.ids(range, of: kinds, after: after, limit: limit)
      }
    }
    return ids
  }
}

/// A page of jobs that is being read, with their states.
private struct JobPage {
  let snapshot: Snapshot
  let limit: Int
  let payloadPrefix: Int?
  private(set) var jobs: [StoredJob] = []
  /// The running jobs with their expiries, in time since boot. `qudo_running` is not keyed by id, so all of it is read
  /// when first needed.
  private var leases: [RunningIDs]?

  init(snapshot: Snapshot, limit: Int, payloadPrefix: Int?) {
    (self.snapshot, self.limit, self.payloadPrefix) = (snapshot, limit, payloadPrefix)
  }

  /// Adds the jobs with these ids that exist and fit, a chunk at a time, so that any number of ids is allowed.
  mutating func add(
    _ ids: [Int64], _ conditions: JobConditions? = nil, where fits: (_ kind: Int64, JobState) -> Bool
  ) throws(QudoError) {
    for part in IntegerList.chunks(ids) where jobs.count < limit {
      try snapshot.jobTable.listed(part, conditions, payloadPrefix: payloadPrefix) { row throws(QudoError) in
        try add(row, where: fits)
      }
    }
    jobs.removeLast(max(0, jobs.count - limit))
  }

  /// Adds the first jobs after an id.
  mutating func addAll(after id: Int64) throws(QudoError) {
    try snapshot.jobTable.listed(after: id, limit: limit, payloadPrefix: payloadPrefix) {
      row throws(QudoError) in
      try add(row) { _, _ in true }
    }
  }

  private mutating func add(_ row: ListedRow, where fits: (_ kind: Int64, JobState) -> Bool) throws(QudoError)
  {
    let (state, run) = try state(row)
    guard fits(row.kind, state) else { return }
    let now = snapshot.now
    let ends = run.map { now.wall.advanced(by: .microseconds($0.ends.clampedMinus(now.sinceBoot))) }
    jobs.append(
      row.job(state, leaseExpiresAt: ends, startedAt: run?.started, processID: run?.processID))
  }

  /// Returns a job's state. A job that is neither ready nor delayed nor held is running, or its lease expired.
  private mutating func state(_ row: ListedRow) throws(QudoError) -> (JobState, run: RunningIDs?) {
    let wall = snapshot.now.wall
    if row.isInReady { return (.ready, nil) }
    if row.isInDelayed { return (row.dueAt > wall ? .delayed : .ready, nil) }
    if row.isInHeld { return (.held, nil) }
    let leases = if let known = leases { known } else { try snapshot.running().filter(\.isLive) }
    self.leases = leases
    guard let run = leases.range(of: row.id) else { return (.ready, nil) }
    return (.running, run)
  }
}
