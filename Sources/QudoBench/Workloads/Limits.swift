internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures what a maximum of running jobs costs: a drain of a kind that has one, and claims of another kind while many jobs
  /// wait because of one.
  func limits() async throws -> [BenchLine] {
    let durability =
      settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
    return [
      try await limitedDrain(settings.jobs ?? 100_000, durability),
      try await claimsBesideFull(max(settings.jobs ?? 1_000_000, 2000), durability),
    ]
  }

  private func limitedDrain(_ count: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine {
    let rounds = try await interleave { path in
      try await drain(path, durability, count, maxRunning: nil)
    } qudo: { path in
      // More than the worker ever holds: it counts them, and nothing waits.
      try await drain(path, durability, count, maxRunning: 2000)
    }
    return BenchLine(
      "limits, drain of a kind with a limit", durability.rawValue, rounds, floorName: "none",
      target: .atLeast(0.8))
  }

  private func drain(
    _ path: String, _ durability: SQLiteDriver.Durability, _ count: Int, maxRunning: Int?
  ) async throws -> Double {
    try await withQueue(path, durability) { queue in
      try await fill(queue, count)
      let policy = JobPolicy(maxRunning: maxRunning)
      let worker = try Worker(queue, handlers: [JobHandler("bench", policy: policy) { _ in }])
      var summary = WorkSummary()
      let rate = try await rate(count) { summary = try await worker.workUntilEmpty() }
      guard summary.completed == count else {
        throw BenchFailure("\(summary.completed) of \(count) jobs were completed")
      }
      return rate
    }
  }

  private func claimsBesideFull(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine
  {
    try await claimsBeside(
      many, "limits, claims beside \(grouped(many)) that wait for a place", durability,
      floorName: "none wait",
      ClaimRequest([.init("bench"), .init("bench.other", maxRunning: 1)], limit: 1)
    ) { driver in
      let held = try await driver.claim(ClaimRequest([.init("bench.other", maxRunning: 1)], limit: 10)).jobs
      guard held.count == 1 else { throw BenchFailure("\(held.count) jobs run, where 1 may") }
    }
  }
}
