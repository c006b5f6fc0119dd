internal import Qudo

extension ConformanceSuite {
  static let leases: [ConformanceCase] = [
    ConformanceCase("aClaimIsExclusiveUntilItsLeaseEnds", .claimsAreExclusive) { subject in
      let (one, other) = try await subject.openTwo()
      try await one.insertNew(job("x"))
      let first = try await one.claimOne()
      try check(try await other.texts(), is: [])
      try check(try await one.texts(), is: [])
      subject.clock.advance(by: .microseconds(59_999_999))
      try check(try await other.texts(), is: [], "a microsecond before the lease expires")
      subject.clock.advance(by: .microseconds(1))
      let second = try await other.claimOne()
      try check(second.id, is: first.id)
      try check(second.lease.token != first.lease.token, "another token")
      try check(try await one.settle(first.lease, .completed()), is: .leaseLost)
      try check(try await other.settle(second.lease, .completed()), is: .settled())
      try check(try await one.count(), is: [])
    },
    ConformanceCase(
      "aClosedDriversJobsAreFreeAtOnce", .claimsAreExclusive, requires: [.multiProcess, .recoversDeadHolders]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      let third = try await subject.open()
      _ = try await one.insert([job("1"), job("2", kind: "b"), job("3"), job("4"), job("5")])
      let lost = try await one.claim(demand(2, "a", "b", leaseDuration: .seconds(Int64.max)))
      _ = try await third.claim(demand(1))
      let kept = try await other.claim(demand(1))
      try check(kept.texts, is: ["4"])
      // A lease belongs to the connection that last renewed it.
      let renewed = try await other.renew([lost.jobs[1].lease], for: .seconds(60))
      try check(renewed.first??.token, is: lost.jobs[1].lease.token)
      await one.close()
      try check(
        try await other.count(), is: [JobCount("a", ready: 2, running: 2), JobCount("b", running: 1)])
      try check(
        try await other.jobs(matching: JobQuery()).map(\.state),
        is: [.ready, .running, .running, .running, .ready])
      try check(try await other.texts(demand(9, "a", "b")), is: ["1", "5"])
      try check(try await other.settle(lost.jobs[0].lease, .completed()), is: .leaseLost)
      await third.close()
      try check(try await other.texts(demand(9, "a", "b")), is: ["3"])
      try check(try await other.settle(kept.jobs[0].lease, .completed()), is: .settled())
    },
    ConformanceCase(
      "aClosedDriversJobsCountALostLease", .poisonIsStopped, requires: [.multiProcess, .recoversDeadHolders]
    ) { subject in
      let other = try await subject.open()
      try await other.insertNew(job("x"))
      for _ in 0..<3 {
        let dying = try await subject.open()
        try check(try await dying.texts(demand(1, maxExpiredLeases: 3)), is: ["x"])
        await dying.close()
      }
      try check(try await other.texts(), is: [])
      try check(try await other.failures(LogQuery()).map(\.reason), is: [.lost])
    },
    ConformanceCase("aLeaseLastsAsLongAsItsKindRequests", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("a"), job("b", kind: "b")])
      _ = try await driver.claim(
        ClaimRequest(
          [.init("a", leaseDuration: .seconds(5)), .init("b", leaseDuration: .seconds(7))], limit: 9))
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(demand(9, "a", "b")), is: ["a"])
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.texts(demand(9, "a", "b")), is: ["b"])
    },
    ConformanceCase("aLateSettleWhoseJobNobodyTookOverIsAccepted", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.settle(claimed.lease, .completed()), is: .settled())
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("aLateRenewalOfAnUnclaimedJobIsAccepted", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.renew([claimed.lease], for: .seconds(60)) != [nil], "the lease")
      try check(try await driver.texts(), is: [])
    },
    ConformanceCase("aRenewedLeaseExpiresThatLongFromNow", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(50))
      let longer = try require(
        try await driver.renew([claimed.lease], for: .seconds(60)).first ?? nil, "the renewed lease")
      try check(longer.token, is: claimed.lease.token, "token")
      subject.clock.advance(by: .seconds(59))
      let claim = try await driver.claim(demand())
      try check(claim.jobs.count, is: 0)
      try check(claim.timeUntilNextLeaseExpiry, is: .seconds(1))
      let shorter = try require(
        try await driver.renew([longer], for: .milliseconds(500)).first ?? nil, "the shortened lease")
      try check(try await driver.claim(demand()).timeUntilNextLeaseExpiry, is: .milliseconds(500))
      subject.clock.advance(by: .milliseconds(500))
      try check(try await driver.texts(), is: ["x"])
      try check(try await driver.settle(shorter, .completed()), is: .leaseLost)
    },
    ConformanceCase("theOlderValueOfARenewedLeaseStaysValid", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job(), job(), job()])
      let old = try await driver.claim(exactly: 3).map(\.lease)
      subject.clock.advance(by: .seconds(1))
      let extended = try await driver.renew(old, for: .seconds(90))
      try check(extended.contains(nil), is: false)
      subject.clock.advance(by: .seconds(1))
      try check(
        try await driver.renew([old[0]], for: .seconds(100)) != [nil], "a renewal by the older lease")
      try check(try await driver.settle(old[0], .completed()), is: .settled())
      try check(try await driver.settle(old[1], .retry(after: .zero, message: "")), is: .settled())
      try check(try await driver.release([old[2]]), is: [.settled()])
      try check(try await driver.count(), is: [JobCount("a", ready: 2)])
    },
    ConformanceCase("theNextLeaseExpiryIsExactAcrossKinds", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job(kind: "b"))
      try check(try await driver.claim(demand(1, "c")).timeUntilNextLeaseExpiry, is: nil)
      try check(
        try await driver.claim(demand(1, "b", leaseDuration: .seconds(9))).timeUntilNextLeaseExpiry,
        is: .seconds(9), "of the job just claimed")
      try await driver.insertNew(job())
      subject.clock.advance(by: .microseconds(1))
      let claim = try await driver.claim(demand(1, "a", leaseDuration: .seconds(60)))
      try check(claim.timeUntilNextLeaseExpiry, is: .microseconds(8_999_999))
      try await driver.complete(claim.jobs)
    },
    ConformanceCase("aLeaseMayHaveTheMaximumDuration", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne(demand(1, leaseDuration: .seconds(Int64.max)))
      subject.clock.advance(by: .seconds(1_000_000_000))
      try check(try await driver.texts(), is: [])
      try check(try await driver.renew([claimed.lease], for: .seconds(Int64.max)) != [nil], "the lease")
      try check(try await driver.settle(claimed.lease, .completed()), is: .settled())
    },
  ]
}
