#if MySQL
internal import Qudo
internal import QudoMySQL

extension ServerBench {
  /// Measures claims and settles of `batch` jobs. Each call settles the jobs that the last one claimed.
  func claimSettle(_ name: String, _ count: Int, batch: Int) async throws -> [BenchLine] {
    // One call's round trips say little: it may include the one that checks the connection.
    let count = max(count, 5 * batch)
    var trips = RoundTrips()
    let rounds = try await interleave { floor in
      try floor.enqueue(count, batch: 1000, payload)
      var (left, calls) = (count, 0)
      let before = floor.roundTrips
      let rate = try rate(count) {
        while left > 0 {
          let claimed = try floor.settleAndClaim(batch)
          guard !claimed.isEmpty else { throw BenchFailure("the floor lost \(left) of \(count) jobs") }
          left -= claimed.count
          calls += 1
        }
        trips.floor.append(Double(floor.roundTrips - before) / Double(calls))
        try floor.settleAndClaim(0)
      }
      guard try floor.count() == 0 else { throw BenchFailure("the floor did not settle all jobs") }
      return rate
    } qudo: { driver in
      try await fill(Queue(driver), count)
      let rate = try await rate(count) { trips.qudo += try await settle(driver, count, batch: batch) }
      guard try await driver.count().allSatisfy({ $0.ready + $0.running == 0 }) else {
        throw BenchFailure("jobs were not settled")
      }
      return rate
    }
    return [ServerBench.line(name, rounds)] + trips.lines("\(name), round trips per settle-and-claim")
  }

  /// - Returns: the number of round trips of each call that claims.
  private func settle(_ driver: MySQLDriver, _ count: Int, batch: Int) async throws -> [Double] {
    let request = ClaimRequest([ClaimRequest.KindDemand("bench")], limit: batch)
    var held: [ClaimedJob] = []
    var left = count
    var trips: [Double] = []
    while left > 0 {
      let before = driver.roundTrips
      let answer = try await driver.settle(held.map { Settlement($0.lease, .completed()) }, claiming: request)
      trips.append(Double(driver.roundTrips - before))
      held = answer.claim?.jobs ?? []
      guard !held.isEmpty else { throw BenchFailure("\(left) of \(count) jobs are missing") }
      left -= held.count
    }
    _ = try await driver.settle(held.map { Settlement($0.lease, .completed()) }, claiming: nil)
    return trips
  }
}
#endif
