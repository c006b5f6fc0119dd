internal import Qudo

extension Transaction {
  func insert(_ jobs: [NewJob]) throws(QudoError) -> [InsertResult] {
    var results: [InsertResult] = []
    results.reserveCapacity(jobs.count)
    var next = jobs.startIndex
    while next < jobs.endIndex {
      let batch = jobs[next...].prefix(JobTable.batchSize)
      if batch.count == JobTable.batchSize, Self.arePlain(batch), try !areGrouped(batch) {
        for id in try store(batch) { results.append(.inserted(id)) }
        next = batch.endIndex
      } else {
        results.append(
          try jobs[next].idempotencyKey == nil ? insert(jobs[next]) : insertOnce(jobs[next]))
        next += 1
      }
    }
    return results
  }

  /// - Parameter takesPlace: Whether the job gets the place of one of its concurrency key that failed.
  func insert(_ job: NewJob, takesPlace: Bool = false) throws(QudoError) -> InsertResult {
    let key = try sortKey(of: job)
    guard !job.hasNoRules else { return .inserted(try store(job, key)) }
    if let unique = job.unique, let holder = try jobTable.holder(of: unique.key, kind: key.kind) {
      // The holder may be a job of this same call, whose ready row is not written yet.
      try insertCollectedReady()
      return try conflict(job, key, with: holder, unique)
    }
    if let unique = job.unique, let resting = try jobOfResting(unique.key, kind: key.kind) {
      effects.tellsOfOthers = true
      return unique.onConflict == .keep ? .existing(resting) : .conflict(resting)
    }
    let id = try nextID()
    try jobTable.insert(job, id: id, key, enqueuedAt: now.wall)
    if let unique = job.unique { try insertThrottle(of: id, unique, kind: key.kind) }
    let isReady = key.due <= now.wall.microseconds
    if let group = job.group, !isReady || job.concurrencyKey != nil { try setGroup(of: id, group, key) }
    if let concurrencyKey = job.concurrencyKey,
      try !enter(id, concurrencyKey, takesPlace: takesPlace, kind: key.kind, job.due)
    {
      return .inserted(id)
    }
    try collectWaiting(id, isReady ? placeNew(id, job.group, key) : key, isReady: isReady, job.due)
    return .inserted(id)
  }

  /// Inserts a job without rules.
  private func store(_ job: NewJob, _ key: SortKey) throws(QudoError) -> Int64 {
    let id = try nextID()
    try jobTable.insert(job, id: id, key, enqueuedAt: now.wall)
    let isReady = key.due <= now.wall.microseconds
    try collectWaiting(id, isReady ? placeNew(id, nil, key) : key, isReady: isReady, job.due)
    return id
  }

  private static func arePlain(_ jobs: ArraySlice<NewJob>) -> Bool {
    // By index: a loop over the jobs would copy each.
    for index in jobs.indices where !jobs[index].isPlain { return false }
    return true
  }

  /// Whether jobs without a group take turns with others of their kinds.
  private func areGrouped(_ jobs: ArraySlice<NewJob>) throws(QudoError) -> Bool {
    guard try hasGroups() else { return false }
    for index in jobs.indices where try isGrouped(kindTable.id(creating: jobs[index].kind)) { return true }
    return false
  }

  /// Inserts ``JobTable/batchSize`` plain jobs.
  private func store(_ jobs: ArraySlice<NewJob>) throws(QudoError) -> [Int64] {
    var rows: [(id: Int64, key: SortKey)] = []
    rows.reserveCapacity(JobTable.batchSize)
    for index in jobs.indices { rows.append((try nextID(), try sortKey(of: jobs[index]))) }
    try jobTable.insert(jobs, rows, enqueuedAt: now.wall)
    for (index, (id, key)) in zip(jobs.indices, rows) {
      try collectWaiting(id, key, isReady: key.due <= now.wall.microseconds, jobs[index].due)
    }
    return rows.map(\.id)
  }

  private func sortKey(of job: NewJob) throws(QudoError) -> SortKey {
    SortKey(
      kind: try kindTable.id(creating: job.kind), rank: job.rank, due: job.due.moment(now.wall).microseconds)
  }

  private func conflict(_ job: NewJob, _ key: SortKey, with holder: Int64, _ unique: UniqueKey)
    throws(QudoError) -> InsertResult
  {
    switch unique.onConflict {
    case .reject:
      effects.tellsOfOthers = true
      return .conflict(holder)
    case .keep:
      effects.tellsOfOthers = true
      return .existing(holder)
    case .overwrite:
      let before = try keyBeforeOverwrite(holder)
      let waited = if before?.isHeld == true { true } else { try removeFromWaiting(holder) }
      guard waited else {
        effects.tellsOfOthers = true
        return .conflict(holder)
      }
      var job = job
      if unique.maxDelay != nil, let first = try jobTable.enqueuedAt(holder) {
        job.due = unique.due(job.due, since: first, now: now.wall)
      }
      let due = job.due.moment(now.wall).microseconds
      try jobTable.overwrite(holder, with: job, due: due, now: now.wall)
      try setGroup(of: holder, job.group, SortKey(kind: key.kind, rank: job.rank, due: due))
      try waitAfterOverwrite(holder, with: job, kind: key.kind, before: before)
      return .overwritten(holder)
    }
  }

  // MARK: Waiting jobs

  /// Files a job that was just stored: as delayed now, or as ready later, in one row with its neighbors.
  ///
  /// - Parameter isReady: Whether it is due. The due time in its key may be its place among the groups.
  func collectWaiting(_ id: Int64, _ key: SortKey, isReady: Bool, _ due: Due) throws(QudoError) {
    connection.readyLists.invalidate(key.kind)
    connection.waitingCounts.invalidate(key.kind)
    guard isReady else {
      effects.wakes = true
      return try delayedTable.insert(id, Delay(due, now.wall), kind: key.kind, rank: key.rank)
    }
    if !effects.ready.append(id, key) {
      try insertCollectedReady()
      _ = effects.ready.append(id, key)
    }
  }

  /// Writes the collected ready jobs of all callers to `qudo_ready`, one row for each id range with one sort key.
  func insertCollectedReady() throws(QudoError) {
    guard let (others, last) = effects.ready.take() else { return }
    effects.wakes = true
    // If few neighbors share a sort key, one statement writes a row per job.
    if let first = others.first, Int64(others.count + 1) * 2 > last.ids.upperBound - first.ids.lowerBound {
      return try readyTable.insertEach(first.ids.lowerBound...last.ids.upperBound)
    }
    for part in others { try readyTable.insert(part.ids, part.key) }
    try readyTable.insert(last.ids, last.key)
  }

  /// Files a job as ready if it is due, else as delayed.
  func insertWaiting(_ id: Int64, _ delay: Delay, kind: Int64, rank: Int64) throws(QudoError) {
    effects.wakes = true
    connection.waitingCounts.invalidate(kind)
    if delay.due <= now.wall.microseconds {
      let key = try place(id, SortKey(kind: kind, rank: rank, due: delay.due))
      try readyTable.insert(id...id, key)
    } else {
      try clearPlace(of: id)
      try delayedTable.insert(id, delay, kind: kind, rank: rank)
    }
  }

  /// Removes a job from the ready or delayed jobs.
  ///
  /// - Returns: False if the job is in neither; then nothing has changed.
  private func removeFromWaiting(_ id: Int64) throws(QudoError) -> Bool {
    forgetPlaces()
    if try readyTable.remove(id) { return true }
    return try delayedTable.remove(id)
  }

  // MARK: Deleting

  /// Deletes a job permanently.
  func deleteJob(_ id: Int64) throws(QudoError) {
    try willDelete(highest: id)
    if connection.cache.hasMarks != false { try cancelTable.delete(id...id) }
    let keys = try keys(of: id...id)
    try deleteThrottles(id...id)
    try deleteGroups(id...id)
    try jobTable.delete(id)
    try leave(keys, of: id...id)
  }

  /// Deletes jobs permanently.
  func deleteJobs(_ ids: ClosedRange<Int64>) throws(QudoError) {
    if ids.lowerBound == ids.upperBound { return try deleteJob(ids.lowerBound) }
    try willDelete(highest: ids.upperBound)
    if connection.cache.hasMarks != false { try cancelTable.delete(ids) }
    let keys = try keys(of: ids)
    try deleteThrottles(ids)
    try deleteGroups(ids)
    try jobTable.delete(ids)
    try leave(keys, of: ids)
  }
}

extension NewJob {
  /// Whether the job needs no look-up of other rows, and is small enough to copy in a batch.
  var isPlain: Bool {
    hasNoRuleButMaxWaiting && payload.bytes.count + metadata.bytes.count <= 4096
  }
}
