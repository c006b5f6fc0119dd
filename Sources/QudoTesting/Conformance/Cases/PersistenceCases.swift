internal import Qudo

extension ConformanceSuite {
  static let persistence: [ConformanceCase] = [
    ConformanceCase("anAcknowledgedEnqueueCanBeClaimedAtOnce", .nothingIsLost) { subject in
      let driver = try await subject.open()
      let results = try await driver.insert((0..<100).map { job("\($0)") })
      let found = try await driver.jobs(matching: JobQuery())
      try check(found.map(\.id), is: results.map(\.id))
      try check(try await driver.texts(demand(100)), is: (0..<100).map { "\($0)" })
    },
    ConformanceCase("insertingNoJobsDoesNothing", .nothingIsLost) { subject in
      let driver = try await subject.open()
      try check(try await driver.insert([]), is: [])
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("anAcknowledgedEnqueueIsSeenByOtherConnections", .nothingIsLost, requires: .multiProcess)
    { subject in
      let (one, other) = try await subject.openTwo()
      try await one.insertNew(job("x"))
      try check(try await other.jobs(matching: JobQuery()).map(\.payload.text), is: ["x"])
      try check(try await other.texts(), is: ["x"])
      try check(try await one.count(), is: [JobCount("a", running: 1)])
    },
    ConformanceCase("jobsOutliveTheConnection", .nothingIsLost, requires: .durable) { subject in
      try await checkSurvivesReopening(subject) { driver in
        _ = try await driver.insert([
          job("plain"), job("keyed", unique: UniqueKey("k")),
          job("later", priority: 3, due: .after(.seconds(9))),
          NewJob("b", payload: Payload([0, 255], codec: .json), metadata: JobMetadata(bytes: [1, 2])),
        ])
        // If the database recovers the jobs of closed connections, the job keeps its place.
        let claimed = try await driver.claim(demand(1))
        if driver.capabilities.contains(.recoversDeadHolders) {
          _ = try await driver.release(claimed.jobs.map(\.lease))
        }
      }
    },
    ConformanceCase("outcomesOutliveTheConnection", .nothingIsLost, requires: .durable) { subject in
      try await checkSurvivesReopening(subject) { driver in
        _ = try await driver.insert((0..<4).map { job("\($0)") })
        let jobs = try await driver.claim(demand()).jobs
        let outcomes: [Settlement.Outcome] = [
          .completed(), .failed(message: "no"), .retry(after: .seconds(5), message: "not yet"),
          .snoozed(.seconds(3)),
        ]
        _ = try await driver.settle(
          zip(jobs, outcomes).map { Settlement($0.lease, $1, recording: .seconds(1)) }, claiming: nil)
      }
    },
    ConformanceCase("leasesOutliveTheConnection", .nothingIsLost, requires: .durable) { subject in
      let first = try await subject.open()
      try await first.insertNew(job("x"))
      let claimed = try await first.claimOne()
      await first.close()
      let second = try await subject.open()
      if !second.capabilities.contains(.recoversDeadHolders) { try check(try await second.texts(), is: []) }
      try check(try await second.settle(claimed.lease, .completed()), is: .settled())
    },
    ConformanceCase("theNameIsStable", .nothingIsLost, requires: .durable) { subject in
      let first = try await subject.open()
      await first.close()
      let second = try await subject.open()
      try check(second.name, is: first.name)
    },
  ]

  private static func checkSurvivesReopening(
    _ subject: ConformanceSubject, _ change: (any LogDriver) async throws -> Void
  ) async throws {
    let first = try await subject.open()
    try await change(first)
    let before = try await Snapshot(first)
    await first.close()
    try await Snapshot(try await subject.open()).check(is: before, "after reopening")
  }
}
