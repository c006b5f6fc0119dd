internal import Qudo

/// A claim of kind `a` with a rate.
private func demand(_ limit: Int, _ rate: RateLimit) -> ClaimRequest {
  ClaimRequest([.init("a", leaseDuration: long, rate: rate)], limit: limit)
}

/// A lease that outlasts the case.
private let long = Duration.seconds(1_000_000)

private func demand(_ rate: RateLimit) -> ClaimRequest { demand(10, rate) }

/// One job per second, three at once.
private let three = RateLimit(3, per: .seconds(3))

extension ConformanceSuite {
  static let rated: [ConformanceCase] = [
    ConformanceCase("noMoreJobsBeginThanTheRateLets", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...12).map { job("\($0)") })
      let first = try await driver.claim(demand(three))
      try check(first.texts, is: ["1", "2", "3"])
      try check(first.timeUntilNextDue, is: .seconds(1))
      // Whatever becomes of the jobs.
      try await driver.complete(first.jobs)
      try check(try await driver.claim(demand(three)).timeUntilNextDue, is: .seconds(1))
      subject.clock.advance(by: .milliseconds(999))
      let none = try await driver.claim(demand(three))
      try check(none.texts, is: [])
      try check(none.timeUntilNextDue, is: .milliseconds(1))
      subject.clock.advance(by: .milliseconds(1))
      try check(try await driver.texts(demand(three)), is: ["4"])
      subject.clock.advance(by: .milliseconds(2500))
      try check(try await driver.texts(demand(1, three)), is: ["5"])
      try check(try await driver.texts(demand(three)), is: ["6"])
      subject.clock.advance(by: .seconds(3600))
      let burst = try await driver.claim(demand(three))
      try check(burst.texts, is: ["7", "8", "9"])
      try check(burst.timeUntilNextDue, is: .seconds(1))
    },
    ConformanceCase("theRateIsThatOfAllWorkers", .limitsHold, requires: [.rateLimits, .multiProcess]) {
      subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...9).map { job("\($0)") })
      try check(try await one.texts(demand(2, three)), is: ["1", "2"])
      try check(try await other.texts(demand(three)), is: ["3"])
      try check(try await one.texts(demand(three)), is: [])
      subject.clock.advance(by: .seconds(2))
      try check(try await other.texts(demand(three)), is: ["4", "5"])
      try check(try await one.texts(demand(three)), is: [])
    },
    ConformanceCase("theRateOfAKindLimitsNoOther", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...8).map { job("\($0)", kind: $0 % 2 == 0 ? "b" : "a") })
      let one = RateLimit(1, per: .seconds(60))
      let both = ClaimRequest(
        [.init("a", leaseDuration: long, rate: one), .init("b", leaseDuration: long)], limit: 3)
      try check(try await driver.texts(both), is: ["1", "2", "4"])
      let rest = try await driver.claim(both)
      try check(rest.texts, is: ["6", "8"])
      try check(rest.timeUntilNextDue, is: .seconds(60))
      // It binds the claims that state it, and counts theirs.
      try check(try await driver.texts(ClaimRequest([.init("a", leaseDuration: long)], limit: 1)), is: ["3"])
      subject.clock.advance(by: .seconds(59))
      try check(try await driver.texts(both), is: [])
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.texts(both), is: ["5"])
    },
    ConformanceCase("aBurstOfOneSpacesTheJobs", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      // A third of a second, rounded up to whole microseconds.
      let rate = RateLimit(3, per: .seconds(1), burst: 1)
      for next in 1...3 {
        try check(try await driver.texts(demand(rate)), is: ["\(next)"])
        subject.clock.advance(by: .microseconds(333_333))
        let claim = try await driver.claim(demand(rate))
        try check(claim.texts, is: [])
        try check(claim.timeUntilNextDue, is: .microseconds(1))
        subject.clock.advance(by: .microseconds(1))
      }
    },
    ConformanceCase("aBurstMayBeLargerThanTheRate", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...20).map { job("\($0)") })
      let rate = RateLimit(1, per: .seconds(1), burst: 5)
      try check(try await driver.claim(demand(rate)).jobs.count, is: 5)
      subject.clock.advance(by: .seconds(3))
      try check(try await driver.claim(demand(rate)).jobs.count, is: 3)
      subject.clock.advance(by: .seconds(100))
      try check(try await driver.claim(demand(rate)).jobs.count, is: 5)
    },
    ConformanceCase("aJobThatDidNotBeginGivesItsTokenBack", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      let held = try await driver.claim(exactly: 3, demand(three))
      var unbegun = held.map { Settlement($0.lease, .released) }
      for index in unbegun.indices { unbegun[index].hasBegun = false }
      try check(try await driver.settle([unbegun[0]], claiming: nil).results, is: [.settled()])
      // Once only: the lease is gone.
      try check(try await driver.settle([unbegun[0]], claiming: nil).results, is: [.leaseLost])
      let again = try await driver.claim(demand(three))
      try check(again.texts, is: ["1"])
      // A run that was interrupted did begin, and one that ends never gives anything back.
      try await driver.settle(again.jobs[0].lease, .released)
      var completed = Settlement(held[1].lease, .completed())
      completed.hasBegun = false
      try check(try await driver.settle([completed], claiming: nil).results, is: [.settled()])
      try check(try await driver.claim(demand(three)).texts, is: [])
      let answer = try await driver.settle([unbegun[2]], claiming: demand(three))
      try check(answer.claim?.texts, is: ["1"])
      // A kind without a bucket has nothing to get back.
      let id = try await driver.insertNew(job(kind: "b"))
      var other = Settlement(try await driver.claimOne(ClaimRequest([.init("b")], limit: 1)).lease, .released)
      other.hasBegun = false
      try check(try await driver.settle([other], claiming: nil).results, is: [.settled()])
      try check(try await driver.claimOne(ClaimRequest([.init("b")], limit: 1)).id, is: id)
    },
    ConformanceCase(
      "aTokenThatIsGivenBackEndsNoThrottle", .limitsHold, requires: [.rateLimits, .control]
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      let held = try await driver.claim(exactly: 3, demand(three))
      try await driver.control().throttle("a", three, for: .seconds(30))
      _ = try await driver.release(held.map(\.lease))
      subject.clock.advance(by: .seconds(30))
      try check(try await driver.texts(demand(three)), is: ["1"])
      try check(try await driver.texts(demand(three)), is: [])
    },
    ConformanceCase(
      "aCancelledJobThatDidNotBeginGivesItsTokenBack", .limitsHold, requires: [.rateLimits, .control]
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      let held = try await driver.claim(exactly: 3, demand(three))
      try check(try await driver.control().cancel([held[1].id], reason: nil), is: [.cancelling])
      try check(try await driver.release([held[1].lease]), is: [.cancelled])
      try check(try await driver.texts(demand(three)), is: ["4"])
    },
    ConformanceCase("aBacklogBehindARateHidesNoOtherKind", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...40).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "c") })
      _ = try await driver.results(of: (1...2).map { job("b\($0)", kind: "b") })
      let slow = RateLimit(1, per: .seconds(60))
      let request = ClaimRequest(
        [
          .init("a", leaseDuration: long, rate: slow), .init("c", leaseDuration: long, rate: slow),
          .init("b", leaseDuration: long),
        ], limit: 3)
      try check(try await driver.texts(request), is: ["1", "2", "b1"])
      try check(try await driver.texts(request), is: ["b2"])
    },
    ConformanceCase("retriesTakeTokensToo", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { job("\($0)") })
      for outcome in [
        .retry(after: .zero, message: "no"), .snoozed(.zero), .released,
      ] as [Settlement.Outcome] {
        let held = try await driver.claimOne(demand(1, three))
        try await driver.settle(held.lease, outcome)
      }
      try check(try await driver.texts(demand(three)), is: [])
      // An expired lease, too.
      subject.clock.advance(by: .seconds(1))
      let lost = try await driver.claimOne(ClaimRequest([.init("a", rate: three)], limit: 1))
      subject.clock.advance(by: .seconds(61))
      try check(try await driver.claim(exactly: 3, demand(three)).map(\.id).contains(lost.id), is: true)
      try check(try await driver.texts(demand(three)), is: [])
    },
    ConformanceCase("delayedJobsKeepToTheRate", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...5).map { job("\($0)", due: .after(.seconds(5))) })
      // Nothing is held up by the rate, so only the jobs' time counts.
      try check(try await driver.claim(demand(three)).timeUntilNextDue, is: .seconds(5))
      subject.clock.advance(by: .seconds(5))
      let claim = try await driver.claim(demand(three))
      try check(claim.texts, is: ["1", "2", "3"])
      try check(claim.timeUntilNextDue, is: .seconds(1))
      try check(try await driver.count().map { [$0.ready, $0.delayed, $0.running] }, is: [[2, 0, 3]])
    },
    ConformanceCase(
      "theSmallerOfTheMaximumAndTheRateCounts", .limitsHold, requires: [.rateLimits, .maxRunning]
    ) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      let request = ClaimRequest([.init("a", limit: 9, maxRunning: 2, rate: three)], limit: 10)
      let held = try await driver.claim(exactly: 2, request)
      // It waits for one of the running jobs, and for no time.
      try check(try await driver.claim(request).timeUntilNextDue, is: nil)
      try await driver.complete(held)
      let last = try await driver.claim(request)
      try check(last.texts, is: ["3"])
      try check(last.timeUntilNextDue, is: .seconds(1))
    },
    ConformanceCase("aRateThatIsChangedHoldsAtOnce", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...40).map { job("\($0)") })
      let slow = RateLimit(10, per: .seconds(36_000))
      try check(try await driver.claim(demand(20, slow)).jobs.count, is: 10)
      // The faster bucket is empty, too, and fills in its own time.
      let fast = RateLimit(10, per: .seconds(1))
      let claim = try await driver.claim(demand(20, fast))
      try check([claim.jobs.count, claim.timeUntilNextDue == .milliseconds(100) ? 1 : 0], is: [0, 1])
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.claim(demand(20, fast)).jobs.count, is: 10)
      subject.clock.advance(by: .milliseconds(500))
      try check(try await driver.claim(demand(20, slow)).jobs.count, is: 9)
    },
    ConformanceCase("ratesSurviveJumpsOfTheClock", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...20).map { job("\($0)") })
      try check(try await driver.claim(demand(20, three)).jobs.count, is: 3)
      // Set back by a day: the next token is there no later, and no earlier.
      subject.clock.jump(by: .seconds(-86_400))
      let claim = try await driver.claim(demand(20, three))
      try check([claim.jobs.count, claim.timeUntilNextDue == .seconds(1) ? 1 : 0], is: [0, 1])
      subject.clock.advance(by: .milliseconds(400))
      try check(try await driver.claim(demand(20, three)).timeUntilNextDue, is: .milliseconds(600))
      subject.clock.advance(by: .milliseconds(600))
      try check(try await driver.claim(demand(20, three)).jobs.count, is: 1)
      try await driver.control().throttle("a", three, for: .seconds(10))
      subject.clock.jump(by: .seconds(-86_400))
      try check(try await driver.claim(demand(20, three)).timeUntilNextDue, is: .seconds(10))
      subject.clock.advance(by: .seconds(10))
      try check(try await driver.claim(demand(20, three)).jobs.count, is: 1)
      subject.clock.jump(by: .seconds(2 * 86_400))
      try check(try await driver.claim(demand(20, three)).jobs.count, is: 3)
    },
    ConformanceCase("aRateThatLetsNothingBeginIsNoError", .limitsHold, requires: .rateLimits) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { job("\($0)") })
      for rate in [
        RateLimit(0, per: .seconds(1)), RateLimit(-1, per: .seconds(1)), RateLimit(1, per: .zero),
        RateLimit(1, per: .seconds(-1)), RateLimit(1, per: .seconds(1), burst: 0),
        RateLimit(.max, per: .seconds(1)), RateLimit(1, per: .seconds(Int64.max)),
        RateLimit(1, per: .seconds(86_400), burst: .max),
      ] {
        let claim = try await driver.claim(demand(rate))
        try check(claim.texts, is: [], "\(rate)")
        try check(claim.timeUntilNextDue, is: nil, "\(rate)")
        try await check(throws: .invalidArgument, "\(rate)") {
          try await driver.control().throttle("a", rate, for: .seconds(1))
        }
      }
      try check(try await driver.texts(demand(RateLimit(1_000_000, per: .seconds(1)))), is: ["1", "2", "3"])
    },
    ConformanceCase("aThrottledKindBeginsNothing", .limitsHold, requires: [.rateLimits, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: (1...9).map { job("\($0)") } + [job("b", kind: "b")])
      let held = try await driver.claimOne(demand(1, three))
      try await control.throttle("a", three, for: .seconds(30))
      // A shorter one changes nothing.
      try await control.throttle("a", three, for: .seconds(1))
      let both = ClaimRequest(
        [.init("a", leaseDuration: long, rate: three), .init("b", leaseDuration: long)], limit: 9)
      let claim = try await driver.claim(both)
      try check(claim.texts, is: ["b"])
      try check(claim.timeUntilNextDue, is: .seconds(30))
      // Running jobs continue.
      try check(try await driver.settle(held.lease, .completed()), is: .settled())
      subject.clock.advance(by: .seconds(29))
      try check(try await driver.claim(both).timeUntilNextDue, is: .seconds(1))
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.texts(both), is: ["2"])
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.texts(both), is: ["3"])
      try await control.throttle("a", three, for: .seconds(5))
      try await control.throttle("a", three, for: .seconds(20))
      try check(try await driver.claim(both).timeUntilNextDue, is: .seconds(20))
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.texts(both), is: ["4", "5", "6"])
      // A kind that the database does not know yet.
      try await control.throttle("new", three, for: .seconds(5))
      try await driver.insertNew(job("x", kind: "new"))
      let new = ClaimRequest([.init("new", rate: three)], limit: 9)
      try check(try await driver.claim(new).timeUntilNextDue, is: .seconds(5))
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(new), is: ["x"])
    },
    ConformanceCase("aThrottleIsChecked", .limitsHold, requires: [.rateLimits, .control]) { subject in
      let control = try await subject.open().control()
      for duration in [.zero, .seconds(-1), .seconds(Int64.max), .seconds(12 * 366 * 86_400)] as [Duration] {
        try await check(throws: .invalidArgument, "\(duration)") {
          try await control.throttle("a", three, for: duration)
        }
      }
      try await check(throws: .invalidArgument, "a long kind") {
        try await control.throttle(Kind(String(repeating: "k", count: 256)), three, for: .seconds(1))
      }
    },
    ConformanceCase("aPausedKindWaitsForNoToken", .limitsHold, requires: [.rateLimits, .control]) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      _ = try await driver.claim(exactly: 3, demand(three))
      try await driver.control().pause(["a"], until: nil, reason: nil)
      try check(try await driver.claim(demand(three)).timeUntilNextDue, is: nil)
      _ = try await driver.control().resume(nil)
      try check(try await driver.claim(demand(three)).timeUntilNextDue, is: .seconds(1))
    },
    ConformanceCase("theRateHoldsWhileManyClaim", .limitsHold, requires: [.rateLimits, .multiProcess]) {
      subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...60).map { job("\($0)") })
      let rate = RateLimit(7, per: .seconds(7))
      for round in 0..<3 {
        let begun = Locked(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
          for worker in 0..<6 {
            let driver = worker % 2 == 0 ? one : other
            group.addTask {
              for _ in 0..<4 {
                let jobs = try await driver.claim(demand(2, rate)).jobs
                begun.withLock { $0 += jobs.count }
                try await driver.complete(jobs)
              }
            }
          }
          try await group.waitForAll()
        }
        try check(begun.withLock { $0 }, is: round == 0 ? 7 : 4)
        subject.clock.advance(by: .seconds(4))
      }
    },
  ]
}
