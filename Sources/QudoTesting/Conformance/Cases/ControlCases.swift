internal import Qudo

extension ConformanceSuite {
  static let cancelling: [ConformanceCase] = [
    ConformanceCase("aCancelledJobThatWaitsIsInTheFailureLog", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      for due in [Due.now, .after(.seconds(10))] {
        let job = NewJob(
          "a", payload: Payload([0, 255], codec: .json), unique: UniqueKey("k"), priority: 3, due: due,
          metadata: JobMetadata(bytes: [7]))
        let id = try await driver.insertNew(job)
        try check(try await control.cancel([id], reason: "not needed"), is: [.cancelled])
        try check(try await driver.claim(demand()).jobs.count, is: 0)
        try check(try await driver.count(), is: [])
        let failure = try require(try await driver.failures().last, "a failure")
        let expected = FailureRecord(
          id: failure.id, job: id, kind: "a", reason: .cancelled, message: "not needed", payload: job.payload,
          uniqueKey: "k", priority: 3, attempt: 1, failedAt: subject.clock.now().wall, isFinal: true,
          replayedAs: nil)
        try check(failure, is: expected)
        // Its key is free, and a replay makes it as it was.
        guard case .replayed(let new)? = try await driver.replay([failure.id]).first else {
          throw ConformanceFailure(file: #fileID, line: #line, message: "a cancelled job was not replayed")
        }
        let again = try await driver.claimOne()
        try check([again.id, Int64(again.priority)], is: [new, 3])
        try check(again.payload, is: job.payload)
        try check(again.metadata, is: job.metadata)
        try await driver.complete([again])
      }
    },
    ConformanceCase("cancellingLeavesTheNeighborsAlone", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(of: (0..<20).map { job("\($0)") }).map(\.id)
      let cancelled = [0, 3, 4, 5, 11, 19].map { ids[$0] }
      try check(
        try await control.cancel(cancelled.reversed(), reason: nil), is: cancelled.map { _ in .cancelled })
      try check(try await driver.failures().map(\.job), is: cancelled)
      try check(Set(try await driver.failures().map(\.message)), is: ["cancelled"])
      let left = (0..<20).filter { ![0, 3, 4, 5, 11, 19].contains($0) }.map { "\($0)" }
      try check(try await driver.texts(demand(100)), is: left)
    },
    ConformanceCase("eachCancelHasItsAnswer", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let done = try await driver.insertNew(job("done"))
      try await driver.complete([try await driver.claimOne()])
      let running = try await driver.insertNew(job("running"))
      let lease = try await driver.claimOne().lease
      let ready = try await driver.insertNew(job("ready"))
      let answers = try await control.cancel([ready, .max, running, done, -1, ready], reason: nil)
      try check(answers, is: [.cancelled, .notFound, .cancelling, .notFound, .notFound, .cancelled])
      try check(try await control.cancel([ready, running], reason: nil), is: [.notFound, .cancelling])
      try check(try await control.cancel([], reason: nil), is: [])
      try check(try await driver.settle(lease, .completed()), is: .settled())
      try check(try await control.cancel([running], reason: nil), is: [.notFound])
    },
    ConformanceCase("aCancelledRunThatCompletesHasCompleted", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job())
      let lease = try await driver.claimOne().lease
      try check(try await driver.claim(demand(0)).cancelling, is: [])
      try check(try await control.cancel([id], reason: nil), is: [.cancelling])
      try check(try await driver.claim(demand(0)).cancelling, is: [id])
      try check(try await driver.findOne().state, is: .running)
      try check(
        try await driver.settle(lease, .completed(replacements: [job("next")])).replaced?.count, is: 1)
      try check(try await driver.failures(), is: [])
      try check(try await driver.claim(demand(0)).cancelling, is: [])
      try check(try await driver.texts(), is: ["next"])
    },
    ConformanceCase("aCancelledRunIsNotRepeated", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let outcomes: [Settlement.Outcome] = [
        .retry(after: .zero, message: "no"), .retry(after: .seconds(5), message: "no"), .snoozed(.zero),
        .failed(message: "no"), .aborted(message: "no"), .released,
      ]
      for (index, outcome) in outcomes.enumerated() {
        let id = try await driver.insertNew(job("\(index)", unique: UniqueKey("k")))
        let other = try await driver.insertNew(job("other"))
        let claimed = try await driver.claim(exactly: 2)
        _ = try await control.cancel([id], reason: "stop")
        let lease = try require(claimed.first { $0.id == id }, "the job").lease
        try check(
          try await driver.settle(lease, outcome, recording: .seconds(1)), is: .cancelled, "\(outcome)")
        try check(try await driver.settle(lease, outcome), is: .leaseLost, "\(outcome)")
        let failure = try require(try await driver.failures().last, "a failure")
        try check(failure.reason, is: .cancelled)
        try check([failure.message, failure.payload?.text], is: ["stop", "\(index)"])
        let rest = try require(claimed.first { $0.id == other }, "the other job").lease
        try check(try await driver.settle(rest, .completed()), is: .settled())
        subject.clock.advance(by: .seconds(10))
        try check(try await driver.claim(demand()).jobs.count, is: 0)
      }
      try check(try await driver.failures().count, is: outcomes.count)
    },
    ConformanceCase("aCancelledLostJobIsInTheFailureLog", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job())
      _ = try await driver.claimOne()
      try check(try await control.cancel([id], reason: nil), is: [.cancelling])
      subject.clock.advance(by: .seconds(61))
      let claim = try await driver.claim(demand())
      try check(claim.jobs.count, is: 0)
      try check([claim.recovered, claim.givenUp.count], is: [0, 0])
      try check(try await driver.failures().map(\.reason), is: [.cancelled])
      // A job whose lease has expired before waits.
      let next = try await driver.insertNew(job())
      _ = try await driver.claimOne()
      subject.clock.advance(by: .seconds(61))
      try check(try await control.cancel([next], reason: nil), is: [.cancelled])
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("aQueryIsCancelledInPages", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let jobs =
        (0..<10).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b") } + [
          job("later", due: .after(.seconds(9)))
        ]
      let ids = try await driver.results(of: jobs).map(\.id)
      _ = try await driver.claimOne()
      var query = JobQuery(kinds: ["a"], states: [.ready], limit: 3)
      var found = try await control.cancel(matching: query, reason: "all")
      try check(found.map(\.id), is: [ids[2], ids[4], ids[6]])
      query.after = ids[6]
      found = try await control.cancel(matching: query, reason: "all")
      try check(found, is: [CancelledJob(id: ids[8], result: .cancelled)])
      try check(
        try await driver.count(), is: [JobCount("a", delayed: 1, running: 1), JobCount("b", ready: 5)])
      found = try await control.cancel(matching: JobQuery(), reason: nil)
      try check(found.map(\.result).filter { $0 == .cancelling }.count, is: 1)
      try check(found.count, is: 7)
      try check(try await driver.failures().count, is: 10)
      try check(try await control.cancel(matching: JobQuery(kinds: ["c"]), reason: nil), is: [])
    },
    ConformanceCase("aCancelReachesTheHolder", .jobsAreControlled, requires: [.control, .multiProcess]) {
      subject in
      let (driver, other) = try await subject.openTwo()
      let ids = try await driver.results(of: [job("1"), job("2")]).map(\.id)
      let first = try await driver.claimOne()
      _ = try await other.claimOne()
      try check(try await other.control().cancel(ids, reason: nil), is: [.cancelling, .cancelling])
      let told = try await driver.claim(demand(0)).cancelling
      try check(told.contains(first.id), is: true)
      if driver.capabilities.contains(.recoversDeadHolders) { try check(told, is: [first.id]) }
    },
    ConformanceCase("aCancelSurvives", .jobsAreControlled, requires: [.control, .durable]) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job())
      _ = try await driver.claimOne()
      _ = try await driver.control().cancel([id], reason: "gone")
      await driver.close()
      let again = try await subject.open()
      subject.clock.advance(by: .seconds(61))
      try check(try await again.claim(demand()).jobs.count, is: 0)
      try check(try await again.failures().map(\.message), is: ["gone"])
    },
    ConformanceCase("aReasonIsChecked", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job())
      for reason in ["", "a\0b", String(repeating: "x", count: 1025)] {
        try await check(throws: .invalidArgument) { _ = try await control.cancel([id], reason: reason) }
        try await check(throws: .invalidArgument) {
          try await control.pause(["a"], until: nil, reason: reason)
        }
      }
      try check(try await driver.findOne().id, is: id)
      try check(try await control.pauses(), is: [])
    },
  ]

  static let pausing: [ConformanceCase] = [
    ConformanceCase("aPausedKindIsNotClaimed", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.insert([job("1"), job("2", kind: "b")])
      let running = try await driver.claimOne()
      _ = try await driver.insert([job("3"), job("4", due: .after(.seconds(5)))])
      try await control.pause(["a"], until: nil, reason: "deploy")
      let now = subject.clock.now().wall
      try check(try await control.pauses(), is: [Pause("a", pausedAt: now, reason: "deploy")])
      try check(
        try await driver.count(),
        is: [JobCount("a", ready: 1, delayed: 1, running: 1, isPaused: true), JobCount("b", ready: 1)])
      try check(try await driver.texts(demand(10, "a", "b")), is: ["2"])
      try check(try await driver.texts(demand(10, "a")), is: [])
      // What runs continues, and waits if it is retried.
      try check(try await driver.settle(running.lease, .retry(after: .zero, message: "")), is: .settled())
      subject.clock.advance(by: .seconds(6))
      try check(try await driver.texts(demand(10, "a", "b")), is: [])
      try check(try await control.resume(["b"]), is: [])
      try check(try await control.resume(["a"]).map(\.kind), is: ["a"])
      try check(try await control.resume(["a"]), is: [])
      try check(Set(try await driver.texts(demand(10, "a", "b"))), is: ["1", "3", "4"])
    },
    ConformanceCase("aPauseEndsByItself", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      try await driver.insertNew(job())
      try await control.pause(["a"], until: .after(.seconds(10)), reason: nil)
      try check(try await driver.claim(demand()).jobs.count, is: 0)
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(10))
      subject.clock.advance(by: .seconds(9))
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(1))
      // The later pause is the one that holds.
      try await control.pause(["a"], until: .after(.seconds(3)), reason: nil)
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.claim(demand()).jobs.count, is: 0)
      subject.clock.advance(by: .seconds(1))
      try check(try await control.pauses(), is: [])
      try check(try await driver.count(), is: [JobCount("a", ready: 1)])
      try check(try await driver.claim(demand()).jobs.count, is: 1)
    },
    ConformanceCase("everythingIsPaused", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      try await driver.insertNew(job("1"))
      try await control.pause(nil, until: nil, reason: nil)
      try await control.pause(["b"], until: nil, reason: nil)
      _ = try await driver.insert([job("2", kind: "b"), job("3", kind: "new")])
      let all = demand(10, "a", "b", "new")
      try check(try await driver.texts(all), is: [])
      try check(try await control.pauses().map(\.kind), is: [nil, "b"])
      try check(try await driver.count().map(\.isPaused), is: [true, true, true])
      try check(try await control.resume(["a"]), is: [])
      try check(try await driver.texts(all), is: [])
      try check(try await control.resume(["b"]).count, is: 1)
      try check(try await driver.texts(all), is: [])
      try check(try await control.resume(nil).map(\.kind), is: [nil])
      try check(Set(try await driver.texts(all)), is: ["1", "2", "3"])
      try check(try await control.resume(nil), is: [])
    },
    ConformanceCase("aPauseIsChecked", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let now = subject.clock.now().wall
      for end in [Due.now, .after(.zero), .after(.seconds(-1)), .at(now), .at(.earliest)] {
        try await check(throws: .invalidArgument) { try await control.pause(["a"], until: end, reason: nil) }
      }
      try await check(throws: .invalidArgument) { try await control.pause([""], until: nil, reason: nil) }
      try check(try await control.pauses(), is: [])
      try await control.pause([], until: nil, reason: nil)
      try check(try await control.pauses(), is: [])
    },
    ConformanceCase(
      "aPauseHoldsForAllProcesses", .jobsAreControlled, requires: [.control, .durable, .multiProcess]
    ) { subject in
      let (driver, other) = try await subject.openTwo()
      try await driver.insertNew(job())
      try check(try await other.claim(demand(0)).jobs.count, is: 0)
      try await driver.control().pause(["a"], until: nil, reason: nil)
      try check(try await other.claim(demand()).jobs.count, is: 0)
      try check(try await other.control().pauses().count, is: 1)
      await driver.close()
      await other.close()
      let again = try await subject.open()
      try check(try await again.claim(demand()).jobs.count, is: 0)
      try check(try await again.control().resume(nil).count, is: 1)
      try check(try await again.claim(demand()).jobs.count, is: 1)
    },
  ]
}

extension SettleResult {
  fileprivate var replaced: [InsertResult]? {
    if case .settled(let replacements) = self { replacements } else { nil }
  }
}
