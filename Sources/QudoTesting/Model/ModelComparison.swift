internal import Qudo

extension ModelRun {
  /// Returns the driver's id of one of the model's jobs.
  func id(_ model: Int64) throws -> Int64 {
    try require(ids[model], "\(here): a job of the model's id \(model)")
  }

  /// Pairs the ids of a new job.
  func meet(_ model: Int64, as driver: Int64) {
    ids[model] = driver
    known.append(model)
  }

  /// Pairs the ids of the jobs that final failures enqueued, which no answer names. Both databases stored them in the same
  /// order, and none of them has ended yet.
  func meetJobsOfFailures(_ driver: any LogDriver) async throws {
    guard hasRoutes else { return }
    let met = Set(ids.values)
    let all = JobQuery(limit: 100_000)
    let found = try await driver.jobs(matching: all).filter { !met.contains($0.id) }
    let expected = try await model.jobs(matching: all).filter { ids[$0.id] == nil }
    try check(found.count, is: expected.count, "\(here): jobs of final failures")
    for (found, expected) in zip(found, expected) { meet(expected.id, as: found.id) }
  }

  func match(_ found: [InsertResult], _ expected: [InsertResult]) throws {
    try check(found.count, is: expected.count, here)
    for (found, expected) in zip(found, expected) {
      if case .inserted(let id) = found, case .inserted(let model) = expected { meet(model, as: id) }
      let translated: InsertResult =
        switch expected {
        case .inserted(let model): .inserted(ids[model] ?? 0)
        case .existing(let model): .existing(try id(model))
        case .overwritten(let model): .overwritten(try id(model))
        case .conflict(let model): .conflict(try id(model))
        }
      try check(found, is: translated, here)
    }
  }

  func match(_ found: Claim, _ expected: Claim) throws {
    try check(found.jobs.map(\.id), is: try expected.jobs.map { try id($0.id) }, here)
    try matchNextDue(found.timeUntilNextDue, expected.timeUntilNextDue)
    try check(
      found.timeUntilNextLeaseExpiry, is: expected.timeUntilNextLeaseExpiry, "\(here): next lease expiry")
    try check(
      Set(found.cancelling), is: Set(try expected.cancelling.map { try id($0) }), "\(here): jobs to cancel")
    try check(found.recovered, is: expected.recovered, "\(here): jobs recovered")
    let givenUp = try expected.givenUp.map { job in
      GivenUpJob(
        id: try id(job.id), kind: job.kind, reason: job.reason, attempt: job.attempt,
        expiredLeases: job.expiredLeases, uniqueKey: job.uniqueKey)
    }
    try check(found.givenUp, is: givenUp, "\(here): jobs given up")
    for (found, expected) in zip(found.jobs, expected.jobs) {
      try check(Seen(found), is: Seen(expected), "\(here): claimed job \(found.id)")
      leases.append((found.lease, expected.lease))
    }
  }

  /// The expiry of a running job may count or not: it does not expire while it runs. A driver may stop counting it when its time
  /// has come, and then the clock may be set back.
  private func matchNextDue(_ found: Duration?, _ expected: Duration?) throws {
    guard found != expected, let expected, expected > .zero else {
      return try check(found, is: expected, "\(here): next due")
    }
    let latest = try model.timeUntilNextDueOfWaiting()
    let isBetween =
      found.map { $0 >= expected } ?? true && latest.map { (found ?? $0 + .seconds(1)) <= $0 } ?? true
    if !isBetween { try check(found, is: expected, "\(here): next due, at the latest \(latest as Any)") }
  }

  /// Compares everything that the driver and the model show.
  func compare() async throws {
    let (driver, model) = (
      try await Snapshot(anyDriver, recordsRuns: recordsRuns),
      try await Snapshot(model, recordsRuns: recordsRuns)
    )
    var expected = model
    expected.jobs = try model.jobs.map { try translated($0) }.sorted { $0.id < $1.id }
    expected.failures = try model.failures.enumerated().map {
      try translated($0.element, like: driver.failures.dropFirst($0.offset).first)
    }
    expected.statuses = try model.statuses.enumerated().map {
      try translated($0.element, like: driver.statuses.dropFirst($0.offset).first)
    }
    try driver.check(is: expected, "after \(here)")
    try await compareStops()
    try await compareKeys()
  }

  /// Compares the stops of concurrency keys. Their failures may be gone.
  private func compareStops() async throws {
    guard capabilities.isSuperset(of: [.control, .keyStops]) else { return }
    let found = try await anyDriver.control().keyStops(nil, after: 0, limit: 100_000)
    let expected = try await model.keyStops(nil, after: 0, limit: 100_000)
    try check(
      try found.map { try translated($0, isModel: false) }, is: try expected.map { try translated($0) },
      "after \(here): stops")
  }

  /// Compares the concurrency keys. Drivers list kinds in any order.
  private func compareKeys() async throws {
    guard capabilities.isSuperset(of: [.control, .concurrencyKeys]) else { return }
    func sorted(_ keys: [ConcurrencyKeyStatus]) -> [ConcurrencyKeyStatus] {
      keys.sorted { $0.kind < $1.kind }
    }
    let query = ConcurrencyKeyQuery(limit: 100_000)
    let found = try await anyDriver.control().concurrencyKeys(query)
    try check(sorted(found), is: sorted(try await model.concurrencyKeys(query)), "after \(here): keys")
  }

  // MARK: The model's rows with the driver's ids

  func translated(_ job: StoredJob) throws -> StoredJob {
    var job = job
    job.id = try id(job.id)
    return job.compared(recordsRuns: recordsRuns)
  }

  /// Returns a stop with the driver's number of the job, and without that of the failure.
  func translated(_ stop: KeyStop, isModel: Bool = true) throws -> KeyStop {
    var stop = stop
    stop.failure = 0
    if isModel { stop.job = try id(stop.job) }
    return stop
  }

  func translated(_ row: FailureRecord, like found: FailureRecord?) throws -> FailureRecord {
    var row = row
    row.id = found?.id ?? row.id
    row.job = try id(row.job)
    row.replayedAs = try row.replayedAs.map { try id($0) }
    // The message of a lost job is the driver's own.
    if row.reason == .lost { row.message = found?.message ?? row.message }
    return row
  }

  func translated(_ row: StatusRecord, like found: StatusRecord?) throws -> StatusRecord {
    var row = row
    row.id = found?.id ?? row.id
    row.job = try id(row.job)
    return row
  }
}

/// A claimed job as a worker sees it, without the ids and tokens that each database chooses.
private struct Seen: Hashable {
  let kind: Kind
  let payload: Payload
  let priority: Int
  let uniqueKey: [UInt8]?
  let attempt: Int
  let enqueued: Timestamp
  let due: Timestamp
  let meta: JobMetadata

  init(_ job: ClaimedJob) {
    (kind, payload, priority, attempt, enqueued, due, meta) =
      (job.kind, job.payload, job.priority, job.attempt, job.enqueuedAt, job.dueAt, job.metadata)
    uniqueKey = job.uniqueKey.map { Array($0.utf8) }
  }
}
