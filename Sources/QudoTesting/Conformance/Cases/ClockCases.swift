internal import Qudo

extension ConformanceSuite {
  static let clocks: [ConformanceCase] = [
    ConformanceCase(
      "noJumpOfTheWallClockEndsOrProlongsALease", .clocksAreKeptApart, requires: .monotonicLeases
    ) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      _ = try await driver.claimOne()
      for jump in [7200, -86_400] {
        subject.clock.jump(by: .seconds(jump))
        let claim = try await driver.claim(demand())
        try check(claim.texts, is: [])
        try check(claim.timeUntilNextLeaseExpiry, is: .seconds(60))
      }
      subject.clock.advance(by: .seconds(60))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("dueTimesAreWallTime", .clocksAreKeptApart) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x", due: .at(subject.clock.now().wall.advanced(by: .seconds(3600)))))
      subject.clock.jump(by: .seconds(-60))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(3660))
      subject.clock.jump(by: .seconds(3660))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase(
      "relativeDelaysBeginAnewWhenTheWallClockWasSetBack", .clocksAreKeptApart, requires: .monotonicLeases
    ) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("retried", priority: 3))
      try await driver.insertNew(job("snoozed", priority: 2))
      let claimed = try await driver.claim(demand(2)).jobs
      let time = subject.clock.now().wall.advanced(by: .seconds(3600))
      try await driver.insertNew(job("key", unique: UniqueKey("k"), due: .at(time)))
      try await driver.settle(claimed[0].lease, .retry(after: .seconds(10), message: ""))
      try await driver.settle(claimed[1].lease, .snoozed(.seconds(20), countsAttempt: false))
      _ = try await driver.insert([job("later", due: .after(.seconds(30))), job("absolute", due: .at(time))])
      _ = try await driver.insert([
        job("over", unique: UniqueKey("k", onConflict: .overwrite), due: .after(.seconds(40)))
      ])
      subject.clock.jump(by: .seconds(-1_000_000))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(10))
      for text in ["retried", "snoozed", "later", "over"] {
        subject.clock.advance(by: .seconds(10))
        try check(try await driver.texts(), is: [text])
      }
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(1_003_560))
      try check(try await driver.jobs(matching: JobQuery(states: [.delayed])).map(\.dueAt), is: [time])
    },
    ConformanceCase("aDelayThatBeganAnewIsKeptByTheJob", .clocksAreKeptApart, requires: .monotonicLeases) {
      subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x", unique: UniqueKey("k"), due: .after(.seconds(10))))
      subject.clock.jump(by: .seconds(-86_400))
      try check(try await driver.promote(limit: 1), is: 0)
      let due = subject.clock.now().wall.advanced(by: .seconds(10))
      try check(try await driver.jobs(matching: JobQuery()).map(\.dueAt), is: [due])
      // A small step back, within the delay, as a time server makes it.
      subject.clock.advance(by: .seconds(4))
      subject.clock.jump(by: .seconds(-1))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(7))
      subject.clock.jump(by: .seconds(-4))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(10))
      _ = try await driver.insert([job("y", unique: UniqueKey("k", onConflict: .overwrite), due: .now)])
      try check(try await driver.texts(), is: ["y"])
    },
    ConformanceCase("manyDelaysRestart", .clocksAreKeptApart, requires: .monotonicLeases) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<2500).map { job("\($0)", due: .after(.seconds(1 + $0 / 100))) })
      subject.clock.jump(by: .seconds(-86_400))
      for _ in 0..<2 {
        try check(
          try await driver.claim(demand()).timeUntilNextDue, is: .zero, "delays that must restart are left")
      }
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(1))
      subject.clock.advance(by: .seconds(25))
      var texts: [String] = []
      while texts.count < 2500, let more = try? await driver.claim(demand(1000)).texts, !more.isEmpty {
        texts += more
      }
      try check(texts, is: (0..<2500).map { "\($0)" })
    },
    ConformanceCase(
      "whatWasReadyStaysReadyWhenTheWallClockGoesBack", .clocksAreKeptApart, requires: .monotonicLeases
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2"), job("3")])
      _ = try await driver.claim(demand(1, leaseDuration: .seconds(5)))
      let second = try await driver.claimOne()
      subject.clock.jump(by: .seconds(-3600))
      try await driver.settle(second.lease, .released)
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.jobs(matching: JobQuery()).map(\.state), is: [.ready, .ready, .ready])
      try check(try await driver.texts(), is: ["1", "2", "3"])
    },
    ConformanceCase("aRebootEndsEveryLeaseAtOnce", .clocksAreKeptApart, requires: .monotonicLeases) {
      subject in
      var driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2"), job("later", due: .after(.seconds(60)))])
      let before = try await driver.claimOne(demand(1, leaseDuration: .seconds(1_000_000)))
      for boot in ["boot-2", "boot-3", "boot-1"] {
        driver = try await reboot(subject, driver, as: boot)
        try check(try await driver.count(), is: [JobCount("a", ready: 2, delayed: 1)])
        try check(try await driver.jobs(matching: JobQuery()).map(\.leaseExpiresAt), is: [nil, nil, nil])
        let claim = try await driver.claim(demand())
        try check(claim.texts, is: ["1", "2"])
        try check(claim.timeUntilNextDue, is: .seconds(60))
        try check(claim.timeUntilNextLeaseExpiry, is: .seconds(60))
        try check(try await driver.settle(before.lease, .completed()), is: .leaseLost)
      }
    },
    ConformanceCase(
      "aRebootEndsLeasesThatWouldHaveEndedLaterByTheNewClock", .clocksAreKeptApart, requires: .monotonicLeases
    ) { subject in
      let first = try await subject.open()
      try await first.insertNew(job("x"))
      subject.clock.advance(by: .seconds(500))
      _ = try await first.claimOne()
      let driver = try await reboot(subject, first, as: "boot-2")
      subject.clock.advance(by: .seconds(520))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("afterARebootNoLeaseStarves", .clocksAreKeptApart, requires: .monotonicLeases) {
      subject in
      let first = try await subject.open()
      _ = try await first.insert((0..<3000).map { _ in job(kind: "b") } + [job("ours")])
      for _ in 0..<3 { _ = try await first.claim(demand(1000, "b")) }
      _ = try await first.claim(demand(leaseDuration: .seconds(600)))
      let driver = try await reboot(subject, first, as: "boot-2")
      for _ in 0..<3001 {
        let claim = try await driver.claim(demand())
        if claim.texts == ["ours"] { return }
        try check(claim.timeUntilNextLeaseExpiry, is: .zero, "leases from before the reboot are left")
      }
      throw ConformanceFailure(
        file: #fileID, line: #line, message: "expected the job after 3,001 claims, found none")
    },
  ]

  /// Restarts the machine, which closes all connections.
  private static func reboot(_ subject: ConformanceSubject, _ driver: any LogDriver, as boot: String)
    async throws -> any LogDriver
  {
    guard driver.capabilities.contains(.durable) else {
      subject.clock.reboot(as: boot)
      return driver
    }
    await driver.close()
    subject.clock.reboot(as: boot)
    return try await subject.open()
  }
}
