internal import Qudo

extension ConformanceSuite {
  static let settling: [ConformanceCase] = [
    ConformanceCase("eachOutcomeLeavesTheJobWhereItBelongs", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      for (outcome, left) in [
        (.completed(), nil), (.failed(message: ""), nil), (.aborted(message: ""), nil), (.released, .ready),
        (.retry(after: .zero, message: ""), .ready), (.retry(after: .seconds(1), message: ""), .delayed),
        (.snoozed(.zero), .ready), (.snoozed(.seconds(1)), .delayed),
      ] as [(Settlement.Outcome, JobState?)] {
        let id = try await driver.insertNew(job())
        let claimed = try await driver.claimOne()
        try check(claimed.id, is: id)
        try await driver.settle(claimed.lease, outcome)
        try check(
          try await driver.jobs(matching: JobQuery()).map(\.state), is: left.map { [$0] } ?? [],
          "after \(outcome)")
        subject.clock.advance(by: .seconds(1))
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
    ConformanceCase("settlingMayClaimTheNextJobs", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2"), job("3"), job("4", due: .after(.seconds(4)))])
      let first = try await driver.claimOne()
      let answer = try await driver.settle(
        [Settlement(first.lease, .completed())], claiming: demand(1, leaseDuration: .seconds(5)))
      try check(answer.results, is: [.settled()])
      let claim = try require(answer.claim, "a claim")
      try check(claim.texts, is: ["2"])
      try check(claim.timeUntilNextDue, is: .seconds(4))
      try check(claim.timeUntilNextLeaseExpiry, is: .seconds(5))
      try check(try await driver.settle([], claiming: demand()).claim?.texts, is: ["3"])
      try check(
        try await driver.settle([Settlement(claim.jobs[0].lease, .completed())], claiming: nil).claim == nil,
        "no claim without a request")
    },
    ConformanceCase("aSettledJobCanBeClaimedInTheSameCall", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      let first = try await driver.claimOne()
      let again = try await driver.settle(
        [Settlement(first.lease, .retry(after: .zero, message: ""))], claiming: demand()
      ).claim
      let second = try require(again?.jobs.first, "the job again")
      try check(second.attempt, is: 2)
      let replaced = try await driver.settle(
        [Settlement(second.lease, .completed(replacements: [job("y")]))], claiming: demand())
      try check(replaced.claim?.texts, is: ["y"])
    },
    ConformanceCase("settlingNoJobsDoesNothing", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      let answer = try await driver.settle([], claiming: nil)
      try check(answer.results, is: [])
      try check(answer.claim == nil, "no claim")
      try check(try await driver.renew([], for: .seconds(1)), is: [])
    },
    ConformanceCase("aRetriedJobIsDueAfterItsDelay", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(3))
      let now = subject.clock.now().wall
      try await driver.settle(claimed.lease, .retry(after: .milliseconds(1500), message: ""))
      try check(try await driver.findOne().dueAt, is: now.advanced(by: .milliseconds(1500)))
      let claim = try await driver.claim(demand())
      try check(claim.texts, is: [])
      try check(claim.timeUntilNextDue, is: .milliseconds(1500))
      subject.clock.advance(by: .milliseconds(1500))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("aReleasedJobKeepsItsPlace", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2")])
      let before = try await Snapshot(driver)
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.settle(claimed.lease, .released, recording: .seconds(1)), is: .settled())
      try await Snapshot(driver).check(is: before, "after the release")
      try check(try await driver.texts(), is: ["1", "2"])
    },
  ]
}
