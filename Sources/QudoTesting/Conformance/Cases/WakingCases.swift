internal import Qudo

extension ConformanceSuite {
  static let waking: [ConformanceCase] = [
    ConformanceCase("anEnqueueRingsTheDoorbell", .waitersAreWoken) { subject in
      let driver = try await subject.open()
      try await checkRings(driver, "an enqueue") { _ = try await driver.insert([job()]) }
      try await checkRings(driver, "a delayed job, whose due time a waiting worker must learn") {
        _ = try await driver.insert([job(due: .after(.seconds(9)))])
      }
      let key = UniqueKey("k", onConflict: .overwrite)
      try await driver.insertNew(job(unique: key, due: .after(.seconds(9))))
      try await checkRings(driver, "an overwrite") { _ = try await driver.insert([job(unique: key)]) }
    },
    ConformanceCase("aReturnedJobRingsTheDoorbell", .waitersAreWoken) { subject in
      let driver = try await subject.open()
      for outcome in [
        .retry(after: .zero, message: ""), .retry(after: .seconds(1), message: ""), .snoozed(.zero),
        .snoozed(.seconds(1)), .released,
        .completed(replacements: [job()]),
      ] as [Settlement.Outcome] {
        try await driver.insertNew(job())
        let lease = try await driver.claimOne().lease
        try await checkRings(driver, "\(outcome)") { try await driver.settle(lease, outcome) }
        subject.clock.advance(by: .seconds(1))
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
    ConformanceCase("aReplayRingsTheDoorbell", .waitersAreWoken) { subject in
      let driver = try await subject.open()
      try await fail(1, driver)
      let ids = try await driver.failures().map(\.id)
      try await checkRings(driver, "a replay") { _ = try await driver.replay(ids) }
    },
    ConformanceCase("aListenerIsCalledUntilItStops", .waitersAreWoken) { subject in
      let driver = try await subject.open()
      let calls = Locked(0)
      let id = driver.doorbell.listen { calls.withLock { $0 += 1 } }
      try await driver.insertNew(job())
      driver.doorbell.stopListening(id)
      let heard = calls.withLock { $0 }
      try check(heard > 0, "a call")
      try await driver.insertNew(job())
      try check(calls.withLock { $0 }, is: heard)
    },
    ConformanceCase(
      "anEnqueueRingsTheDoorbellsOfOthers", .waitersAreWoken, requires: [.multiProcess, .crossProcessWakeup]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      try await checkRing(other, "of an enqueue") { try await one.insertNew(job("x")) }
      try check(try await other.texts(), is: ["x"])
    },
    ConformanceCase(
      "anEndRingsTheDoorbellsOfOthers", .waitersAreWoken, requires: [.multiProcess, .ringsAtEnds]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      let ids = try await one.results(of: [job("1"), job("2"), job("3")]).map(\.id)
      let claimed = try await one.claim(exactly: 3)
      for (claimed, outcome) in zip(
        claimed,
        [.completed(), .failed(message: ""), .retry(after: .zero, message: "")] as [Settlement.Outcome])
      {
        try await checkRing(other, "of \(outcome)") { try await one.settle(claimed.lease, outcome) }
      }
      if one.capabilities.contains(.control) {
        try await checkRing(other, "of a cancel") {
          _ = try await one.control().cancel([ids[2]], reason: nil)
        }
      }
    },
  ]

  static let closing: [ConformanceCase] = [
    ConformanceCase("aClosedDriverRefusesEveryVerb", .contentionIsHidden) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      let lease = try await driver.claimOne().lease
      await driver.close()
      await driver.close()
      try await check(throws: .closed, "insert") { _ = try await driver.insert([job()]) }
      try await check(throws: .closed, "claim") { _ = try await driver.claim(demand()) }
      try await check(throws: .closed, "settle") {
        _ = try await driver.settle([Settlement(lease, .completed())], claiming: nil)
      }
      try await check(throws: .closed, "extend") { _ = try await driver.renew([lease], for: .seconds(1)) }
      try await check(throws: .closed, "promote") { _ = try await driver.promote(limit: 1) }
      try await check(throws: .closed, "find") { _ = try await driver.jobs(matching: JobQuery()) }
      try await check(throws: .closed, "count") { _ = try await driver.count() }
      try await check(throws: .closed, "failures") { _ = try await driver.failures(LogQuery()) }
      try await check(throws: .closed, "statuses") { _ = try await driver.statuses(LogQuery()) }
      try await check(throws: .closed, "replay") { _ = try await driver.replay([1]) }
      try await check(throws: .closed, "prune") { _ = try await driver.prune(PruneOptions()) }
    },
    ConformanceCase("closingOneConnectionLeavesOthersOpen", .contentionIsHidden, requires: .multiProcess) {
      subject in
      let (one, other) = try await subject.openTwo()
      try await one.insertNew(job("x"))
      await one.close()
      try check(try await other.texts(), is: ["x"])
    },
  ]

  /// Checks that the doorbell rings, at once or soon, for what another driver does.
  static func checkRing(
    _ driver: any LogDriver, _ what: String, file: String = #fileID, line: Int = #line,
    _ body: () async throws -> Void
  ) async throws {
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = driver.doorbell.listen { signal.yield() }
    defer { driver.doorbell.stopListening(id) }
    try await body()
    let heard = try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        for await _ in rings { return true }; return false
      }
      // A timeout, so that a driver that never rings fails instead of hanging.
      group.addTask {
        try await Task.sleep(for: .seconds(30)); return false
      }
      defer { group.cancelAll() }
      return try await group.next() ?? false
    }
    try check(heard, "a ring \(what)", file: file, line: line)
  }

  /// Checks that what a driver does rings its own doorbell. The ring may come just after the verb returns.
  static func checkRings(
    _ driver: any LogDriver, _ what: String, file: String = #fileID, line: Int = #line,
    _ body: () async throws -> Void
  ) async throws {
    let before = driver.doorbell.rings
    try await body()
    let deadline = ContinuousClock.now + .seconds(30)
    // No listener: it would make the driver watch for others, whose rings would count too.
    while driver.doorbell.rings == before, ContinuousClock.now < deadline { await Task.yield() }
    try check(driver.doorbell.rings > before, "\(what) to ring", file: file, line: line)
  }
}
