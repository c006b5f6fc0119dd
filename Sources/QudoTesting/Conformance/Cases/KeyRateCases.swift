internal import Qudo

/// A key with a rate.
private func paced(_ rate: RateLimit, _ key: String = "k", limit: Int = 1) -> ConcurrencyKey {
  ConcurrencyKey(key, limit: limit, rate: rate)
}

/// One job per second, three at once.
private let three = RateLimit(3, per: .seconds(3))
/// One job per minute.
private let slow = RateLimit(1, per: .seconds(60))
/// A lease that outlasts the case.
private let long = Duration.seconds(1_000_000)

private func wanted(_ limit: Int = 100, rate: RateLimit? = nil) -> ClaimRequest {
  ClaimRequest([.init("a", leaseDuration: long, rate: rate)], limit: limit)
}

extension Driver {
  /// Claims and completes jobs, which must have these payloads.
  fileprivate func complete(_ texts: [String], _ note: String = "") async throws {
    let jobs = try await self.claim(wanted()).jobs
    try QudoTesting.check(jobs.map(\.payload.text), is: texts, note)
    try await complete(jobs)
  }
}

extension ConformanceSuite {
  static let keyRates: [ConformanceCase] = keyTokens + keyTokenUses + keyBuckets

  private static let keyTokens: [ConformanceCase] = [
    ConformanceCase("noMoreJobsOfAKeyBeginThanItsRateLets", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...6).map { keyed("\($0)", paced(three, limit: 5)) })
      let first = try await driver.claim(wanted())
      try check(first.texts, is: ["1", "2", "3"])
      try check(first.timeUntilNextDue, is: .seconds(1))
      try check(
        try await driver.count().map { [$0.ready, $0.delayed, $0.running, $0.held] }, is: [[0, 2, 3, 1]])
      // Whatever becomes of the jobs.
      try await driver.complete(first.jobs)
      try check(try await driver.claim(wanted()).texts, is: [])
      subject.clock.advance(by: .milliseconds(999))
      let none = try await driver.claim(wanted())
      try check(none.texts, is: [])
      try check(none.timeUntilNextDue, is: .milliseconds(1))
      subject.clock.advance(by: .milliseconds(1))
      for text in ["4", "5", "6"] {
        try await driver.complete([text])
        subject.clock.advance(by: .seconds(1))
      }
      try check(try await driver.count().count, is: 0)
      subject.clock.advance(by: .seconds(3600))
      _ = try await driver.results(of: (7...10).map { keyed("\($0)", paced(three, limit: 5)) })
      try await driver.complete(["7", "8", "9"])
    },
    ConformanceCase("theRateOfAKeySlowsNoOtherJob", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      var jobs = (1...3).map { keyed("\($0)", paced(slow, limit: 3)) }
      jobs += [keyed("other", paced(slow, "o")), job("n"), keyed("b", paced(slow), kind: "b")]
      _ = try await driver.results(of: jobs)
      let both = ClaimRequest(
        [.init("a", leaseDuration: long), .init("b", leaseDuration: long)], limit: 2)
      // Those that are late take no place in the claim.
      try check(try await driver.texts(both), is: ["1", "other"])
      try check(try await driver.texts(both), is: ["n", "b"])
      let rest = try await driver.claim(both)
      try check(rest.texts, is: [])
      try check(rest.timeUntilNextDue, is: .seconds(60))
    },
    // Workers come a little later than the tokens, which must not let one pass.
    ConformanceCase("lateJobsBeginInOrder", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      let key = paced(RateLimit(1, per: .seconds(1)), limit: 50)
      let ids = try await driver.results(of: (1...50).map { keyed("\($0)", key) }).map(\.id)
      try await driver.complete(["1"])
      for next in 2...9 {
        try check(try await driver.texts(wanted()), is: [])
        subject.clock.advance(by: .milliseconds(1005))
        // A new job is behind those that wait.
        if next == 5 { _ = try await driver.results(of: [keyed("x", key, priority: 0)]) }
        try await driver.complete(["\(next)"])
      }
      guard driver.capabilities.contains(.control) else { return }
      let control = try driver.control()
      // Whoever makes them ready gives them no tokens, and takes none.
      _ = try await control.change(matching: JobQuery(states: [.delayed], limit: 100), JobChange(due: .now))
      try check(try await driver.texts(wanted()), is: [])
      subject.clock.advance(by: .seconds(1))
      try await driver.complete(["10"])
      // The others move up to the places of jobs that are gone.
      _ = try await control.cancel(Array(ids[10...48]), reason: nil)
      for next in ["50", "x"] {
        try check(try await driver.texts(wanted()), is: [])
        subject.clock.advance(by: .seconds(1))
        try await driver.complete([next])
      }
    },
    ConformanceCase("theOrderOfAKeyHoldsUnderItsRate", .keysKeepOrder, requires: .keyRates) { subject in
      let driver = try await subject.open()
      let key = paced(RateLimit(1, per: .seconds(10)))
      _ = try await driver.results(of: (1...4).map { keyed("\($0)", key, priority: $0) })
      let first = try await driver.claimOne(wanted())
      try await driver.settle(first.lease, .retry(after: .zero, message: ""))
      for text in ["1", "2", "3", "4"] {
        try check(try await driver.texts(wanted()), is: [], text)
        subject.clock.advance(by: .seconds(10))
        try await driver.complete([text])
      }
    },
    ConformanceCase("theRateOfAKeyIsThatOfAllWorkers", .limitsHold, requires: [.keyRates, .multiProcess]) {
      subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...9).map { keyed("\($0)", paced(three, limit: 9)) })
      try check(try await one.texts(wanted(2)), is: ["1", "2"])
      try check(try await other.texts(wanted()), is: ["3"])
      try check(try await one.texts(wanted()), is: [])
      subject.clock.advance(by: .seconds(2))
      try check(try await other.texts(wanted()), is: ["4", "5"])
      try check(try await one.texts(wanted()), is: [])
    },
    ConformanceCase(
      "theRateOfAKeyHoldsWhileManyClaim", .limitsHold, requires: [.keyRates, .multiProcess]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      let key = paced(RateLimit(7, per: .seconds(7)), limit: 60)
      _ = try await one.results(of: (1...60).map { keyed("\($0)", key) })
      var total = 0
      for round in 0..<3 {
        let begun = Locked(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
          for worker in 0..<6 {
            let driver = worker % 2 == 0 ? one : other
            group.addTask {
              for _ in 0..<4 {
                let jobs = try await driver.claim(wanted(2)).jobs
                begun.withLock { $0 += jobs.count }
                try await driver.complete(jobs)
              }
            }
          }
          try await group.waitForAll()
        }
        // Claims that pass over what others have locked may leave tokens to the next round.
        let count = begun.withLock { $0 }
        try check(
          (1...min(7, 7 + 4 * round - total)).contains(count), is: true, "\(count) after \(total)")
        total += count
        subject.clock.advance(by: .seconds(4))
      }
    },
  ]

  private static let keyTokenUses: [ConformanceCase] = [
    ConformanceCase("retriesOfAKeyTakeTokensToo", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(keyed("1", paced(three)))
      for outcome in [
        .retry(after: .zero, message: "no"), .snoozed(.zero), .released,
      ] as [Settlement.Outcome] {
        let held = try await driver.claimOne(wanted())
        try await driver.settle(held.lease, outcome)
      }
      try check(try await driver.texts(wanted()), is: [])
      try check(try await driver.states(), is: [.delayed])
      subject.clock.advance(by: .seconds(1))
      // The wait counted no attempt, and logged nothing.
      let again = try await driver.claimOne(wanted())
      try check(again.attempt, is: 2)
      try check(try await driver.failures(LogQuery(limit: 9)).count, is: 1)
      try await driver.complete([again])
      // An expired lease, too.
      try await driver.insertNew(keyed("2", paced(RateLimit(1, per: .seconds(100)), "l")))
      let lost = try await driver.claimOne(ClaimRequest([.init("a")], limit: 1))
      subject.clock.advance(by: .seconds(61))
      let none = try await driver.claim(wanted())
      try check([none.jobs.count, none.recovered], is: [0, 1])
      try check(none.timeUntilNextDue, is: .seconds(39))
      subject.clock.advance(by: .seconds(39))
      try check(try await driver.claimOne(wanted()).id, is: lost.id)
    },
    ConformanceCase("aJobOfAKeyThatDidNotBeginGivesItsTokenBack", .limitsHold, requires: .keyRates) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { keyed("\($0)", paced(three, limit: 3)) })
      let held = try await driver.claim(exactly: 3, wanted())
      try check(try await driver.release([held[0].lease]), is: [.settled()])
      // Once only: the lease is gone.
      try check(try await driver.release([held[0].lease]), is: [.leaseLost])
      let again = try await driver.claimOne(wanted())
      try check(again.id, is: held[0].id)
      // A run that was interrupted did begin.
      try await driver.settle(again.lease, .released)
      try check(try await driver.texts(wanted()), is: [])
      if driver.capabilities.contains(.control) {
        let control = try driver.control()
        try check(try await control.cancel([held[1].id], reason: nil), is: [.cancelling])
        try check(try await driver.release([held[1].lease]), is: [.cancelled])
        try await driver.insertNew(keyed("4", paced(three, limit: 3)))
        try check(try await driver.texts(wanted()), is: ["4"])
      }
    },
    ConformanceCase("aJobNeedsATokenOfItsKindAndOfItsKey", .limitsHold, requires: [.keyRates, .rateLimits]) {
      subject in
      let driver = try await subject.open()
      let key = paced(RateLimit(1, per: .seconds(100)), limit: 2)
      let kind = RateLimit(2, per: .seconds(10))
      _ = try await driver.results(of: [keyed("1", key), keyed("2", key), job("n1"), job("n2"), job("n3")])
      // The late one takes no token of the kind.
      try check(try await driver.texts(wanted(rate: kind)), is: ["1", "n1"])
      try await driver.insertNew(keyed("z", paced(RateLimit(1, per: .seconds(100)), "z"), priority: 1))
      let none = try await driver.claim(wanted(rate: kind))
      try check(none.texts, is: [])
      try check(none.timeUntilNextDue, is: .seconds(5))
      // And one that its kind holds up takes none of its key.
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(wanted(rate: kind)), is: ["z"])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(wanted(rate: kind)), is: ["n2"])
      subject.clock.advance(by: .seconds(90))
      try check(try await driver.texts(wanted(rate: kind)), is: ["n3", "2"])
    },
    ConformanceCase("aLateJobIsControlled", .jobsAreControlled, requires: [.keyRates, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(
        of: [
          keyed("1", paced(slow)), keyed("2", paced(slow)),
          keyed("3", paced(slow), expires: .after(.seconds(5))),
          keyed("4", paced(slow)),
        ]
      ).map(\.id)
      try await driver.complete(["1"])
      try check(try await driver.texts(wanted()), is: [])
      try check(try await driver.states(), is: [.delayed, .held, .held])
      // A change of its due time gives it no token.
      try check(try await control.change([ids[1]], JobChange(due: .now)), is: [.changed])
      try check(try await driver.texts(wanted()), is: [])
      try check(try await control.cancel([ids[1]], reason: nil), is: [.cancelled])
      try check(try await driver.texts(wanted()), is: [])
      try check(try await driver.states(), is: [.delayed, .held])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.claim(wanted()).givenUp.map(\.id), is: [ids[2]])
      try await control.pause(["a"], until: nil, reason: nil)
      subject.clock.advance(by: .seconds(600))
      try check(try await driver.texts(wanted()), is: [])
      _ = try await control.resume(nil)
      try await driver.complete(["4"])
    },
    ConformanceCase("aThrottledKeyBeginsNothing", .limitsHold, requires: [.keyRates, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(
        of: (1...5).map { keyed("\($0)", paced(three, limit: 9)) } + [job("n"), keyed("o", "other")]
      ).map(\.id)
      let first = try await driver.claimOne(wanted(1))
      try check(try await control.throttle(keyOf: first.id, for: .seconds(30)), is: true)
      // A shorter one changes nothing.
      try check(try await control.throttle(keyOf: first.id, for: .seconds(1)), is: true)
      for id in [ids[5], ids[6], 1_000_000] {
        try check(try await control.throttle(keyOf: id, for: .seconds(30)), is: false)
      }
      let others = try await driver.claim(wanted())
      try check(others.texts, is: ["n", "o"])
      try check(others.timeUntilNextDue, is: .seconds(30))
      try await driver.complete([first] + others.jobs)
      for text in ["2", "3"] {
        subject.clock.advance(by: .seconds(text == "2" ? 30 : 1))
        try await driver.complete([text])
      }
      for duration in [.zero, .seconds(-1), .seconds(Int64.max)] as [Duration] {
        try await check(throws: .invalidArgument, "\(duration)") {
          _ = try await control.throttle(keyOf: ids[3], for: duration)
        }
      }
    },
    ConformanceCase(
      "aStoppedKeyKeepsItsRate", .keysKeepOrder, requires: [.keyRates, .keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let key = ConcurrencyKey("k", rate: slow, afterFailure: .stop)
      _ = try await driver.results(of: [keyed("1", key), keyed("2", key)])
      try await driver.settle(try await driver.claimOne(wanted()).lease, .failed(message: ""))
      subject.clock.advance(by: .seconds(50))
      let failure = try require(try await control.failures(LogQuery(limit: 1)).first, "a failure")
      _ = try await control.replay([failure.id])
      let none = try await driver.claim(wanted())
      try check(none.texts, is: [])
      try check(none.timeUntilNextDue, is: .seconds(10))
      for text in ["1", "2"] {
        subject.clock.advance(by: .seconds(60))
        try await driver.complete([text])
        try check(try await driver.texts(wanted()), is: [], text)
      }
    },
  ]

  private static let keyBuckets: [ConformanceCase] = [
    ConformanceCase("aKeyWithoutJobsKeepsItsBucket", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      for round in 0..<3 {
        try await driver.insertNew(keyed("\(round)", paced(slow)))
        if round > 0 {
          let none = try await driver.claim(wanted())
          try check(none.texts, is: [], "round \(round)")
          try check(none.timeUntilNextDue, is: .seconds(60), "round \(round)")
          subject.clock.advance(by: .seconds(60))
        }
        try await driver.complete(["\(round)"])
      }
      // Those that ask for no rate begin at once, and take no token.
      try await driver.insertNew(keyed("free", "k"))
      try await driver.complete(["free"])
      subject.clock.advance(by: .seconds(20))
      try await driver.insertNew(keyed("rated", paced(slow)))
      try check(try await driver.claim(wanted()).timeUntilNextDue, is: .seconds(40))
      subject.clock.advance(by: .seconds(40))
      try await driver.complete(["rated"])
      // Many others come and go meanwhile.
      for number in 0..<40 {
        try await driver.insertNew(keyed("\(number)", paced(RateLimit(1, per: .seconds(1)), "k\(number)")))
        try await driver.complete(["\(number)"])
        subject.clock.advance(by: .seconds(1))
      }
      try await driver.insertNew(keyed("last", paced(slow)))
      try check(try await driver.claim(wanted()).timeUntilNextDue, is: .seconds(20))
    },
    ConformanceCase("theRateOfTheNewestEnqueueCounts", .limitsHold, requires: .keyRates) { subject in
      let driver = try await subject.open()
      let hourly = RateLimit(1, per: .seconds(3600))
      _ = try await driver.results(of: (1...2).map { keyed("\($0)", paced(hourly, limit: 2)) })
      try await driver.complete(["1"])
      // A job that waits for a token waits for it; the next ones have the new rate.
      let fast = RateLimit(10, per: .seconds(1))
      try await driver.insertNew(keyed("3", paced(fast, limit: 2)))
      try check(try await driver.texts(wanted()), is: [])
      subject.clock.advance(by: .milliseconds(200))
      try await driver.complete(["3"])
      try await driver.insertNew(keyed("4", ConcurrencyKey("k", limit: 2)))
      try await driver.complete(["4"])
      try await driver.insertNew(keyed("5", paced(slow, limit: 2)))
      try check(try await driver.texts(wanted()), is: [])
      subject.clock.advance(by: .seconds(3600))
      let last = try await driver.claim(wanted())
      try check(last.jobs.count, is: 1)
      try await driver.complete(last.jobs)
      subject.clock.advance(by: .seconds(60))
      try check(try await driver.claim(wanted()).jobs.count, is: 1)
    },
    ConformanceCase("bucketsOfKeysOutliveTheProcess", .limitsHold, requires: [.keyRates, .durable]) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1", paced(slow)), keyed("2", paced(slow))])
      try await driver.complete(["1"])
      await driver.close()
      let again = try await subject.open()
      try check(try await again.claim(wanted()).timeUntilNextDue, is: .seconds(60))
      subject.clock.advance(by: .seconds(60))
      try await again.complete(["2"])
    },
    ConformanceCase(
      "ratesOfKeysSurviveJumpsOfTheClock", .limitsHold, requires: [.keyRates, .monotonicLeases]
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { keyed("\($0)", paced(slow, limit: 3)) })
      try await driver.complete(["1"])
      // Set back by a day: the next job begins no earlier, and at most a minute later.
      subject.clock.jump(by: .seconds(-86_400))
      try check(try await driver.texts(wanted()), is: [])
      subject.clock.advance(by: .seconds(59))
      try check(try await driver.texts(wanted()), is: [])
      var waited = 0
      while try await driver.claim(wanted()).jobs.isEmpty, waited < 62 {
        subject.clock.advance(by: .seconds(1))
        waited += 1
      }
      try check((1...61).contains(waited), is: true, "\(waited)")
      subject.clock.jump(by: .seconds(2 * 86_400))
      try check(try await driver.claim(wanted()).jobs.count, is: 1)
    },
    ConformanceCase("aRateOfAKeyIsChecked", .payloadsAreExact, requires: .keyRates) { subject in
      let driver = try await subject.open()
      for rate in [
        RateLimit(0, per: .seconds(1)), RateLimit(1, per: .zero), RateLimit(1, per: .seconds(1), burst: 0),
        RateLimit(.max, per: .seconds(1)), RateLimit(1, per: .seconds(86_400), burst: .max),
      ] {
        try await check(throws: .invalidArgument, "\(rate)") {
          _ = try await driver.insert([keyed("x", paced(rate))])
        }
      }
      try check(try await driver.count().count, is: 0)
    },
  ]
}
