internal import Qudo

/// A key that a final failure stops.
private func stopping(_ key: String = "k", limit: Int = 1) -> ConcurrencyKey {
  ConcurrencyKey(key, limit: limit, afterFailure: .stop)
}

extension ControlDriver {
  /// Returns all stops of keys.
  fileprivate func stops() async throws -> [KeyStop] { try await keyStops(nil, after: 0, limit: 1000) }

  /// Begins the next job, which must have this payload, and lets it fail for good.
  ///
  /// - Returns: The failure in the log.
  @discardableResult
  fileprivate func failNext(_ text: String) async throws -> FailureRecord {
    let job = try await claimOne()
    try QudoTesting.check(job.payload.text, is: text)
    try await settle(job.lease, .failed(message: "no"))
    return try require(try await failures(LogQuery(limit: 1)).first, "a failure")
  }

  /// Replays a failure.
  ///
  /// - Returns: The new job.
  fileprivate func replayed(_ failure: Int64) async throws -> Int64 {
    guard case .replayed(let id) = try await replay([failure]).first else {
      throw ConformanceFailure(file: #fileID, line: #line, message: "expected a replayed job")
    }
    return id
  }

  /// Runs the ready jobs one after the other, and checks their payloads and that no others follow.
  fileprivate func complete(inOrder texts: [String]) async throws {
    for text in texts {
      let jobs = try await claim(exactly: 1)
      try QudoTesting.check(jobs.map(\.payload.text), is: [text])
      try await complete(jobs)
    }
    try QudoTesting.check(try await claim(demand()).jobs.count, is: 0)
  }
}

extension ConformanceSuite {
  static let keyStops: [ConformanceCase] = stops + goingOn + remaining

  private static let stops: [ConformanceCase] = [
    ConformanceCase("aFinalFailureStopsItsKey", .keysKeepOrder, requires: [.keyStops, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ways: [(reason: FailureReason, end: () async throws -> Void)] = [
        (.failed, { try await driver.settle(try await driver.claimOne().lease, .failed(message: "")) }),
        (.aborted, { try await driver.settle(try await driver.claimOne().lease, .aborted(message: "")) }),
        (
          .lost,
          {
            _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
            subject.clock.advance(by: .seconds(61))
            try check(try await driver.claim(demand()).givenUp.count, is: 1)
          }
        ),
      ]
      for (reason, end) in ways {
        let ids = try await driver.results(of: [keyed("1", stopping()), keyed("2", stopping())]).map(\.id)
        try await end()
        try check(try await driver.states(), is: [.held], "\(reason)")
        let failure = try require(try await driver.failures(LogQuery(limit: 1)).first, "a failure")
        try check(failure.reason, is: reason)
        try check(
          try await control.stops(),
          is: [KeyStop("a", key: "k", failure: failure.id, job: ids[0], stoppedAt: failure.failedAt)])
        // Jobs that are enqueued now are held, too; those of other keys and kinds are not.
        _ = try await driver.results(of: [
          keyed("3", stopping()), keyed("o", stopping("other")), keyed("b", stopping(), kind: "b"), job("n"),
        ])
        let free = try await driver.claim(exactly: 3, demand(9, "a", "b"))
        try check(free.map(\.payload.text).sorted(), is: ["b", "n", "o"], "\(reason)")
        try await driver.complete(free)
        try check(try await control.resume(keys: ["k"], of: "a").map(\.failure), is: [failure.id])
        try await control.complete(inOrder: ["2", "3"])
        try check(try await control.stops(), is: [])
      }
    },
    ConformanceCase("whatStopsNoKey", .keysKeepOrder, requires: [.keyStops, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ways: [(name: String, expires: Expiry, end: (Int64) async throws -> Void)] = [
        ("completed", .never, { _ in try await driver.complete([try await driver.claimOne()]) }),
        ("cancelled while it waits", .never, { id in _ = try await control.cancel([id], reason: nil) }),
        (
          "cancelled while it runs", .never,
          { id in
            let lease = try await driver.claimOne().lease
            _ = try await control.cancel([id], reason: nil)
            try check(try await driver.settle(lease, .failed(message: "")), is: .cancelled)
          }
        ),
        (
          "cancelled, and its worker died", .never,
          { id in
            _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
            _ = try await control.cancel([id], reason: nil)
            subject.clock.advance(by: .seconds(61))
          }
        ),
        ("expired", .after(.seconds(5)), { _ in subject.clock.advance(by: .seconds(5)) }),
        (
          "dropped", .never,
          { _ in
            let last = keyed("3", stopping(), maxWaiting: .dropOldest(2))
            try await driver.insertNew(last)
          }
        ),
      ]
      for way in ways {
        let new = [keyed("1", stopping(), expires: way.expires), keyed("2", stopping())]
        let ids = try await driver.results(of: new).map(\.id)
        try await way.end(ids[0])
        let next = try await driver.claim(demand()).jobs
        try check(next.map(\.id), is: [ids[1]], way.name)
        try check(try await control.stops(), is: [], way.name)
        try await driver.complete(next)
        try await driver.complete(try await driver.claim(demand()).jobs)
        try check(try await driver.count().count, is: 0, way.name)
      }
      // A retry keeps its place, and a key that goes on has no stop.
      _ = try await driver.results(of: [
        keyed("1", stopping()), keyed("2", stopping()), keyed("x", "goes on"),
      ])
      let running = try await driver.claim(exactly: 2)
      let outcomes: [Settlement.Outcome] = [.retry(after: .zero, message: ""), .failed(message: "")]
      _ = try await driver.settle(
        zip(running, outcomes).map { Settlement($0.lease, $1) }, claiming: nil)
      try check(try await control.stops(), is: [])
      try await control.complete(inOrder: ["1", "2"])
    },
    ConformanceCase(
      "settlementsStopAKeyInTheirOrder", .keysKeepOrder, requires: [.keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      for isFirst in [false, true] {
        _ = try await driver.results(of: (1...4).map { keyed("\($0)", stopping(limit: 2)) })
        let jobs = try await driver.claim(exactly: 2)
        let outcomes: [Settlement.Outcome] =
          isFirst ? [.failed(message: ""), .completed()] : [.completed(), .failed(message: "")]
        let answer = try await driver.settle(
          zip(jobs, outcomes).map { Settlement($0.lease, $1) }, claiming: demand())
        // A completion before the failure admits the next one; one after it does not.
        try check(answer.claim?.texts, is: isFirst ? [] : ["3"], "the failure comes first: \(isFirst)")
        try await driver.complete(answer.claim?.jobs ?? [])
        try check(try await control.resume(keys: ["k"], of: "a").count, is: 1)
        try await driver.complete(try await driver.claim(demand()).jobs)
        try check(try await driver.count().count, is: 0)
      }
    },
  ]

  private static let goingOn: [ConformanceCase] = [
    ConformanceCase("aReplayTakesThePlaceOfItsFailure", .keysKeepOrder, requires: [.keyStops, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: (1...3).map { keyed("\($0)", stopping()) })
      var failure = try await control.failNext("1")
      try await driver.insertNew(keyed("4", stopping()))
      // Again and again: the new job is that of the old place, before all that are held.
      for _ in 0..<2 {
        let id = try await control.replayed(failure.id)
        try check(try await driver.findOne(JobQuery(ids: [id])).state, is: .ready)
        try check(try await control.stops(), is: [])
        try check(try await driver.count().map(\.held), is: [3])
        failure = try await control.failNext("1")
        try check(try await control.stops().map(\.failure), is: [failure.id])
        try check(try await control.stops().map(\.job), is: [id])
      }
      let change = JobChange(payload: Payload("right"))
      guard case .replayed = try await driver.replay([failure.id], changing: change, unique: nil).first else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected a replayed job")
      }
      try await control.complete(inOrder: ["right", "2", "3", "4"])
    },
    ConformanceCase(
      "aReplayThatConflictsLeavesTheKeyStopped", .keysKeepOrder, requires: [.keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let unique = UniqueKey("u")
      _ = try await driver.results(of: [keyed("1", stopping(), unique: unique), keyed("2", stopping())])
      let failure = try await control.failNext("1")
      let holder = try await driver.insertNew(job("x", unique: unique))
      try check(try await driver.replay([failure.id]), is: [.conflict(holder)])
      try check(try await control.stops().map(\.failure), is: [failure.id])
      try await control.complete(inOrder: ["x"])
      _ = try await control.replayed(failure.id)
      try await control.complete(inOrder: ["1", "2"])
    },
    ConformanceCase("aResolvedFailureLetsItsKeyGoOn", .keysKeepOrder, requires: [.keyStops, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: [keyed("1", stopping()), keyed("2", stopping())])
      let failure = try await control.failNext("1")
      try await checkRings(driver, "a resolved failure that admits a job") {
        try check(try await driver.resolve([failure.id]), is: [.resolved])
      }
      try check(try await control.stops(), is: [])
      // A replay of it comes last: the order has gone on.
      try await driver.insertNew(keyed("3", stopping()))
      _ = try await control.replayed(failure.id)
      try await control.complete(inOrder: ["2", "3", "1"])
    },
    ConformanceCase("aResumedKeyGoesOn", .keysKeepOrder, requires: [.keyStops, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: [
        keyed("1", stopping()), keyed("2", stopping()), keyed("3", stopping()),
      ])
      let failure = try await control.failNext("1")
      let stops = try await control.stops()
      for (keys, kind) in [(["other"], "a"), (["k"], "b"), ([], "a"), (["k"], "unknown")]
        as [([String], Kind)]
      {
        try check(try await control.resume(keys: keys, of: kind), is: [])
      }
      // Keys are compared byte by byte.
      try check(try await control.resume(keys: ["K"], of: "a"), is: [])
      try check(try await driver.count().map(\.held), is: [2])
      try await checkRings(driver, "a resume that admits a job") {
        try check(try await control.resume(keys: ["k", "other", "k"], of: "a"), is: stops)
      }
      try check(try await control.resume(keys: ["k"], of: "a"), is: [])
      // The failure stays, and its replay comes last.
      try check(try await driver.failures().map(\.replayedAs), is: [nil])
      _ = try await control.replayed(failure.id)
      try await control.complete(inOrder: ["2", "3", "1"])
      for key in ["", "a\0b", String(repeating: "k", count: 256)] {
        try await check(throws: .invalidArgument) { _ = try await control.resume(keys: ["k", key], of: "a") }
      }
      try await check(throws: .invalidArgument) { _ = try await control.resume(keys: ["k"], of: "") }
    },
    ConformanceCase(
      "aKeyGoesOnWhenNoFailureStopsIt", .keysKeepOrder, requires: [.keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: (1...6).map { keyed("\($0)", stopping(limit: 3)) })
      let jobs = try await driver.claim(exactly: 3)
      try await driver.settle(jobs[0].lease, .failed(message: ""))
      // Those that are admitted go on: one is retried, and then fails, too.
      try await driver.settle(jobs[1].lease, .retry(after: .zero, message: ""))
      let second = try await driver.claimOne()
      try check(second.payload.text, is: "2")
      try await driver.settle(second.lease, .aborted(message: ""))
      try await driver.complete([jobs[2]])
      let failures = try await control.stops().map(\.failure)
      try check(failures.count, is: 2)
      try check(try await driver.states(), is: [.held, .held, .held])
      // The replayed job runs beside the other failure.
      _ = try await control.replayed(failures[1])
      try check(try await driver.count(), is: [JobCount("a", ready: 1, held: 3)])
      try check(try await driver.resolve([failures[0]]), is: [.resolved])
      try check(try await driver.count(), is: [JobCount("a", ready: 3, held: 1)])
      try check(try await control.stops(), is: [])
      let rest = try await driver.claim(exactly: 3)
      try check(rest.map(\.payload.text).sorted(), is: ["2", "4", "5"])
      try await driver.complete(rest)
      try await control.complete(inOrder: ["6"])
      // Two keys in one call.
      _ = try await driver.results(of: [
        keyed("1", stopping()), keyed("2", stopping()), keyed("3", stopping("l")), keyed("4", stopping("l")),
      ])
      let both = try await driver.claim(exactly: 2)
      _ = try await driver.settle(both.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
      try check(try await control.stops().map(\.key), is: both.map { $0.payload.text == "1" ? "k" : "l" })
      _ = try await driver.replay(try await control.stops().map(\.failure))
      try check(try await driver.count(), is: [JobCount("a", ready: 2, held: 2)])
      try check(try await driver.claim(demand()).texts.sorted(), is: ["1", "3"])
    },
  ]

  private static let remaining: [ConformanceCase] = [
    ConformanceCase(
      "aStopOutlivesItsJobsAndItsFailure", .keysKeepOrder, requires: [.keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      try await driver.insertNew(keyed("1", stopping()))
      let failure = try await control.failNext("1")
      try check(try await driver.count().count, is: 0)
      let stops = try await control.stops()
      try check(try await driver.prune(PruneOptions()), is: 1)
      try check(try await control.stops(), is: stops, "the log is pruned")
      try check(try await driver.replay([failure.id]), is: [.notFound])
      try check(try await driver.resolve([failure.id]), is: [.notFound])
      // A key that no job had any more, and that goes on after failures now, is stopped still.
      _ = try await driver.results(of: [keyed("2"), keyed("3"), keyed("x", "other")])
      try check(try await driver.texts(), is: ["x"])
      try check(try await driver.count(), is: [JobCount("a", running: 1, held: 2)])
      try check(try await control.resume(keys: ["k"], of: "a"), is: stops)
      try await control.complete(inOrder: ["2", "3"])
    },
    ConformanceCase("stopsOutliveTheProcess", .keysKeepOrder, requires: [.keyStops, .control, .durable]) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1", stopping()), keyed("2", stopping())])
      let failure = try await driver.control().failNext("1")
      let stops = try await driver.control().stops()
      await driver.close()
      let again = try await subject.open().control()
      try check(try await again.stops(), is: stops)
      try await again.insertNew(keyed("3", stopping()))
      try check(try await again.texts(), is: [])
      _ = try await again.replayed(failure.id)
      try await again.complete(inOrder: ["1", "2", "3"])
    },
    ConformanceCase(
      "othersLearnOfAStop", .keysKeepOrder, requires: [.keyStops, .control, .multiProcess]
    ) { subject in
      let (one, two) = try await subject.openTwo()
      let other = try two.control()
      _ = try await other.results(of: [keyed("1", stopping()), keyed("2", stopping()), job("free")])
      try await other.complete([try require(try await other.claim(exactly: 2).last, "a job")])
      subject.clock.advance(by: .seconds(61))
      try await one.control().failNext("1")
      try await other.insertNew(keyed("3", stopping()))
      try check(try await other.texts(), is: [])
      try check(try await other.stops().count, is: 1)
      _ = try await one.control().resume(keys: ["k"], of: "a")
      try await other.complete(inOrder: ["2", "3"])
    },
    ConformanceCase("theNewestEnqueueSaysWhatAFailureDoes", .limitsHold, requires: [.keyStops, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      _ = try await driver.results(of: [keyed("1", stopping()), keyed("2"), keyed("3")])
      let first = try await control.failNext("1")
      try check(try await control.stops(), is: [])
      try await driver.insertNew(keyed("4", stopping()))
      let second = try await control.failNext("2")
      try check(try await control.stops().map(\.failure), is: [second.id])
      // Resolving another failure changes nothing.
      try check(try await driver.resolve([first.id]), is: [.resolved])
      try check(try await control.stops().map(\.failure), is: [second.id])
      _ = try await control.replayed(second.id)
      try await control.complete(inOrder: ["2", "3", "4"])
      // It is forgotten with the last job of the key, and a replay brings that of its failure back.
      try await driver.insertNew(keyed("5"))
      try await driver.insertNew(keyed("6"))
      try await control.failNext("5")
      try check(try await control.stops(), is: [])
      try await control.complete(inOrder: ["6"])
      try await driver.insertNew(keyed("7", stopping()))
      let last = try await control.failNext("7")
      _ = try await control.resume(keys: ["k"], of: "a")
      _ = try await control.replayed(last.id)
      try await control.failNext("7")
      try check(try await control.stops().count, is: 1)
    },
    ConformanceCase(
      "heldJobsOfAStoppedKeyAreControlled", .jobsAreControlled, requires: [.keyStops, .control]
    ) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let unique = UniqueKey("u", onConflict: .overwrite)
      let ids = try await driver.results(of: [
        keyed("1", stopping()), keyed("2", stopping()), keyed("3", stopping(), expires: .after(.seconds(5))),
        keyed("4", stopping(), unique: unique),
        keyed("5", stopping(), unique: UniqueKey("v", onConflict: .overwrite)),
        keyed("6", stopping()),
      ]).map(\.id)
      try await control.failNext("1")
      try check(try await control.cancel([ids[1]], reason: nil), is: [.cancelled])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [ids[2]])
      try check(try await control.change([ids[3]], JobChange(priority: 1)), is: [.changed])
      try check(try await driver.insert(keyed("new", stopping(), unique: unique)), is: .overwritten(ids[3]))
      // One moves to another key, and none of these ends starts the others.
      let moved = keyed("moved", "free", unique: UniqueKey("v", onConflict: .overwrite))
      try check(try await driver.insert(moved), is: .overwritten(ids[4]))
      try check(try await driver.texts(), is: ["moved"])
      try check(try await control.stops().count, is: 1)
      try check(
        try await control.cancel(matching: JobQuery(states: [.held]), reason: nil).map(\.id),
        is: [ids[3], ids[5]])
      // No job of the key is left, and it is stopped still.
      try await driver.insertNew(keyed("7"))
      try check(try await driver.texts(), is: [])
      _ = try await control.resume(keys: ["k"], of: "a")
      try await control.complete(inOrder: ["7"])
      _ = try await driver.results(of: [keyed("8"), keyed("9")])
      try await control.complete(inOrder: ["8", "9"])
    },
    ConformanceCase("stopsAreListedInPages", .listingsAreTrue, requires: [.keyStops, .control]) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let keys = (1...5).map { "k\($0)" }
      _ = try await driver.results(of: keys.map { keyed($0, stopping($0), kind: $0 == "k5" ? "b" : "a") })
      for job in try await driver.claim(exactly: 5, demand(9, "a", "b")) {
        try await driver.settle(job.lease, .failed(message: ""))
      }
      let all = try await control.stops()
      try check(Set(all.map(\.key)), is: Set(keys))
      try check(all.map(\.failure), is: all.map(\.failure).sorted())
      try check(try await control.keyStops(nil, after: 0, limit: 2), is: Array(all[..<2]))
      try check(try await control.keyStops(nil, after: all[1].failure, limit: 2), is: Array(all[2..<4]))
      try check(try await control.keyStops(["b"], after: 0, limit: 9).map(\.key), is: ["k5"])
      try check(try await control.keyStops(["a", "unknown"], after: 0, limit: 9).count, is: 4)
      try check(try await control.keyStops(["unknown"], after: 0, limit: 9), is: [])
      try check(try await control.keyStops([], after: 0, limit: 9), is: [])
      for limit in [0, -1] { try check(try await control.keyStops(nil, after: 0, limit: limit), is: []) }
    },
  ]
}
