internal import Qudo

extension ConformanceSuite {
  /// One outcome of each kind. Each would change something that the checks can see.
  static let everyOutcome: [Settlement.Outcome] = [
    .completed(), .completed(replacements: [job("replacement", kind: "b")]),
    .retry(after: .seconds(1), message: "no"),
    .snoozed(.seconds(1), countsAttempt: true), .failed(message: "no"), .aborted(message: "no"), .released,
  ]

  static let tokens: [ConformanceCase] = [
    ConformanceCase("aLostLeaseChangesNothing", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job(unique: UniqueKey("k")))
      let stale = try await driver.claimOne().lease
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.claimOne()
      try await checkIsLost(stale, driver)
    },
    ConformanceCase("aLeaseLostToAClaimChangesNothing", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let stale = try await driver.claimOne().lease
      _ = try await driver.release([stale])
      _ = try await driver.claimOne()
      try await checkIsLost(stale, driver)
    },
    ConformanceCase("aSettledLeaseChangesNothing", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      for outcome in everyOutcome {
        try await driver.insertNew(job())
        let lease = try await driver.claimOne().lease
        try await driver.settle(lease, outcome)
        try await checkIsLost(lease, driver)
        subject.clock.advance(by: .seconds(1))
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
    ConformanceCase("aRecoveredLeaseChangesNothing", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let stale = try await driver.claimOne().lease
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.claim(demand(1, "b"))
      try await checkIsLost(stale, driver)
    },
    ConformanceCase("onlyTheTokenIsTheLease", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job(), job()])
      let good = try await driver.claimOne().lease
      let waiting = try require(
        try await driver.jobs(matching: JobQuery(states: [.ready])).first, "the other job"
      ).id
      for token in [0, -1, good.token &+ 1, .max, .min] where token != good.token {
        try await checkIsLost(
          Lease(job: good.job, token: token, holder: good.holder, expiresAt: good.expiresAt), driver)
      }
      try await checkIsLost(
        Lease(job: waiting, token: good.token, holder: good.holder, expiresAt: good.expiresAt), driver)
      try await checkIsLost(
        Lease(job: 999, token: good.token, holder: good.holder, expiresAt: good.expiresAt), driver)
      try check(try await driver.settle(good, .completed()), is: .settled())
    },
    ConformanceCase("oneStaleLeaseInABatchSpoilsNoOther", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job(), job()])
      let stale = try await driver.claimOne().lease
      subject.clock.advance(by: .seconds(60))
      let good = try await driver.claim(exactly: 2).map(\.lease)
      let extended = try await driver.renew([good[0], stale, good[1]], for: .seconds(9))
      try check(extended.map { $0 == nil }, is: [false, true, false])
      let outcomes: [Settlement] = [
        Settlement(good[0], .completed()), Settlement(stale, .failed(message: "no")),
        Settlement(good[1], .failed(message: "yes")),
      ]
      try check(
        try await driver.settle(outcomes, claiming: nil).results, is: [.settled(), .leaseLost, .settled()])
      try check(try await driver.count(), is: [])
      try check(try await driver.failures().map(\.message), is: ["yes"])
    },
    ConformanceCase("staleLeasesInALongBatchAffectNoOthers", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<60).map { job("\($0)") })
      var leases = try await driver.claim(exactly: 60, demand(60)).map(\.lease)
      // Some of these jobs are claimed again, some settled, some leases renewed, and one token never existed.
      let stale = Set([0, 7, 8, 30, 59])
      _ = try await driver.release(stale.sorted().map { leases[$0] })
      _ = try await driver.claim(demand(60))
      let done = Set([20, 21, 45])
      _ = try await driver.settle(done.sorted().map { Settlement(leases[$0], .completed()) }, claiming: nil)
      for index in [3, 4, 33] { _ = try await driver.renew([leases[index]], for: .seconds(90)) }
      let made = leases[50]
      leases[50] = Lease(job: made.job, token: made.token ^ 1, holder: made.holder, expiresAt: made.expiresAt)
      let lost = stale.union(done).union([50])
      let found = try await driver.settle(leases.map { Settlement($0, .completed()) }, claiming: nil).results
      try check(found, is: leases.indices.map { lost.contains($0) ? .leaseLost : .settled() })
      try check(
        try await driver.jobs(matching: JobQuery()).map(\.payload.text),
        is: lost.subtracting(done).sorted().map { "\($0)" })
    },
    ConformanceCase("theSameLeasesTwiceInALongBatchSettleOnce", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<20).map { job("\($0)") } + [job("waiting")])
      let leases = try await driver.claim(exactly: 20, demand(20)).map(\.lease)
      let found = try await driver.settle(
        (leases + leases).map { Settlement($0, .completed()) }, claiming: nil
      ).results
      try check(found, is: leases.map { _ in .settled() } + leases.map { _ in .leaseLost })
      try check(try await driver.findOne().payload.text, is: "waiting")
    },
    ConformanceCase("aLeaseSettlesOnceInABatch", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let lease = try await driver.claimOne().lease
      let twice = [
        Settlement(lease, .retry(after: .zero, message: "1")), Settlement(lease, .failed(message: "2")),
      ]
      try check(try await driver.settle(twice, claiming: nil).results, is: [.settled(), .leaseLost])
      try check(try await driver.failures().map(\.message), is: ["1"])
      try check(try await driver.count(), is: [JobCount("a", ready: 1)])
    },
  ]

  private static func checkIsLost(
    _ lease: Lease, _ driver: any LogDriver, file: String = #fileID, line: Int = #line
  ) async throws {
    try await checkNothingChanges(in: driver, "after \(lease)", file: file, line: line) {
      for outcome in everyOutcome {
        try check(
          try await driver.settle(lease, outcome, recording: .seconds(1)), is: .leaseLost, "\(outcome)",
          file: file, line: line)
      }
      try check(try await driver.renew([lease], for: .seconds(99)), is: [nil], file: file, line: line)
      try check(try await driver.release([lease]), is: [.leaseLost], file: file, line: line)
    }
  }
}
