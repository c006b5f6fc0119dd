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
      try await drain("\(grouped(many)) concurrency keys", many, durability, keyed: true, atLeast: 1 / 1.5),
    ]
  }

  // MARK: Drains

  private func drain(
    _ name: String, _ count: Int, _ durability: SQLiteDriver.Durability, _ policy: JobPolicy = JobPolicy(),
    keyed: Bool = false, atLeast: Double? = 0.8
  ) async throws -> BenchLine {
    let rounds = try await interleave { path in
      try await drainRate(path, durability, count, JobPolicy(), keyed: false)
    } qudo: { path in
      try await drainRate(path, durability, count, policy, keyed: keyed)
    }
    return BenchLine(
      "limits, drain of \(name)", durability.rawValue, rounds, floorName: "none",
      target: atLeast.map { .atLeast($0) })
  }

  private func drainRate(
    _ path: String, _ durability: SQLiteDriver.Durability, _ count: Int, _ policy: JobPolicy, keyed: Bool
  ) async throws -> Double {
    try await withQueue(path, durability) { queue in
      try await fill(queue, count, keyed: keyed)
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
    func rateOfFilling(_ path: String, keyed: Bool) async throws -> Double {
      try await withQueue(path, durability) { queue in
        try await rate(count) { try await fill(queue, count, keyed: keyed) }
      }
    }
    let rounds = try await interleave { path in
      try await rateOfFilling(path, keyed: false)
    } qudo: { path in
      try await rateOfFilling(path, keyed: true)
    }
    return BenchLine(
      "limits, enqueue of \(grouped(count)) concurrency keys", durability.rawValue, rounds, floorName: "none",
      target: .atLeast(1 / 1.5))
  }

  /// Enqueues jobs in batches of 1,000.
  ///
  /// - Parameter keyed: Whether each has its own concurrency key.
  private func fill(_ queue: Queue<NoHooks>, _ count: Int, keyed: Bool) async throws {
    for first in stride(from: 0, to: count, by: 1000) {
      try await queue.enqueue(
        (first..<min(first + 1000, count)).map { number in
          NewJob(
            "bench", payload: Payload(payload), concurrencyKey: keyed ? ConcurrencyKey("key-\(number)") : nil)
        })
    }
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
