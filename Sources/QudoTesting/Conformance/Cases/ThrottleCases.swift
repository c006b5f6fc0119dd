internal import Qudo

/// A key that rests for ten seconds after its job has completed.
private let throttled = UniqueKey("k", throttle: .seconds(10))

extension Driver {
  /// Checks that a key rests since a job has completed, whatever an enqueue with it asks for.
  fileprivate func checkRest(
    since id: Int64, _ what: String, key: String = "k", file: String = #fileID, line: Int = #line
  ) async throws {
    for throttle in [nil, .seconds(1)] as [Duration?] {
      for (policy, expected) in [
        (.reject, .conflict(id)), (.keep, .existing(id)), (.overwrite, .conflict(id)),
      ] as [(UniqueKey.Conflict, InsertResult)] {
        let unique = UniqueKey(key, onConflict: policy, throttle: throttle)
        let found = try await insert(job("no", unique: unique, due: .after(.seconds(1))))
        try check(found, is: expected, "\(what), \(policy)", file: file, line: line)
      }
    }
  }
}

extension ConformanceSuite {
  static let throttles: [ConformanceCase] = [
    ConformanceCase("aThrottledKeyRestsAfterItsJobCompleted", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("1", unique: throttled))
      try check(try await driver.insert(job(unique: throttled)), is: .conflict(id), "it waits")
      let claimed = try await driver.claimOne()
      try check(try await driver.insert(job(unique: throttled)), is: .conflict(id), "it runs")
      try await driver.complete([claimed])
      try check(try await driver.count(), is: [])
      try await checkNothingChanges(in: driver) { try await driver.checkRest(since: id, "at once") }
      subject.clock.advance(by: .seconds(10) - .microseconds(1))
      try await driver.checkRest(since: id, "just before the end")
      // Others do not notice.
      for other in [
        job(kind: "b", unique: "k"), job(unique: UniqueKey("K")), job(unique: UniqueKey("k ")), job("none"),
      ] {
        try await driver.insertNew(other)
      }
      subject.clock.advance(by: .microseconds(1))
      let next = try await driver.insertNew(job("2", unique: "k"))
      try check(next, isAbove: id)
      try check(try await driver.insert(job(unique: throttled)), is: .conflict(next))
      // This one has no throttle.
      try await driver.complete(try await driver.claim(demand(9, "a", "b")).jobs)
      try await driver.insertNew(job("3", unique: throttled))
    },
    ConformanceCase("onlyACompletedJobLetsItsKeyRest", .keysAreUnique, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let claim = { try await driver.claimOne(demand(1, maxExpiredLeases: 1)) }
      let ends: [(name: String, expires: Expiry, end: (Int64) async throws -> Void)] = [
        ("failed", .never, { _ in try await driver.settle(try await claim().lease, .failed(message: "")) }),
        ("aborted", .never, { _ in try await driver.settle(try await claim().lease, .aborted(message: "")) }),
        ("cancelled while it waits", .never, { id in _ = try await control.cancel([id], reason: nil) }),
        (
          "cancelled while it runs", .never,
          { id in
            let lease = try await claim().lease
            _ = try await control.cancel([id], reason: nil)
            try check(try await driver.settle(lease, .released), is: .cancelled)
          }
        ),
        (
          "given up", .never,
          { _ in
            _ = try await claim()
            subject.clock.advance(by: .seconds(61))
            try check(try await driver.claim(demand()).givenUp.count, is: 1)
          }
        ),
        (
          "expired", .after(.seconds(5)),
          { _ in
            subject.clock.advance(by: .seconds(5))
            try check(try await driver.claim(demand()).givenUp.count, is: 1)
          }
        ),
        (
          "dropped", .never,
          { _ in try await driver.insertNew(job("x", maxWaiting: .dropOldest(1))) }
        ),
      ]
      for (name, expires, end) in ends {
        let id = try await driver.insertNew(job(unique: throttled, expires: expires))
        try await end(id)
        let next = try await driver.insert(job(unique: throttled))
        guard case .inserted(let next) = next else {
          throw ConformanceFailure(file: #fileID, line: #line, message: "\(name): found \(next)")
        }
        _ = try await control.cancel([next], reason: nil)
      }
    },
    ConformanceCase("aReplacedJobLetsItsKeyRestWithItsReplacement", .keysAreUnique) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("1", unique: throttled))
      let result = try await driver.settle(
        try await driver.claimOne().lease,
        .completed(replacements: [job("2", unique: UniqueKey("k", throttle: .seconds(3)))]))
      guard case .settled(let replacements) = result, case .inserted(let id)? = replacements.first else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected a new job, found \(result)")
      }
      try await driver.complete([try await driver.claimOne()])
      try await driver.checkRest(since: id, "the replacement completed")
      subject.clock.advance(by: .seconds(3))
      try await driver.insertNew(job("3", unique: throttled))
      // Replaced by a job without the key, it frees the key.
      try await driver.settle(
        try await driver.claimOne().lease, .completed(replacements: [job("4", kind: "b")]))
      try await driver.insertNew(job("5", unique: throttled))
    },
    ConformanceCase("aRestBeginsWithTheCompletion", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("1", unique: throttled))
      for outcome in [
        .retry(after: .zero, message: ""), .retry(after: .seconds(20), message: ""), .snoozed(.seconds(20)),
        .released,
      ] as [Settlement.Outcome] {
        try await driver.settle(try await driver.claimOne().lease, outcome)
        subject.clock.advance(by: .seconds(20))
        try check(try await driver.insert(job(unique: throttled)), is: .conflict(id), "\(outcome)")
      }
      // Its worker dies.
      _ = try await driver.claimOne()
      subject.clock.advance(by: .seconds(61))
      let claimed = try await driver.claimOne()
      try check(claimed.id, is: id)
      try await driver.settle(claimed.lease, .completed(), recording: .seconds(1))
      subject.clock.advance(by: .seconds(9))
      try await driver.checkRest(since: id, "a completion that is recorded")
      subject.clock.advance(by: .seconds(1))
      // Jobs that end together, with throttles and without.
      let new = (0..<40).map { number in
        let throttle: Duration? = number % 3 == 0 ? .seconds(number + 1) : nil
        return job(unique: number % 3 == 2 ? nil : UniqueKey("\(number)", throttle: throttle))
      }
      let ids = try await driver.results(of: new).map(\.id)
      try await driver.complete(try await driver.claim(exactly: 40, demand(40)))
      for number in [0, 3, 39] {
        try await driver.checkRest(since: ids[number], "\(number)", key: "\(number)")
      }
      try await driver.insertNew(job(unique: UniqueKey("1")))
      subject.clock.advance(by: .seconds(1))
      try await driver.insertNew(job(unique: UniqueKey("0")))
      for number in [3, 39] { try await driver.checkRest(since: ids[number], "\(number)", key: "\(number)") }
      subject.clock.advance(by: .seconds(39))
      try await driver.insertNew(job(unique: UniqueKey("39")))
    },
    ConformanceCase("aRestIsThatOfTheEnqueueThatStoredTheJob", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let results = try await driver.results(of: [
        job("1", unique: throttled),
        job("2", unique: UniqueKey("k", onConflict: .overwrite, throttle: .seconds(1))),
        job("3", unique: UniqueKey("k", onConflict: .overwrite)),
      ])
      try check(results, is: [results[0], .overwritten(results[0].id), .overwritten(results[0].id)])
      try check(
        try await driver.insert(job("4", unique: UniqueKey("k", onConflict: .overwrite))),
        is: .overwritten(results[0].id))
      let claimed = try await driver.claimOne()
      try check(claimed.payload.text, is: "4")
      try await driver.complete([claimed])
      subject.clock.advance(by: .seconds(9))
      try await driver.checkRest(since: results[0].id, "it was overwritten")
    },
    ConformanceCase("otherConnectionsKnowOfARest", .keysAreUnique) { subject in
      let (one, other) = try await subject.openTwo()
      try await other.insertNew(job("0", unique: "k"))
      try await other.complete([try await other.claimOne()])
      let id = try await one.insertNew(job("1", unique: throttled))
      // The one that completes the job has heard of no throttle.
      try await other.complete([try await other.claimOne()])
      try await one.checkRest(since: id, "here")
      try await other.checkRest(since: id, "there")
      subject.clock.advance(by: .seconds(10))
      try await other.insertNew(job("2", unique: throttled))
    },
    ConformanceCase("aRestSurvivesReopening", .keysAreUnique, requires: .durable) { subject in
      var driver = try await subject.open()
      let id = try await driver.insertNew(job("1", unique: throttled))
      try await driver.insertNew(job("2", unique: UniqueKey("l", throttle: .seconds(10))))
      try await driver.complete([try await driver.claimOne()])
      await driver.close()
      subject.clock.advance(by: .seconds(5))
      driver = try await subject.open()
      try await driver.checkRest(since: id, "reopened")
      let claimed = try await driver.claimOne()
      try await driver.complete([claimed])
      await driver.close()
      subject.clock.advance(by: .seconds(5))
      driver = try await subject.open()
      try await driver.insertNew(job("3", unique: throttled))
      try await driver.checkRest(since: claimed.id, "it was not known when it was enqueued", key: "l")
    },
    ConformanceCase("aRestStartsAgainIfTheWallClockIsSetBack", .keysAreUnique, requires: .monotonicLeases) {
      subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("1", unique: throttled))
      try await driver.complete([try await driver.claimOne()])
      subject.clock.jump(by: .seconds(-86_400))
      try await driver.checkRest(since: id, "set back")
      subject.clock.advance(by: .seconds(9))
      try await driver.checkRest(since: id, "nine seconds later")
      subject.clock.advance(by: .seconds(1))
      try await driver.insertNew(job("2", unique: throttled))
    },
    ConformanceCase("aRestKeepsReplaysAndRepetitionsOut", .keysAreUnique) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("failed", unique: "k"))
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      let failure = try require(try await driver.failures().first, "a failure").id
      let id = try await driver.insertNew(job("1", unique: throttled))
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.replay([failure]), is: [.conflict(id)])
      // A conflict is not remembered, an existing job is.
      var once = job("2", unique: "k")
      once.idempotencyKey = IdempotencyKey("a")
      try check(try await driver.insert(once), is: .conflict(id))
      // A full kind refuses no job that is not stored.
      try await driver.insertNew(job("waits", due: .after(.seconds(99))))
      try check(
        try await driver.insert(
          job("3", unique: UniqueKey("k", onConflict: .keep), maxWaiting: .refuse(1))), is: .existing(id))
      subject.clock.advance(by: .seconds(10))
      let second = try await driver.insertNew(once)
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.insert(once), is: .existing(second))
      let results = try await driver.replay([failure])
      guard case .replayed? = results.first else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected a replay, found \(results)")
      }
      // A replay has no throttle.
      try await driver.complete([try await driver.claimOne()])
      try await driver.insertNew(job("4", unique: "k"))
    },
    ConformanceCase("aThrottleThatCannotBeKeptIsRefused", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for unique in [
        UniqueKey("k", throttle: .zero), UniqueKey("k", throttle: .seconds(-1)),
        UniqueKey("k", scope: .untilStarted, throttle: .seconds(1)),
      ] {
        try await check(throws: .invalidArgument) {
          _ = try await driver.insert([job("x"), job(unique: unique)])
        }
      }
      try check(try await driver.count(), is: [])
      let id = try await driver.insertNew(job(unique: UniqueKey("k", throttle: .seconds(Int64.max))))
      try await driver.complete([try await driver.claimOne()])
      subject.clock.advance(by: .seconds(1_000_000_000))
      try await driver.checkRest(since: id, "for ever")
    },
  ]
}
