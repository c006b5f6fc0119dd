internal import Qudo

extension ConformanceSuite {
  static let finalFailures: [ConformanceCase] = [
    ConformanceCase("aFinalFailureEnqueuesAJobOfAnotherKind", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      try await driver.control().setFailureRoutes([FailureRoute("a", to: "z")])
      let outcomes: [(Settlement.Outcome, FailureReason)] = [
        (.failed(message: "no route"), .failed), (.aborted(message: "no route"), .aborted),
      ]
      for (outcome, reason) in outcomes {
        var new = job("x", unique: "k", priority: 3)
        new.payload.codec = .json
        new.metadata["tenant"] = "7"
        let id = try await driver.insertNew(new)
        let claimed = try await driver.claimOne()
        subject.clock.advance(by: .seconds(1))
        let answer = try await driver.settle([Settlement(claimed.lease, outcome)], claiming: demand(9, "z"))
        try check(answer.results, is: [.settled()])
        let next = try require(answer.claim?.jobs.first, "the job of the failure")
        try check(answer.claim?.jobs.count, is: 1)
        try check(next.kind, is: "z")
        try check(next.payload, is: new.payload)
        try check([next.priority, next.attempt], is: [3, 1])
        try check(next.uniqueKey, is: nil)
        try check([next.enqueuedAt, next.dueAt], is: [subject.clock.now().wall, subject.clock.now().wall])
        try check(next.metadata["tenant"], is: "7")
        try check(
          next.metadata.failedJob,
          is: FailedJob(id: id, kind: "a", reason: reason, attempt: 1, message: "no route"))
        // It fails for good without end: its kind has no route.
        try await driver.settle(next.lease, .failed(message: "again"))
        try check(try await driver.count(), is: [])
      }
      try check(try await driver.failures().map(\.kind), is: ["a", "z", "a", "z"])
    },
    ConformanceCase("aJobThatIsGivenUpEnqueuesAJobOfAnotherKind", .jobsAreControlled, requires: .control) {
      subject in
      let (driver, other) = try await subject.openTwo()
      try await driver.control().setFailureRoutes([FailureRoute("a", to: "z")])
      let id = try await driver.insertNew(job("x"))
      _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
      subject.clock.advance(by: .seconds(61))
      // A process that knows nothing of the kind gives the job up.
      let claim = try await other.claim(demand(9, "z"))
      try check(claim.givenUp.map(\.id), is: [id])
      var jobs = claim.jobs
      if jobs.isEmpty { jobs = try await other.claim(demand(9, "z")).jobs }
      let next = try require(jobs.first, "a job")
      try check(next.payload.text, is: "x")
      let failed = try require(next.metadata.failedJob, "the failed job")
      try check(failed.reason, is: .lost)
      try check(failed.message.isEmpty, is: false)
    },
    ConformanceCase("onlyFinalFailuresEnqueueAnotherJob", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      try await control.setFailureRoutes([FailureRoute("a", to: "z")])
      let outcomes: [Settlement.Outcome] = [
        .completed(), .retry(after: .zero, message: ""), .snoozed(.zero), .released,
      ]
      for outcome in outcomes {
        try await driver.insertNew(job())
        let claimed = try await driver.claimOne()
        try await driver.settle(claimed.lease, outcome)
      }
      _ = try await control.cancel(matching: JobQuery(), reason: nil)
      let running = try await driver.insertNew(job())
      let claimed = try await driver.claimOne()
      _ = try await control.cancel([running], reason: nil)
      try check(try await driver.settle(claimed.lease, .failed(message: "")), is: .cancelled)
      try await driver.insertNew(job(expires: .after(.seconds(1))))
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.claim(demand(9, "a", "z")).jobs.count, is: 0)
      // The failure of another kind.
      try await driver.insertNew(job(kind: "b"))
      let last = try await driver.claimOne(demand(1, "b"))
      try await driver.settle(last.lease, .failed(message: ""))
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("theRoutesOfFailuresAreKept", .jobsAreControlled, requires: .control) { subject in
      let (driver, other) = try await subject.openTwo()
      let control = try driver.control()
      try check(try await control.failureRoutes(), is: [])
      try await control.setFailureRoutes([])
      try await control.setFailureRoutes([FailureRoute("b", to: "y"), FailureRoute("a", to: "z")])
      let seen = try await other.control().failureRoutes()
      try check(seen, is: [FailureRoute("a", to: "z"), FailureRoute("b", to: "y")])
      try await other.control().setFailureRoutes([
        FailureRoute("a", to: nil), FailureRoute("c", to: "a"), FailureRoute("unknown", to: nil),
      ])
      try check(
        try await control.failureRoutes(), is: [FailureRoute("b", to: "y"), FailureRoute("c", to: "a")])
      try await driver.insertNew(job())
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      try check(try await driver.count(), is: [])
      try await driver.insertNew(job("x", kind: "c"))
      try await driver.settle(try await driver.claimOne(demand(1, "c")).lease, .failed(message: ""))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("aRouteOfFailuresIsChecked", .jobsAreControlled, requires: .control) { subject in
      let control = try await subject.open().control()
      let long = Kind(String(repeating: "k", count: Limits.kindBytes + 1))
      for wrong in [FailureRoute("a", to: "a"), FailureRoute("", to: "a"), FailureRoute("a", to: long)] {
        try await check(throws: .invalidArgument) {
          try await control.setFailureRoutes([FailureRoute("b", to: "c"), wrong])
        }
      }
      try check(try await control.failureRoutes(), is: [])
    },
    ConformanceCase("aFailedJobAsLargeAsAllowedEnqueuesAnother", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      try await driver.control().setFailureRoutes([FailureRoute("a", to: "z")])
      let payload = Payload(Array(repeating: 7, count: driver.limits.payloadBytes))
      try await driver.insertNew(NewJob("a", payload: payload))
      let message = String(repeating: "é", count: 4000)
      try await driver.settle(try await driver.claimOne().lease, .failed(message: message))
      let next = try await driver.claimOne(demand(1, "z"))
      try check(next.payload, is: payload)
      let failed = try require(next.metadata.failedJob, "the failed job")
      try check(failed.message, is: String(repeating: "é", count: 512) + "…")
      try await driver.complete([next])
    },
  ]
}
