internal import Qudo

/// A claim of kind `a` that leaves at most `most` of its jobs running.
private func demand(_ limit: Int = 10, maxRunning most: Int) -> ClaimRequest {
  ClaimRequest([.init("a", maxRunning: most)], limit: limit)
}

extension ConformanceSuite {
  static let limited: [ConformanceCase] = [
    ConformanceCase("noMoreJobsRunThanTheMaximum", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...6).map { job("\($0)") })
      var held = try await driver.claim(exactly: 2, demand(maxRunning: 2))
      try check(held.map(\.payload.text), is: ["1", "2"])
      try check(try await driver.claim(demand(maxRunning: 2)).jobs.count, is: 0)
      // A settlement makes room for the claim that comes with it, whatever its outcome is.
      for (index, outcome) in [
        Settlement.Outcome.completed(), .failed(message: "no"), .aborted(message: "no"),
      ]
      .enumerated() {
        let answer = try await driver.settle(
          [Settlement(held.removeFirst().lease, outcome)], claiming: demand(maxRunning: 2))
        held += answer.claim?.jobs ?? []
        try check(held.map(\.payload.text), is: ["\(index + 2)", "\(index + 3)"])
      }
      try await driver.complete(held)
      try check(try await driver.texts(demand(maxRunning: 2)), is: ["6"])
    },
    ConformanceCase("theMaximumIsThatOfAllWorkers", .limitsHold, requires: [.maxRunning, .multiProcess]) {
      subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...6).map { job("\($0)") })
      let first = try await one.claim(exactly: 2, demand(2, maxRunning: 3))
      let second = try await other.claim(exactly: 1, demand(maxRunning: 3))
      try check(try await one.claim(demand(maxRunning: 3)).jobs.count, is: 0)
      try await one.complete(first)
      _ = try await other.claim(exactly: 2, demand(maxRunning: 3))
      try await other.complete(second)
      try check(try await one.texts(demand(maxRunning: 3)), is: ["6"])
    },
    ConformanceCase("theMaximumOfAKindLimitsNoOther", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      // The jobs of both kinds lie in one range of ids.
      _ = try await driver.results(of: (1...8).map { job("\($0)", kind: $0 % 2 == 0 ? "b" : "a") })
      let both = ClaimRequest([.init("a", maxRunning: 1), .init("b")], limit: 3)
      try check(try await driver.texts(both), is: ["1", "2", "4"])
      try check(try await driver.texts(both), is: ["6", "8"])
      try check(try await driver.texts(both), is: [])
      // It binds the claims that state it.
      try check(try await driver.texts(ClaimRequest([.init("a")], limit: 1)), is: ["3"])
      try check(
        try await driver.texts(
          ClaimRequest([.init("b", maxRunning: 9), .init("a", maxRunning: 3)], limit: 9)),
        is: ["5"])
    },
    ConformanceCase("aMaximumThatIsLoweredIsCountedDownTo", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...6).map { job("\($0)") })
      let held = try await driver.claim(exactly: 4, demand(maxRunning: 4))
      for done in 0..<3 {
        try check(try await driver.claim(demand(maxRunning: 2)).jobs.count, is: 0, "\(done) done")
        try await driver.complete([held[done]])
      }
      try check(try await driver.texts(demand(maxRunning: 2)), is: ["5"])
      // A maximum of nothing or less is no error: nothing runs.
      try check(try await driver.texts(demand(maxRunning: 0)), is: [])
      try check(try await driver.texts(demand(maxRunning: .min)), is: [])
    },
    ConformanceCase("aJobThatWaitsAgainLeavesItsPlace", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      for outcome in [
        .retry(after: .seconds(5), message: "no"), .retry(after: .zero, message: "no"), .snoozed(.seconds(5)),
        .released,
      ] as [Settlement.Outcome] {
        let id = try await driver.insertNew(job("1", priority: -1))
        let held = try await driver.claimOne(demand(1, maxRunning: 1))
        try await driver.insertNew(job("2"))
        try check(try await driver.claim(demand(maxRunning: 1)).jobs.count, is: 0, "\(outcome)")
        let answer = try await driver.settle(
          [Settlement(held.lease, outcome)], claiming: demand(maxRunning: 1))
        try check(answer.claim?.texts, is: ["2"], "\(outcome)")
        try await driver.complete(answer.claim?.jobs ?? [])
        subject.clock.advance(by: .seconds(5))
        let again = try await driver.claimOne(demand(maxRunning: 1))
        try check(again.id, is: id, "\(outcome)")
        try await driver.complete([again])
      }
    },
    ConformanceCase("anExpiredLeaseLeavesItsPlace", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { job("\($0)") })
      let lost = try await driver.claimOne(demand(maxRunning: 1))
      subject.clock.advance(by: .seconds(61))
      let again = try await driver.claimOne(demand(maxRunning: 1))
      try check([again.id, Int64(again.payload.text) ?? 0], is: [lost.id, 1])
      try check(try await driver.claim(demand(maxRunning: 1)).jobs.count, is: 0)
      try check(try await driver.settle(lost.lease, .completed()), is: .leaseLost)
      try check(try await driver.claim(demand(maxRunning: 1)).jobs.count, is: 0)
      try await driver.complete([again])
      try check(try await driver.texts(demand(maxRunning: 1)), is: ["2"])
    },
    ConformanceCase(
      "aJobThatExpiresWithItsLeaseLeavesItsPlace", .limitsHold, requires: [.maxRunning, .control]
    ) {
      subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("1", expires: .after(.seconds(5))))
      _ = try await driver.results(of: (2...3).map { job("\($0)") })
      try check(try await driver.texts(demand(maxRunning: 1)), is: ["1"])
      subject.clock.advance(by: .seconds(61))
      // The claim that ends the job takes the next one.
      let claim = try await driver.claim(demand(maxRunning: 1))
      try check(claim.givenUp.map(\.reason), is: [.expired])
      try check(claim.texts, is: ["2"])
      try check(try await driver.texts(demand(maxRunning: 1)), is: [])
    },
    ConformanceCase("aJobThatIsRecoveredLeavesItsPlace", .limitsHold, requires: [.maxRunning, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: (1...3).map { job("\($0)") }).map(\.id)
      _ = try await driver.claimOne(demand(maxRunning: 1))
      try check(try await driver.control().recover([ids[0]]), is: [.recovered])
      try check(try await driver.texts(demand(maxRunning: 1)), is: ["1"])
      try check(try await driver.texts(demand(maxRunning: 1)), is: [])
    },
    ConformanceCase("delayedJobsKeepToTheMaximum", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { job("\($0)", due: .after(.seconds($0))) })
      subject.clock.advance(by: .seconds(9))
      try check(try await driver.texts(demand(maxRunning: 2)), is: ["1", "2"])
      try check(try await driver.texts(demand(maxRunning: 2)), is: [])
      try check(try await driver.count().map { [$0.ready, $0.delayed, $0.running] }, is: [[1, 0, 2]])
    },
    ConformanceCase("theSmallestOfTheLimitsCounts", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...9).map { job("\($0)") })
      let request = ClaimRequest([.init("a", limit: 2, maxRunning: 7)], limit: 10)
      try check(try await driver.texts(request), is: ["1", "2"])
      try check(try await driver.texts(demand(3, maxRunning: 7)), is: ["3", "4", "5"])
      try check(try await driver.texts(demand(0, maxRunning: 7)), is: [])
      try check(try await driver.texts(request), is: ["6", "7"])
      try check(try await driver.texts(request), is: [])
    },
    ConformanceCase("theMaximumHoldsAmongManyRunningJobs", .limitsHold, requires: .maxRunning) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(
        of: (1...400).map { job(kind: $0 % 3 == 0 ? "a" : "b", priority: $0 % 2) })
      let held = try await driver.claim(exactly: 200, ClaimRequest([.init("b")], limit: 200))
      try check(try await driver.claim(demand(500, maxRunning: 90)).jobs.count, is: 90)
      for _ in 0..<2 { try check(try await driver.claim(demand(500, maxRunning: 90)).jobs.count, is: 0) }
      try await driver.complete(held)
      try check(try await driver.claim(demand(500, maxRunning: 100)).jobs.count, is: 10)
    },
    ConformanceCase("theMaximumHoldsWhileManyClaim", .limitsHold, requires: .maxRunning) { subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...60).map { job("\($0)") })
      let (most, count) = (3, Locked((running: 0, highest: 0, done: 0)))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in 0..<6 {
          let driver = worker % 2 == 0 ? one : other
          group.addTask {
            while count.withLock({ $0.done }) < 60 {
              let jobs = try await driver.claim(demand(2, maxRunning: most)).jobs
              count.withLock { count in
                count.running += jobs.count
                count.highest = max(count.highest, count.running)
              }
              await Task.yield()
              // They no longer count here before they no longer count there.
              count.withLock { $0.running -= jobs.count }
              try await driver.complete(jobs)
              count.withLock { $0.done += jobs.count }
            }
          }
        }
        try await group.waitForAll()
      }
      let (highest, done) = count.withLock { ($0.highest, $0.done) }
      try check(done, is: 60)
      try check(highest <= most, "at most \(most) jobs at once, not \(highest)")
    },
    ConformanceCase("aSettlementAtTheMaximumRingsTheDoorbell", .waitersAreWoken, requires: .maxRunning) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { job("\($0)") })
      let held = try await driver.claimOne(demand(1, maxRunning: 1))
      try check(try await driver.texts(demand(1, maxRunning: 1)), is: [])
      try await checkRings(driver, "a settlement that makes room") {
        try await driver.settle(held.lease, .completed())
      }
      try check(try await driver.texts(demand(1, maxRunning: 1)), is: ["2"])
    },
    ConformanceCase(
      "anEndAtTheMaximumRingsTheDoorbellsOfOthers", .waitersAreWoken,
      requires: [.maxRunning, .multiProcess, .crossProcessWakeup]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (1...3).map { job("\($0)") })
      let held = try await one.claimOne(demand(1, maxRunning: 1))
      try check(try await other.texts(demand(1, maxRunning: 1)), is: [])
      try await checkRing(other, "of a settlement that makes room") {
        try await one.settle(held.lease, .completed())
      }
      try check(try await other.texts(demand(1, maxRunning: 1)), is: ["2"])
    },
  ]
}
