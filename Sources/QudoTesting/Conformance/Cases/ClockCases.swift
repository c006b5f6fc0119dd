internal import Qudo

extension ConformanceSuite {
  static let clocks: [ConformanceCase] = [
    ConformanceCase("noJumpOfTheWallClockEndsOrProlongsALease", .clocksAreKeptApart, requires: .steadyLeases) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      _ = try await driver.claimOne()
      for jump in [7200, -86_400] {
        subject.clock.jump(by: .seconds(jump))
        let claim = try await driver.claim(want())
        try check(claim.texts, is: [])
        try check(claim.nextLeaseEnd, is: .seconds(60))
      }
      subject.clock.advance(by: .seconds(60))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("dueTimesAreWallTime", .clocksAreKeptApart) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x", due: .after(.seconds(3600))))
      subject.clock.jump(by: .seconds(-60))
      try check(try await driver.claim(want()).nextDue, is: .seconds(3660))
      subject.clock.jump(by: .seconds(3660))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("whatWasReadyStaysReadyWhenTheWallClockGoesBack", .clocksAreKeptApart, requires: .steadyLeases) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2"), job("3")])
      _ = try await driver.claim(want(1, lease: .seconds(5)))
      let second = try await driver.claimOne()
      subject.clock.jump(by: .seconds(-3600))
      try await driver.settle(second.lease, .released)
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.find(JobQuery()).map(\.state), is: [.ready, .ready, .ready])
      try check(try await driver.texts(), is: ["1", "2", "3"])
    },
    ConformanceCase("aRebootEndsEveryLeaseAtOnce", .clocksAreKeptApart, requires: .steadyLeases) { subject in
      var driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2"), job("later", due: .after(.seconds(60)))])
      let before = try await driver.claimOne(want(1, lease: .seconds(1_000_000)))
      for boot in ["boot-2", "boot-3", "boot-1"] {
        driver = try await reboot(subject, driver, as: boot)
        try check(try await driver.count(), is: [JobCount("a", ready: 2, delayed: 1)])
        try check(try await driver.find(JobQuery()).map(\.leaseEnds), is: [nil, nil, nil])
        let claim = try await driver.claim(want())
        try check(claim.texts, is: ["1", "2"])
        try check(claim.nextDue, is: .seconds(60))
        try check(claim.nextLeaseEnd, is: .seconds(60))
        try check(try await driver.settle(before.lease, .completed()), is: .leaseLost)
      }
    },
    ConformanceCase("aRebootEndsLeasesThatWouldHaveEndedLaterByTheNewClock", .clocksAreKeptApart, requires: .steadyLeases) { subject in
      let first = try await subject.open()
      try await first.insertNew(job("x"))
      subject.clock.advance(by: .seconds(500))
      _ = try await first.claimOne()
      let driver = try await reboot(subject, first, as: "boot-2")
      subject.clock.advance(by: .seconds(520))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("afterARebootNoLeaseStarves", .clocksAreKeptApart, requires: .steadyLeases) { subject in
      let first = try await subject.open()
      _ = try await first.insert((0..<3000).map { _ in job(kind: "b") } + [job("ours")])
      for _ in 0..<3 { _ = try await first.claim(want(1000, "b")) }
      _ = try await first.claim(want(lease: .seconds(600)))
      let driver = try await reboot(subject, first, as: "boot-2")
      for _ in 0..<3001 {
        let claim = try await driver.claim(want())
        if claim.texts == ["ours"] { return }
        try check(claim.nextLeaseEnd, is: .zero, "leases of the last boot are left")
      }
      throw ConformanceFailure(file: #fileID, line: #line, message: "expected the job after 3,001 claims, found none")
    },
  ]

  /// The machine starts again, and with it all that was open.
  private static func reboot(_ subject: ConformanceSubject, _ driver: any LogDriver, as boot: String) async throws -> any LogDriver {
    guard driver.capabilities.contains(.durable) else {
      subject.clock.reboot(as: boot)
      return driver
    }
    await driver.close()
    subject.clock.reboot(as: boot)
    return try await subject.open()
  }
}
