internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures what limits cost: drains of jobs that have one, and claims of another kind while many jobs wait because of one.
  func limits() async throws -> [BenchLine] {
    let durability =
      settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
    let count = settings.jobs ?? 100_000
    let many = max(settings.jobs ?? 1_000_000, 2000)
    return [
      // More than the worker ever holds, and than it can begin: it counts, and nothing waits.
      try await drain("a kind with a maximum", count, durability, JobPolicy(maxRunning: 2000)),
      // A worker prefetches no job of a kind with a rate: tokens are for jobs that begin.
      try await drain(
        "a kind with a rate", count, durability, JobPolicy(rate: RateLimit(1_000_000, per: .seconds(1))),
        atLeast: nil),
      try await claimsBesideFull(many, durability),
      try await claimsBesideHeld(many, durability),
      try await enqueueKeys(many, durability),
      try await drain(
        "\(grouped(many)) concurrency keys", many, durability, as: .keyed, atLeast: 1 / 1.5),
      try await startsOfAnotherGroup(many, durability),
      try await enqueueGroups(many, durability),
      try await drain("\(grouped(many)) jobs of 100 groups", many, durability, as: .grouped, atLeast: nil),
    ]
  }

  // MARK: Drains

  private func drain(
    _ name: String, _ count: Int, _ durability: SQLiteDriver.Durability, _ policy: JobPolicy = JobPolicy(),
    as jobs: Jobs = .plain, atLeast: Double? = 0.8
  ) async throws -> BenchLine {
    let rounds = try await interleave { path in
      try await drainRate(path, durability, count, JobPolicy(), .plain)
    } qudo: { path in
      try await drainRate(path, durability, count, policy, jobs)
    }
    return BenchLine(
      "limits, drain of \(name)", durability.rawValue, rounds, floorName: "none",
      target: atLeast.map { .atLeast($0) })
  }

  private func drainRate(
    _ path: String, _ durability: SQLiteDriver.Durability, _ count: Int, _ policy: JobPolicy, _ jobs: Jobs
  ) async throws -> Double {
    try await withQueue(path, durability) { queue in
      try await fill(queue, count, jobs)
      let worker = try Worker(queue, handlers: [JobHandler("bench", policy: policy) { _ in }])
      var summary = WorkSummary()
      let rate = try await rate(count) { summary = try await worker.workUntilEmpty() }
      guard summary.completed == count else {
        throw BenchFailure("\(summary.completed) of \(count) jobs were completed")
      }
      return rate
    }
  }

  private func enqueueKeys(_ count: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine {
    try await enqueue("\(grouped(count)) concurrency keys", count, durability, as: .keyed, .atLeast(1 / 1.5))
  }

  private func enqueue(
    _ name: String, _ count: Int, _ durability: SQLiteDriver.Durability, as jobs: Jobs,
    _ target: BenchLine.Target?
  ) async throws -> BenchLine {
    func rateOfFilling(_ path: String, _ jobs: Jobs) async throws -> Double {
      try await withQueue(path, durability) { queue in
        try await rate(count) { try await fill(queue, count, jobs) }
      }
    }
    let rounds = try await interleave { path in
      try await rateOfFilling(path, .plain)
    } qudo: { path in
      try await rateOfFilling(path, jobs)
    }
    return BenchLine(
      "limits, enqueue of \(name)", durability.rawValue, rounds, floorName: "none", target: target)
  }

  /// The options of the enqueued jobs.
  private enum Jobs {
    case plain
    /// Each has a concurrency key of its own.
    case keyed
    /// A hundred groups have as many each.
    case grouped
    case ofGroup(String)

    func job(_ number: Int, _ payload: [UInt8]) -> NewJob {
      var job = NewJob("bench", payload: Payload(payload))
      switch self {
      case .plain: break
      case .keyed: job.concurrencyKey = ConcurrencyKey("key-\(number)")
      case .grouped: job.group = "group-\(number % 100)"
      case .ofGroup(let name): job.group = name
      }
      return job
    }
  }

  /// Enqueues jobs in batches of 1,000.
  private func fill(_ queue: Queue<NoHooks>, _ count: Int, _ jobs: Jobs) async throws {
    for first in stride(from: 0, to: count, by: 1000) {
      try await queue.enqueue((first..<min(first + 1000, count)).map { jobs.job($0, payload) })
    }
  }

  // MARK: Groups

  /// Counts the claims until the ten jobs of a group have begun that came after many of another group.
  private func startsOfAnotherGroup(_ many: Int, _ durability: SQLiteDriver.Durability) async throws
    -> BenchLine
  {
    let starts = try await withFile { path in
      try await withQueue(path, durability) { queue in
        try await fill(queue, many, .ofGroup("many"))
        let ids = try await queue.enqueue((0..<10).map { Jobs.ofGroup("few").job($0, payload) }).map(
          \.id.number)
        let driver = try await queue.databases.drivers()[0]
        var left = Set(ids)
        var starts = 0
        while !left.isEmpty, starts < many {
          let jobs = try await driver.claim(ClaimRequest([.init("bench")], limit: 1)).jobs
          guard let job = jobs.first else {
            throw BenchFailure("no job is left, but \(left.count) did not begin")
          }
          starts += 1
          left.remove(job.id)
          _ = try await driver.settle([Settlement(job.lease, .completed())], claiming: nil)
        }
        return starts
      }
    }
    return BenchLine(
      workload: "limits, starts until 10 jobs behind \(grouped(many)) of another group have begun",
      durability: durability.rawValue, rate: Double(starts), unit: "starts", target: .atMost(20, .rate))
  }

  private func enqueueGroups(_ count: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine {
    try await enqueue("\(grouped(count)) jobs of 100 groups", count, durability, as: .grouped, nil)
  }

  // MARK: Claims

  private func claimsBesideFull(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine
  {
    try await claimsBeside(
      many, "limits, claims beside \(grouped(many)) that wait for a place", durability,
      floorName: "none wait",
      ClaimRequest([.init("bench"), .init("bench.other", maxRunning: 1)], limit: 1)
    ) { driver in
      let running = try await driver.claim(ClaimRequest([.init("bench.other", maxRunning: 1)], limit: 10))
        .jobs
      guard running.count == 1 else { throw BenchFailure("\(running.count) jobs run, where 1 may") }
    }
  }

  private func claimsBesideHeld(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine
  {
    try await claimsBeside(
      many, "limits, claims beside \(grouped(many)) of one concurrency key", durability,
      floorName: "none held", ClaimRequest([.init("bench"), .init("bench.other")], limit: 1), isHeld: true
    ) { driver in
      let running = try await driver.claim(ClaimRequest([.init("bench.other")], limit: 10)).jobs
      guard running.count == 1 else { throw BenchFailure("\(running.count) jobs run, where 1 may") }
    }
  }
}
