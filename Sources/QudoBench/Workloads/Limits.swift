internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures what a maximum of running jobs costs: a drain of a kind that has one, and claims of another kind beside many jobs
  /// that wait for a place.
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
      // As many as a worker holds at most, so that it counts them, and is not held up.
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

  /// Claims jobs one at a time of two kinds, one of which has as many running as may, beside many waiting jobs of that kind and
  /// beside none.
  private func claimsBesideFull(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> BenchLine
  {
    let (none, full) = (settings.folder + "/base.db", settings.folder + "/limits.db")
    defer {
      removeDatabase(none)
      removeDatabase(full)
    }
    try await Backlog(ready: 1000, foreign: 1).make(none)
    try await Backlog(ready: 1000, foreign: many).make(full)
    var rounds: [(floor: Double, qudo: Double)] = []
    for _ in 0..<settings.rounds {
      let round = try await withCopy(none, durability) { below in
        try await withCopy(full, durability) { above in
          var (floors, rates): ([Double], [Double]) = ([], [])
          for driver in [below, above] {
            let held = try await driver.claim(ClaimRequest([.init("bench.other", maxRunning: 1)], limit: 10))
            guard held.jobs.count == 1 else { throw BenchFailure("the limit was not kept") }
          }
          for time in 0..<11 {
            for isFloor in time.isMultiple(of: 2) ? [true, false] : [false, true] {
              let found = try await claimRate(isFloor ? below : above)
              if isFloor { floors.append(found) } else { rates.append(found) }
            }
          }
          return (median(floors), median(rates))
        }
      }
      rounds.append(round)
    }
    return BenchLine(
      "limits, claims beside \(grouped(many)) that wait for a place", durability.rawValue, rounds,
      floorName: "none wait", target: .atLeast(1 / 1.1))
  }

  private func claimRate(_ driver: any Driver) async throws -> Double {
    let part = 900
    let request = ClaimRequest([.init("bench"), .init("bench.other", maxRunning: 1)], limit: 1)
    let found = try await rate(part) {
      var held: [ClaimedJob] = []
      for _ in 0..<part {
        let answer = try await driver.settle(
          held.map { Settlement($0.lease, .completed()) }, claiming: request)
        held = answer.claim?.jobs ?? []
        guard held.first?.kind == "bench" else { throw BenchFailure("the limit was not kept") }
      }
      _ = try await driver.settle(held.map { Settlement($0.lease, .completed()) }, claiming: nil)
    }
    _ = try await driver.insert((0..<part).map { _ in NewJob("bench", payload: Payload(payload)) })
    return found
  }
}
