internal import Qudo

extension ConformanceSuite {
  static let poison: [ConformanceCase] = [
    ConformanceCase("aJobWhoseLeaseIsLostTooOftenIsGivenUp", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      for limit in [1, 2, 5] {
        let id = try await driver.insertNew(job("poison", unique: UniqueKey("k"), priority: 4))
        for _ in 0..<limit {
          let claimed = try await driver.claimOne(demand(1, maxExpiredLeases: limit))
          try check(claimed.id, is: id)
          try check(claimed.attempt, is: 1, "an expired lease does not count as an attempt")
          subject.clock.advance(by: .seconds(61))
        }
        try check(try await driver.texts(), is: [], "after \(limit) expired leases")
        try check(try await driver.count(), is: [])
        let failure = try require(try await driver.failures().last, "a failure")
        try check(failure.message.isEmpty, is: false)
        let expected = FailureRecord(
          id: failure.id, job: id, kind: "a", reason: .lost, message: failure.message,
          payload: Payload("poison"), uniqueKey: "k",
          priority: 4, attempt: 1, failedAt: subject.clock.now().wall, isFinal: true, replayedAs: nil)
        try check(failure, is: expected)
      }
      try check(try await driver.failures().count, is: 3)
    },
    ConformanceCase("aClaimReportsGivenUpAndRecoveredJobs", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      let lost = try await driver.insertNew(job("poison", unique: UniqueKey("k")))
      _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
      let other = try await driver.insertNew(job("other"))
      _ = try await driver.claimOne(demand(1, maxExpiredLeases: 2))
      subject.clock.advance(by: .seconds(61))
      // The claim recovers jobs of all kinds, even those that it does not ask for.
      let claim = try require(try await driver.settle([], claiming: demand(1, "b")).claim, "a claim")
      try check(
        claim.givenUp, is: [GivenUpJob(id: lost, kind: "a", attempt: 1, expiredLeases: 1, uniqueKey: "k")])
      try check(claim.recovered, is: 1)
      let next = try await driver.claim(demand(maxExpiredLeases: 2))
      try check(next.jobs.map(\.id), is: [other])
      try check(next.givenUp, is: [], "told once")
      try check(next.recovered, is: 0)
      subject.clock.advance(by: .seconds(61))
      let last = try await driver.claim(demand(1, "a"))
      try check(last.givenUp, is: [GivenUpJob(id: other, kind: "a", attempt: 1, expiredLeases: 2)])
      try check(last.recovered, is: 0)
    },
    ConformanceCase("lostJobsAreLoggedInTheOrderOfLeaseExpiry", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("3"), job("1"), job("2"), job("4")])
      for seconds in [9, 5, 7, 9] {
        _ = try await driver.claimOne(demand(1, leaseDuration: .seconds(seconds), maxExpiredLeases: 1))
      }
      subject.clock.advance(by: .seconds(9))
      _ = try await driver.claim(demand())
      try check(try await driver.failures().map { $0.payload?.text }, is: ["1", "2", "3", "4"])
    },
    ConformanceCase("retriesAndReleasesAreNotLostLeases", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      for outcome in [.released, .retry(after: .zero, message: ""), .snoozed(.zero), .released]
        as [Settlement.Outcome]
      {
        try await driver.settle(try await driver.claimOne(demand(1, maxExpiredLeases: 1)).lease, outcome)
      }
      try check(try await driver.claim(demand()).jobs.map(\.attempt), is: [2])
    },
    ConformanceCase("lostLeasesAreCountedApartFromAttempts", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      for attempt in 1...2 {
        for _ in 0..<2 {
          try check(try await driver.claimOne(demand(1, maxExpiredLeases: 5)).attempt, is: attempt)
          subject.clock.advance(by: .seconds(60))
        }
        let claimed = try await driver.claimOne(demand(1, maxExpiredLeases: 5))
        try check(claimed.attempt, is: attempt)
        try await driver.settle(claimed.lease, .retry(after: .zero, message: ""))
      }
      for _ in 0..<5 {
        try check(try await driver.claim(demand(maxExpiredLeases: 5)).jobs.map(\.attempt), is: [3])
        subject.clock.advance(by: .seconds(60))
      }
      try check(try await driver.claim(demand()).jobs.count, is: 0, "after five expired leases in a row")
    },
    ConformanceCase("onlyLostLeasesInARowCount", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      for outcome in [
        .snoozed(.zero), .retry(after: .zero, message: ""), .snoozed(.zero, countsAttempt: true),
      ] as [Settlement.Outcome] {
        _ = try await driver.claimOne(demand(1, maxExpiredLeases: 2))
        subject.clock.advance(by: .seconds(60))
        try await driver.settle(try await driver.claimOne(demand(1, maxExpiredLeases: 2)).lease, outcome)
      }
      for _ in 0..<2 {
        _ = try await driver.claimOne(demand(1, maxExpiredLeases: 2))
        subject.clock.advance(by: .seconds(60))
      }
      try check(try await driver.claim(demand()).jobs.count, is: 0)
    },
    ConformanceCase("theLeaseOfAGivenUpJobIsLost", .poisonIsStopped) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let lease = try await driver.claimOne(demand(1, maxExpiredLeases: 1)).lease
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.claim(demand(1, "b"))
      try check(try await driver.settle(lease, .completed()), is: .leaseLost)
      try check(try await driver.failures().map(\.reason), is: [.lost])
    },
  ]
}
