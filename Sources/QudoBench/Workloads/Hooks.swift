internal import Qudo

extension Bench {
  /// Measures the cost of hooks in an enqueue without a database. The cost of an unused hook point is
  /// counted, not timed: see the article "Hooks".
  func hooks() async throws -> [BenchLine] {
    var rounds: [[Double]] = []
    for _ in 0..<settings.rounds {
      let driver = NoDriver()
      rounds.append([
        try await time(Queue(driver)), try await time(Queue(driver) { Unused() }),
        try await time(Queue(driver) { Used() }),
        try await time(
          Queue(driver) {
            Used()
            Used()
            Used()
          }),
      ])
    }
    return ["none", "unused points", "1", "3"].enumerated().map { index, name in
      BenchLine(
        workload: "hooks \(name)", durability: nil, rate: median(rounds.map { $0[index] }),
        unit: "enqueues/s",
        floor: median(rounds.map { $0[0] }), floorName: "no hooks", ratios: rounds.map { $0[index] / $0[0] })
    }
  }

  private func time<Hooks: HookSet>(_ queue: Queue<Hooks>) async throws -> Double {
    let count = settings.jobs ?? 1_000_000
    let jobs = [NewJob("bench", payload: Payload(payload))]
    return try await rate(count) { for _ in 0..<count { try await queue.enqueue(jobs) } }
  }
}

private struct Unused: Hook {
  static var points: HookPoints { .leaseLost }
  func leaseLost(_ job: borrowing ClaimedJob) {}
}

private struct Used: Hook {
  static var points: HookPoints { [.willEnqueue, .didEnqueue] }
  func willEnqueue(_ job: inout NewJob) throws { job.priority &+= 1 }
  func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {}
}

/// A driver that stores nothing.
private struct NoDriver: Driver {
  let name = "none"
  let capabilities: Capabilities = []
  let limits = Limits()
  let doorbell = Doorbell()
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { jobs.map { _ in .inserted(1) } }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { Claim() }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { ([], nil) }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] { [] }
  func promote(limit: Int) async throws(QudoError) -> Int { 0 }
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] { [] }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { [] }
  func close() async {}
}
