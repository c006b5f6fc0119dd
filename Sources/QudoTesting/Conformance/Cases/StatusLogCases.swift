internal import Qudo

extension ConformanceSuite {
  static let statusLog: [ConformanceCase] = [
    ConformanceCase("finishedRunsAreRecordedOnRequest", .logsAreKept) { subject in
      let driver = try await subject.open()
      var expected: [StatusRecord] = []
      for (outcome, status) in [
        (.completed(), .completed), (.completed(replacements: [job(kind: "b")]), .replaced),
        (.retry(after: .zero, message: ""), .failed),
        (.failed(message: ""), .failed), (.aborted(message: ""), .aborted), (.released, nil),
        (.snoozed(.zero), nil),
        (.snoozed(.zero, countsAttempt: true), nil),
      ] as [(Settlement.Outcome, RunStatus?)] {
        let id = try await driver.insertNew(job("\(outcome)", unique: UniqueKey("k")))
        let claimed = try await driver.claimOne()
        subject.clock.advance(by: .seconds(9))
        let ended = subject.clock.now().wall
        try await driver.settle(claimed.lease, outcome, recording: .milliseconds(2500))
        if let status {
          let recorded = try require(try await driver.statuses().last, "a status")
          expected.append(
            StatusRecord(
              id: recorded.id, job: id, kind: "a", status: status, payload: Payload("\(outcome)"),
              uniqueKey: "k",
              startedAt: ended.advanced(by: .milliseconds(-2500)), endedAt: ended))
        }
        try check(try await driver.statuses(), is: expected, "after \(outcome)")
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
    ConformanceCase("runsAreNotRecordedWithoutARequest", .logsAreKept) { subject in
      let driver = try await subject.open()
      for outcome in everyOutcome {
        try await driver.insertNew(job())
        try await driver.settle(try await driver.claimOne().lease, outcome)
        subject.clock.advance(by: .seconds(1))
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
      try check(try await driver.statuses(), is: [])
    },
    ConformanceCase("theStatusLogIsListedInPagesByKindAndById", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(12, driver)
      let ids = try await driver.statuses(LogQuery(oldestFirst: true, limit: 100)).map(\.id)
      func listed(_ query: LogQuery) async throws -> [Int64] { try await driver.statuses(query).map(\.id) }
      try await checkPages(ids, listed)
    },
  ]
}
