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
      try check(try await other.texts(), is: [], "a microsecond before the end")
      subject.clock.advance(by: .microseconds(1))
      let second = try await other.claimOne()
      try check(second.id, is: first.id)
      try check(second.lease.token != first.lease.token, "another token")
      try check(try await one.settle(first.lease, .completed()), is: .leaseLost)
      try check(try await other.settle(second.lease, .completed()), is: .settled())
      try check(try await one.count(), is: [])
    },
    ConformanceCase("aClosedDriversJobsAreFreeAtOnce", .claimsAreExclusive, requires: [.severalProcesses, .recoversDeadHolders]) { subject in
      let (one, other) = try await subject.openTwo()
      let third = try await subject.open()
      _ = try await one.insert([job("1"), job("2", kind: "b"), job("3"), job("4"), job("5")])
      let lost = try await one.claim(want(2, "a", "b", lease: .seconds(Int64.max)))
      _ = try await third.claim(want(1))
      let kept = try await other.claim(want(1))
      try check(kept.texts, is: ["4"])
      // A lease belongs to whoever renewed it last.
      let renewed = try await other.extend([lost.jobs[1].lease], by: .seconds(60))
      try check(renewed.first??.token, is: lost.jobs[1].lease.token)
      await one.close()
      try check(try await other.count(), is: [JobCount("a", ready: 2, running: 2), JobCount("b", running: 1)])
      try check(try await other.find(JobQuery()).map(\.state), is: [.ready, .running, .running, .running, .ready])
      try check(try await other.texts(want(9, "a", "b")), is: ["1", "5"])
      try check(try await other.settle(lost.jobs[0].lease, .completed()), is: .leaseLost)
      await third.close()
      try check(try await other.texts(want(9, "a", "b")), is: ["3"])
      try check(try await other.settle(kept.jobs[0].lease, .completed()), is: .settled())
    },
    ConformanceCase("aClosedDriversJobsCountALostLease", .poisonIsStopped, requires: [.severalProcesses, .recoversDeadHolders]) { subject in
      let other = try await subject.open()
      try await other.insertNew(job("x"))
      for _ in 0..<3 {
        let dying = try await subject.open()
        try check(try await dying.texts(want(1, lostLimit: 3)), is: ["x"])
        await dying.close()
      }
      try check(try await other.texts(), is: [])
      try check(try await other.failures(LogQuery()).map(\.reason), is: [.lost])
    },
    ConformanceCase("aLeaseIsAsLongAsItsKindAsks", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("a"), job("b", kind: "b")])
      _ = try await driver.claim(ClaimRequest([.init("a", lease: .seconds(5)), .init("b", lease: .seconds(7))], limit: 9))
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(want(9, "a", "b")), is: ["a"])
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.texts(want(9, "a", "b")), is: ["b"])
    },
    ConformanceCase("aLateSettleWhoseJobNobodyTookOverIsAccepted", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.settle(claimed.lease, .completed()), is: .settled())
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("aLateExtensionWhoseJobNobodyTookOverIsAccepted", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.extend([claimed.lease], by: .seconds(60)) != [nil], "the lease")
      try check(try await driver.texts(), is: [])
    },
    ConformanceCase("anExtendedLeaseEndsThatLongFromNow", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(50))
      let longer = try require(try await driver.extend([claimed.lease], by: .seconds(60)).first ?? nil, "the extended lease")
      try check(longer.token, is: claimed.lease.token, "token")
      subject.clock.advance(by: .seconds(59))
      let claim = try await driver.claim(want())
      try check(claim.jobs.count, is: 0)
      try check(claim.nextLeaseEnd, is: .seconds(1))
      let shorter = try require(try await driver.extend([longer], by: .milliseconds(500)).first ?? nil, "the shortened lease")
      try check(try await driver.claim(want()).nextLeaseEnd, is: .milliseconds(500))
      subject.clock.advance(by: .milliseconds(500))
      try check(try await driver.texts(), is: ["x"])
      try check(try await driver.settle(shorter, .completed()), is: .leaseLost)
    },
    ConformanceCase("theOlderValueOfAnExtendedLeaseIsStillGood", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job(), job(), job()])
      let old = try await driver.claim(exactly: 3).map(\.lease)
      subject.clock.advance(by: .seconds(1))
      let extended = try await driver.extend(old, by: .seconds(90))
      try check(extended.contains(nil), is: false)
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.extend([old[0]], by: .seconds(100)) != [nil], "an extension by the older lease")
      try check(try await driver.settle(old[0], .completed()), is: .settled())
      try check(try await driver.settle(old[1], .retry(after: .zero, message: "")), is: .settled())
      try check(try await driver.release([old[2]]), is: [.settled()])
      try check(try await driver.count(), is: [JobCount("a", ready: 2)])
    },
    ConformanceCase("theNextLeaseEndIsExactAndOfAnyKind", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job(kind: "b"))
      try check(try await driver.claim(want(1, "c")).nextLeaseEnd, is: nil)
      try check(try await driver.claim(want(1, "b", lease: .seconds(9))).nextLeaseEnd, is: .seconds(9), "of the job just claimed")
      try await driver.insertNew(job())
      subject.clock.advance(by: .microseconds(1))
      let claim = try await driver.claim(want(1, "a", lease: .seconds(60)))
      try check(claim.nextLeaseEnd, is: .microseconds(8_999_999))
      try await driver.complete(claim.jobs)
    },
    ConformanceCase("aLeaseMayBeAsLongAsDurationsGo", .claimsAreExclusive) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let claimed = try await driver.claimOne(want(1, lease: .seconds(Int64.max)))
      subject.clock.advance(by: .seconds(1_000_000_000))
      try check(try await driver.texts(), is: [])
      try check(try await driver.extend([claimed.lease], by: .seconds(Int64.max)) != [nil], "the lease")
      try check(try await driver.settle(claimed.lease, .completed()), is: .settled())
    },
  ]
}
