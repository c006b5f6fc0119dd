internal import Qudo

extension ConformanceSuite {
  static let everyJob: [ConformanceCase] = [
    ConformanceCase("aDeadWorkersJobRunsAgain", .everyJobRuns) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      _ = try await driver.claim(demand())
      subject.clock.advance(by: .seconds(60))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("aReleasedJobRunsAgain", .everyJobRuns) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      try check(try await driver.release([try await driver.claimOne().lease]), is: [.settled()])
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("aClaimWithALimitOfZeroTakesNothing", .everyJobRuns) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      try check(try await driver.texts(demand(0)), is: [])
      try check(try await driver.texts(ClaimRequest([.init("a", limit: 0)], limit: 5)), is: [])
      try check(try await driver.texts(ClaimRequest([], limit: 5)), is: [])
      try check(try await driver.texts(demand(1)), is: ["x"])
    },
    ConformanceCase("everyJobIsCompletedOrInTheFailureLog", .everyJobRuns) { subject in
      let driver = try await subject.open()
      var ids: Set<Int64> = []
      for kind in ["a", "b", "c"] as [Kind] {
        let jobs = (0..<60).map { job("\($0)", kind: kind, priority: $0 % 3, due: .after(.seconds($0 % 5))) }
        ids.formUnion(try await driver.insert(jobs).map(\.id))
      }
      let completed = try await workAtRandom(driver, subject.clock)
      let failed = try await driver.failures(LogQuery(limit: 1000)).filter(\.isFinal).map(\.job)
      try check(completed.intersection(failed), is: [], "jobs that were completed and failed")
      try check(completed.union(failed), is: ids)
      try check(failed.count, is: Set(failed).count, "final failures for each job")
    },
  ]

  /// Runs jobs with random outcomes, while some workers die, until no job is left.
  ///
  /// - Returns: the ids of the completed jobs.
  private static func workAtRandom(_ driver: any LogDriver, _ clock: ManualClock) async throws -> Set<Int64> {
    var random = Seeded(seed: 7)
    var completed: Set<Int64> = []
    for _ in 0..<3000 {
      let claim = try await driver.claim(
        demand(7, "a", "b", "c", leaseDuration: .seconds(5), maxExpiredLeases: 3))
      for job in claim.jobs {
        let outcome: Settlement.Outcome
        switch Int.random(in: 0..<9, using: &random) {
        case 0: continue
        case 1: outcome = .retry(after: .seconds(2), message: "again")
        case 2: outcome = .snoozed(.seconds(1))
        case 3: outcome = .released
        case 4: outcome = .failed(message: "no")
        case 5: outcome = .aborted(message: "never")
        default: outcome = .completed()
        }
        let result = try await driver.settle(job.lease, outcome)
        if case .completed = outcome, case .settled = result { completed.insert(job.id) }
      }
      clock.advance(by: .milliseconds(700))
      if try await driver.count().isEmpty { return completed }
    }
    throw ConformanceFailure(
      file: #fileID, line: #line,
      message: "expected all jobs to finish, found \(try await driver.count())")
  }
}
