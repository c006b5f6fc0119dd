internal import Qudo

extension ConformanceSuite {
  private static let crowd = 10_000

  static let crowds: [ConformanceCase] = [
    ConformanceCase("manyReadyJobsAreClaimedInOrder", .costIsFlat) { subject in
      let driver = try await subject.open()
      for start in stride(from: 0, to: crowd, by: 1000) {
        _ = try await driver.insert((start..<start + 1000).map { job("\($0)", priority: $0 % 10) })
      }
      try check(try await driver.texts(demand(3)), is: ["9", "19", "29"])
      let claim = try await driver.claim(demand(crowd))
      try check(claim.jobs.count, is: crowd - 3)
      try check(claim.jobs.first?.payload.text, is: "39")
      try check(claim.jobs.last?.payload.text, is: "\(crowd - 10)")
      try await driver.complete(claim.jobs)
      try check(try await driver.count(), is: [JobCount("a", running: 3)])
    },
    ConformanceCase("aJobIsFoundAmongManyOfEverySort", .costIsFlat) { subject in
      let driver = try await subject.open()
      try await fill(driver)
      try await driver.insertNew(job("ours"))
      let claim = try await driver.claim(demand(10, leaseDuration: .seconds(600)))
      try check(claim.texts, is: ["ours"])
      try check(claim.timeUntilNextDue, is: .seconds(100))
      try check(claim.timeUntilNextLeaseExpiry, is: .seconds(500))
      try check(try await driver.renew([claim.jobs[0].lease], for: .seconds(700)) != [nil], "the lease")
      try check(
        try await driver.settle(claim.jobs[0].lease, .retry(after: .zero, message: "ours")), is: .settled())
      try check(try await driver.failures(LogQuery(limit: 1)).map(\.message), is: ["ours"])
      try check(try await driver.failures(LogQuery(kinds: ["a"])).count, is: 1)
      try check(try await driver.count(["a"]), is: [JobCount("a", ready: 1)])
      let last = try await driver.jobs(matching: JobQuery(kinds: ["a"], states: [.ready]))
      try check(last.map(\.payload.text), is: ["ours"])
      try await driver.complete([try await driver.claimOne()])
    },
  ]

  /// Adds ready, delayed and running jobs of other kinds, and rows to both logs.
  private static func fill(_ driver: any LogDriver) async throws {
    for _ in 0..<crowd / 1000 {
      _ = try await driver.insert((0..<1000).map { _ in job(kind: "logged") })
      let claim = try await driver.claim(demand(1000, "logged"))
      try check(claim.jobs.count, is: 1000)
      _ = try await driver.settle(
        claim.jobs.map { Settlement($0.lease, .failed(message: "theirs"), recording: .seconds(1)) },
        claiming: nil)
      _ = try await driver.insert((0..<1000).map { _ in job(kind: "running") })
      _ = try await driver.claim(demand(1000, "running", leaseDuration: .seconds(500)))
      _ = try await driver.insert(
        (0..<1000).map { _ in job(kind: "delayed", priority: 9, due: .after(.seconds(100))) })
      _ = try await driver.insert((0..<1000).map { _ in job(kind: "ready", priority: 9) })
    }
  }
}
