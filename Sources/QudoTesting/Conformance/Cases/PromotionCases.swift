internal import Qudo

extension ConformanceSuite {
  static let promotion: [ConformanceCase] = [
    ConformanceCase("aDelayedJobIsReadyWhenItIsDueAndNotBefore", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      let due = subject.clock.now().wall.advanced(by: .seconds(5))
      _ = try await driver.insert([
        job("later", due: .after(.seconds(10))), job("soon", due: .at(due)), job("low", priority: -1),
      ])
      try check(try await driver.texts(), is: ["low"])
      subject.clock.advance(by: .microseconds(4_999_999))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .microseconds(1))
      subject.clock.advance(by: .microseconds(1))
      try check(try await driver.texts(), is: ["soon"])
      subject.clock.advance(by: .seconds(5))
      let last = try await driver.claim(demand())
      try check(last.texts, is: ["later"])
      try check(last.timeUntilNextDue, is: nil)
    },
    ConformanceCase("jobsThatBecomeReadyAreOrderedByPriority", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([
        job("2", due: .after(.seconds(2))), job("3"), job("1", priority: 1, due: .after(.seconds(3))),
        job("4", due: .after(.seconds(1))), job("5", kind: "b", priority: -1),
      ])
      subject.clock.advance(by: .seconds(3))
      try check(try await driver.texts(demand(9, "a", "b")), is: ["1", "3", "4", "2", "5"])
    },
    ConformanceCase("theNextDueTimeIsExactAcrossKinds", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      try check(try await driver.claim(demand()).timeUntilNextDue, is: nil)
      try await driver.insertNew(job(due: .after(.seconds(9))))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(9))
      try await driver.insertNew(job(kind: "b", due: .after(.microseconds(8_000_001))))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .microseconds(8_000_001))
      subject.clock.advance(by: .seconds(8))
      try check(try await driver.claim(demand(0)).timeUntilNextDue, is: .microseconds(1))
    },
    ConformanceCase("promotingMakesTheEarliestReadyUpToTheLimit", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert(
        (0..<10).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b", due: .after(.seconds(10 - $0))) })
      try check(try await driver.promote(limit: 5), is: 0)
      subject.clock.advance(by: .seconds(8))
      try check(try await driver.promote(limit: 0), is: 0)
      try check(try await driver.promote(limit: 3), is: 3)
      try check(try await driver.promote(limit: 100), is: 5)
      try check(try await driver.promote(limit: 100), is: 0)
      try check(try await driver.texts(demand(10, "a", "b")), is: ["9", "8", "7", "6", "5", "4", "3", "2"])
    },
    ConformanceCase("aClaimPromotesABoundedNumber", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<5000).map { job("\($0)", due: .after(.seconds(1))) })
      subject.clock.advance(by: .seconds(1))
      let claim = try await driver.claim(demand(1))
      try check(claim.texts, is: ["0"])
      try check(claim.timeUntilNextDue, is: .zero, "the next due time of the remaining jobs")
      try check(try await driver.promote(limit: 5000) > 0, "one claim to leave some of 5,000 jobs delayed")
      try check(try await driver.count(), is: [JobCount("a", ready: 4999, running: 1)])
    },
    ConformanceCase("noDelayedJobStarves", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert(
        (0..<3000).map { _ in job(kind: "b", priority: 5, due: .after(.seconds(1))) })
      try await driver.insertNew(job("ours", due: .after(.seconds(2))))
      subject.clock.advance(by: .seconds(2))
      // Like a worker, claim again while a job is due.
      for _ in 0..<3001 {
        let claim = try await driver.claim(demand())
        if claim.texts == ["ours"] { return }
        try check(claim.timeUntilNextDue, is: .zero)
      }
      throw ConformanceFailure(
        file: #fileID, line: #line, message: "expected the job after 3,001 claims, found none")
    },
    ConformanceCase("noExpiredLeaseStarves", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<3000).map { _ in job(kind: "b") } + [job("ours")])
      for _ in 0..<3 { _ = try await driver.claim(demand(1000, "b")) }
      _ = try await driver.claim(demand(leaseDuration: .seconds(61)))
      subject.clock.advance(by: .seconds(61))
      for _ in 0..<3001 {
        let claim = try await driver.claim(demand())
        if claim.texts == ["ours"] { return }
        try check(claim.timeUntilNextLeaseExpiry, is: .zero)
      }
      throw ConformanceFailure(
        file: #fileID, line: #line, message: "expected the job after 3,001 claims, found none")
    },
  ]
}
