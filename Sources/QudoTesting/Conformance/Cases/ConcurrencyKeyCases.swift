internal import Qudo

/// A job of a kind with a concurrency key.
func keyed(
  _ text: String, _ key: ConcurrencyKey = "k", kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0,
  due: Due = .now, expires: Expiry = .never, maxWaiting: MaxWaiting? = nil
) -> NewJob {
  var new = job(
    text, kind: kind, unique: unique, priority: priority, due: due, expires: expires, maxWaiting: maxWaiting)
  new.concurrencyKey = key
  return new
}

extension Driver {
  /// Returns the states of all jobs, in the order of their ids.
  func states() async throws -> [JobState] {
    try await jobs(matching: JobQuery(limit: 1000)).map(\.state)
  }
}

extension ConformanceSuite {
  static let concurrencyKeys: [ConformanceCase] = ordered + heldJobs + keyLimits + followUps

  private static let ordered: [ConformanceCase] = [
    ConformanceCase("jobsOfAKeyRunOneAfterTheOther", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      // Neither a priority nor a due time lets a later job pass.
      let new = [
        keyed("1"), keyed("2", priority: 9), keyed("3", due: .at(Timestamp(microseconds: 1))),
        keyed("x", "other"), job("none"),
      ]
      let ids = try await driver.results(of: new).map(\.id)
      try check(try await driver.states(), is: [.ready, .held, .held, .ready, .ready])
      var running = try await driver.claim(exactly: 3)
      try check(running.map(\.payload.text), is: ["1", "x", "none"])
      for next in ["2", "3"] {
        try check(try await driver.claim(demand()).jobs.count, is: 0, "before \(next)")
        let answer = try await driver.settle(
          [Settlement(running[0].lease, .completed())], claiming: demand())
        try check(answer.claim?.texts, is: [next])
        running = answer.claim?.jobs ?? []
      }
      try await driver.complete(running)
      try check(try await driver.find(exactly: 2).map(\.id), is: Array(ids[3...]))
    },
    ConformanceCase(
      "anAdmittedJobKeepsItsPlaceUntilItLeaves", .keysKeepOrder, requires: [.concurrencyKeys, .control]
    ) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [keyed("1", due: .after(.seconds(5))), keyed("2")]).map(\.id)
      try check(try await driver.texts(), is: [], "the first one is delayed")
      subject.clock.advance(by: .seconds(5))
      for outcome in [
        .retry(after: .zero, message: ""), .retry(after: .seconds(5), message: ""), .snoozed(.seconds(5)),
        .released,
      ] as [Settlement.Outcome] {
        let answer = try await driver.settle(
          [Settlement(try await driver.claimOne().lease, outcome)], claiming: nil)
        try check(answer.results, is: [.settled()])
        try check(try await driver.states()[1], is: .held, "\(outcome)")
        subject.clock.advance(by: .seconds(5))
      }
      // Its worker dies, or is said to have.
      try check(try await driver.texts(), is: ["1"])
      subject.clock.advance(by: .seconds(61))
      try check(try await driver.texts(), is: ["1"])
      try check(try await driver.control().recover([ids[0]]), is: [.recovered])
      let last = try await driver.claimOne()
      try check(last.id, is: ids[0])
      try check(try await driver.claim(demand()).jobs.count, is: 0)
      try await driver.complete([last])
      try check(try await driver.texts(), is: ["2"])
    },
    ConformanceCase(
      "whateverRemovesAnAdmittedJobAdmitsTheNext", .keysKeepOrder, requires: [.concurrencyKeys, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ways: [(name: String, expires: Expiry, end: (Int64) async throws -> Void)] = [
        ("completed", .never, { _ in try await driver.complete([try await driver.claimOne()]) }),
        (
          "replaced", .never,
          { _ in
            try await driver.settle(
              try await driver.claimOne().lease, .completed(replacements: [keyed("r", "other")]))
          }
        ),
        (
          "failed", .never,
          { _ in try await driver.settle(try await driver.claimOne().lease, .failed(message: "")) }
        ),
        (
          "aborted", .never,
          { _ in try await driver.settle(try await driver.claimOne().lease, .aborted(message: "")) }
        ),
        ("cancelled while it waits", .never, { id in _ = try await control.cancel([id], reason: nil) }),
        (
          "cancelled while it runs", .never,
          { id in
            let lease = try await driver.claimOne().lease
            try check(try await control.cancel([id], reason: nil), is: [.cancelling])
            try check(try await driver.settle(lease, .released), is: .cancelled)
          }
        ),
        (
          "cancelled, and its worker died", .never,
          { id in
            _ = try await driver.claimOne()
            _ = try await control.cancel([id], reason: nil)
            subject.clock.advance(by: .seconds(61))
          }
        ),
        (
          "given up", .never,
          { _ in
            _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
            subject.clock.advance(by: .seconds(61))
          }
        ),
        ("expired", .after(.seconds(5)), { _ in subject.clock.advance(by: .seconds(5)) }),
      ]
      for way in ways {
        let ids = try await driver.results(of: [keyed("1", expires: way.expires), keyed("2"), keyed("3")])
          .map(\.id)
        try await way.end(ids[0])
        let next = try await driver.claim(demand()).jobs
        try check(next.first?.id, is: ids[1], way.name)
        try check(next.contains { $0.id == ids[2] }, is: false, way.name)
        try check(try await driver.claim(demand()).jobs.count, is: 0, way.name)
        try await driver.complete(next)
        try await driver.complete([try await driver.claimOne()])
        // No place is left behind.
        try await driver.complete(try await driver.claim(demand()).jobs)
        try check(try await driver.count().count, is: 0, way.name)
      }
    },
    ConformanceCase("aKeyHoldsOverKindsAndBytes", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      // Two kinds, and two keys that only look alike.
      let (one, two) = (ConcurrencyKey("caf\u{e9}"), ConcurrencyKey("cafe\u{301}"))
      _ = try await driver.results(of: [
        keyed("1", one), keyed("2", two), keyed("3", one, kind: "b"), keyed("4", one), keyed("5", two),
      ])
      try check(try await driver.texts(demand(10, "a", "b")), is: ["1", "2", "3"])
    },
    ConformanceCase("batchesAdmitAsManyAsEnd", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      let keys = (0..<20).map { ConcurrencyKey("k\($0)") }
      _ = try await driver.results(of: (0..<100).map { keyed("\($0)", keys[$0 % 20]) })
      for round in 0..<5 {
        let jobs = try await driver.claim(exactly: 20, demand(99))
        try check(jobs.map { Int($0.payload.text) ?? -1 }.sorted(), is: Array(round * 20..<round * 20 + 20))
        try await driver.complete(jobs)
      }
      try check(try await driver.claim(demand()).jobs.count, is: 0)
    },
    ConformanceCase("aReplacementOfAKeyComesLast", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1"), keyed("2")])
      let first = try await driver.claimOne()
      try await driver.settle(first.lease, .completed(replacements: [keyed("3")]))
      for text in ["2", "3"] {
        let jobs = try await driver.claim(exactly: 1)
        try check(jobs.map(\.payload.text), is: [text])
        try await driver.complete(jobs)
      }
    },
    ConformanceCase("anOrderHoldsWhileManyWork", .keysKeepOrder, requires: .concurrencyKeys) { subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: (0..<60).map { keyed("\($0)", ConcurrencyKey("k\($0 % 3)")) })
      let ended = Locked<[[Int]]>([[], [], []])
      try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in 0..<6 {
          let driver = worker % 2 == 0 ? one : other
          group.addTask {
            while ended.withLock({ $0.joined().count }) < 60 {
              for job in try await driver.claim(demand(2)).jobs {
                let number = Int(job.payload.text) ?? 0
                ended.withLock { $0[number % 3].append(number) }
                await Task.yield()
                try await driver.complete([job])
              }
              await Task.yield()
            }
          }
        }
        try await group.waitForAll()
      }
      for (key, numbers) in ended.withLock({ $0 }).enumerated() {
        try check(numbers, is: Array(stride(from: key, to: 60, by: 3)))
      }
      try check(try await one.find(exactly: 0).count, is: 0)
    },
    ConformanceCase(
      "placesOutliveTheProcess", .keysKeepOrder, requires: [.concurrencyKeys, .durable]
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1"), keyed("2"), keyed("3")])
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      await driver.close()
      let again = try await subject.open()
      try check(try await again.states(), is: [.ready, .held, .held])
      for text in ["1", "2", "3"] {
        let jobs = try await again.claim(exactly: 1)
        try check(jobs.map(\.payload.text), is: [text])
        try await again.complete(jobs)
      }
    },
    ConformanceCase("anAdmissionRingsTheDoorbell", .waitersAreWoken, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [keyed("1"), keyed("2"), keyed("3")]).map(\.id)
      let first = try await driver.claimOne()
      try await checkRings(driver, "a completion that admits a job") {
        try await driver.settle(first.lease, .completed())
      }
      try await checkRings(driver, "a cancel that admits a job") {
        _ = try await driver.control().cancel([ids[1]], reason: nil)
      }
      try check(try await driver.texts(), is: ["3"])
    },
    ConformanceCase(
      "anAdmissionRingsTheDoorbellsOfOthers", .waitersAreWoken,
      requires: [.concurrencyKeys, .multiProcess, .crossProcessWakeup]
    ) { subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: [keyed("1"), keyed("2")])
      let first = try await one.claimOne()
      try await checkRing(other, "of a completion that admits a job") {
        try await one.settle(first.lease, .completed())
      }
      try check(try await other.texts(), is: ["2"])
    },
  ]

  private static let heldJobs: [ConformanceCase] = [
    ConformanceCase("heldJobsAreListedAndCounted", .listingsAreTrue, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [
        keyed("1"), keyed("2"), job("3"), keyed("4", kind: "b"),
        keyed("5", kind: "b", due: .after(.seconds(9))),
        keyed("6", "other", due: .after(.seconds(9))),
      ]).map(\.id)
      _ = try await driver.claimOne(demand(1))
      try check(
        try await driver.count().sorted { $0.kind < $1.kind },
        is: [JobCount("a", ready: 1, delayed: 1, running: 1, held: 1), JobCount("b", ready: 1, held: 1)])
      try check(try await driver.count(["b"]), is: [JobCount("b", ready: 1, held: 1)])
      let held = try await driver.jobs(matching: JobQuery(states: [.held]))
      try check(held.map(\.id), is: [ids[1], ids[4]])
      try check(held.map(\.concurrencyKey), is: ["k", "k"])
      try check(try await driver.states(), is: [.running, .held, .ready, .ready, .held, .delayed])
      for (query, found) in [
        (JobQuery(kinds: ["b"], states: [.held]), [4]),
        (JobQuery(ids: ids, states: [.held], after: ids[1]), [4]),
        (JobQuery(states: [.held, .running]), [0, 1, 4]), (JobQuery(states: [.ready]), [2, 3]),
        (JobQuery(JobFilter(states: [.held], payloadContains: Array("2".utf8))), [1]),
        (JobQuery(states: [.held], limit: 1), [1]), (JobQuery(states: [.held], after: ids[1]), [4]),
      ] as [(JobQuery, [Int])] {
        try check(try await driver.jobs(matching: query).map(\.id), is: found.map { ids[$0] })
      }
      try check(try await driver.jobs(matching: JobQuery(ids: [ids[2]])).map(\.concurrencyKey), is: [nil])
      guard case .unfinished(let job) = try await driver.outcomes(of: [ids[1]]).first else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected an unfinished job")
      }
      try check(job.state, is: .held)
    },
    ConformanceCase(
      "heldJobsAreCancelledAndChanged", .jobsAreControlled, requires: [.concurrencyKeys, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(of: (1...5).map { keyed("\($0)") }).map(\.id)
      try check(try await control.cancel([ids[1]], reason: "no"), is: [.cancelled])
      try check(
        try await control.cancel(matching: JobQuery(states: [.held], limit: 1), reason: nil),
        is: [CancelledJob(id: ids[2], result: .cancelled)])
      try check(try await driver.failures().map(\.job), is: [ids[1], ids[2]])
      try check(try await control.recover([ids[3]]), is: [.notRunning])
      let change = JobChange(priority: 7, due: .after(.seconds(9)), payload: Payload("new"))
      try check(try await control.change([ids[3]], change), is: [.changed])
      let changed = try await driver.findOne(JobQuery(ids: [ids[3]]))
      try check(changed.state, is: .held)
      try check(changed.payload.text, is: "new")
      try check(changed.priority, is: 7)
      try check(changed.dueAt, is: subject.clock.now().wall.advanced(by: .seconds(9)))
      // It is delayed when it is admitted, and keeps the next one held.
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.states(), is: [.delayed, .held])
      subject.clock.advance(by: .seconds(9))
      let jobs = try await driver.claim(exactly: 1)
      try check(jobs.map(\.payload.text), is: ["new"])
      try check(jobs.map(\.priority), is: [7])
      try await driver.complete(jobs)
      try check(try await driver.texts(), is: ["5"])
      // All of a key at once, the admitted one with them.
      _ = try await driver.results(of: (1...4).map { keyed("\($0)", "all") })
      try check(
        try await control.cancel(matching: JobQuery(states: [.ready, .held]), reason: nil).count, is: 4)
      let last = try await driver.insertNew(keyed("last", "all"))
      try check(try await driver.texts(), is: ["last"])
      try check(try await driver.findOne(JobQuery(states: [.running], after: last - 1)).id, is: last)
    },
    ConformanceCase("aHeldJobExpires", .jobsAreControlled, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [
        keyed("1"), keyed("2", expires: .after(.seconds(5))), keyed("3"),
      ]).map(\.id)
      let first = try await driver.claimOne()
      subject.clock.advance(by: .seconds(5))
      let claim = try await driver.claim(demand())
      try check(claim.givenUp.map(\.id), is: [ids[1]])
      try check(claim.jobs.count, is: 0)
      try check(try await driver.failures().map(\.reason), is: [.expired])
      try await driver.complete([first])
      try check(try await driver.texts(), is: ["3"])
    },
    ConformanceCase("aHeldJobWithADueTimeIsDelayedWhenAdmitted", .keysKeepOrder, requires: .concurrencyKeys) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1"), keyed("2", due: .after(.seconds(60))), keyed("3")])
      let first = try await driver.claimOne()
      subject.clock.advance(by: .seconds(20))
      try await driver.complete([first])
      try check(try await driver.states(), is: [.delayed, .held])
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(40))
      subject.clock.advance(by: .seconds(40))
      try check(try await driver.texts(), is: ["2"])
    },
    ConformanceCase("heldJobsHoldTheirUniqueKeys", .keysAreUnique, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      let unique = UniqueKey("u")
      let ids = try await driver.results(of: [keyed("1"), keyed("2", unique: unique), keyed("3")]).map(\.id)
      try check(try await driver.insert(keyed("x", unique: unique)), is: .conflict(ids[1]))
      try check(
        try await driver.insert(keyed("x", unique: UniqueKey("u", onConflict: .keep))), is: .existing(ids[1]))
      // It stays held where it is.
      let overwrite = UniqueKey("u", onConflict: .overwrite)
      try check(try await driver.insert(keyed("new", unique: overwrite)), is: .overwritten(ids[1]))
      try check(try await driver.states(), is: [.ready, .held, .held])
      for text in ["1", "new", "3"] {
        let jobs = try await driver.claim(exactly: 1)
        try check(jobs.map(\.payload.text), is: [text])
        try await driver.complete(jobs)
      }
    },
    ConformanceCase("anOverwriteMovesAJobToItsNewKey", .keysAreUnique, requires: .concurrencyKeys) {
      subject in
      let driver = try await subject.open()
      let unique = UniqueKey("u", onConflict: .overwrite)
      let ids = try await driver.results(of: [
        keyed("1", unique: unique), keyed("2"), keyed("3"), keyed("x", "other"),
      ]).map(\.id)
      // Its place in the old key goes to the next one; in the new key it waits.
      try check(try await driver.insert(keyed("a", "other", unique: unique)), is: .overwritten(ids[0]))
      try check(try await driver.states(), is: [.held, .ready, .held, .ready])
      try check(
        try await driver.jobs(matching: JobQuery(ids: [ids[0]])).map(\.concurrencyKey), is: ["other"])
      // Without a key it waits for none.
      try check(try await driver.insert(job("b", unique: unique)), is: .overwritten(ids[0]))
      try check(try await driver.states(), is: [.ready, .ready, .held, .ready])
      // With one again, it takes its place by its number.
      try check(try await driver.insert(keyed("c", unique: unique)), is: .overwritten(ids[0]))
      try check(try await driver.states(), is: [.held, .ready, .held, .ready])
      let jobs = try await driver.claim(exactly: 2)
      try await driver.complete(jobs)
      try check(try await driver.texts(), is: ["c"])
    },
    ConformanceCase("aReplayKeepsItsConcurrencyKey", .logsAreKept, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [keyed("1"), keyed("2")])
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      let second = try await driver.claimOne()
      guard case .replayed(let id) = try await driver.replay(try await driver.failures().map(\.id)).first
      else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected a replayed job")
      }
      let found = try await driver.findOne(JobQuery(ids: [id]))
      try check(found.state, is: .held)
      try check(found.concurrencyKey, is: "k")
      try await driver.complete([second])
      try check(try await driver.texts(), is: ["1"])
      // Cancelled while it was held, it keeps its key, too.
      let held = try await driver.insertNew(keyed("4"))
      _ = try await driver.control().cancel([held], reason: nil)
      let last = try require(try await driver.failures().last, "a failure")
      _ = try await driver.replay([last.id])
      try check(try await driver.count().map(\.held), is: [1])
    },
    ConformanceCase("heldJobsCountAsWaiting", .jobsAreControlled, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: (1...3).map { keyed("\($0)") }).map(\.id)
      try await check(throws: .queueFull) { _ = try await driver.insert(keyed("4", maxWaiting: .refuse(3))) }
      // The oldest ones go, and what they admit goes with them if it must.
      _ = try await driver.results(of: [keyed("4", maxWaiting: .dropOldest(2))])
      try check(try await driver.failures().map(\.job), is: [ids[0], ids[1]])
      try check(try await driver.states(), is: [.ready, .held])
      for text in ["3", "4"] {
        let jobs = try await driver.claim(exactly: 1)
        try check(jobs.map(\.payload.text), is: [text])
        try await driver.complete(jobs)
      }
    },
    ConformanceCase("manyHeldJobsHoldUpNoOther", .costIsFlat, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...500).map { keyed("\($0)") })
      _ = try await driver.results(of: (1...3).map { job("free \($0)") })
      try check(try await driver.texts(), is: ["1", "free 1", "free 2", "free 3"])
      try check(try await driver.count().map { [$0.ready, $0.held] }, is: [[0, 499]])
      try check(
        try await driver.jobs(matching: JobQuery(states: [.held], limit: 1000)).count, is: 499)
    },
  ]

  private static let keyLimits: [ConformanceCase] = [
    ConformanceCase("aKeyAdmitsAsManyAsItsLimit", .limitsHold, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      let key = ConcurrencyKey("k", limit: 2)
      _ = try await driver.results(of: (1...5).map { keyed("\($0)", key) })
      var running = try await driver.claim(exactly: 2)
      try check(running.map(\.payload.text), is: ["1", "2"])
      // In the order of the enqueues, whichever ends first.
      for next in ["3", "4", "5"] {
        let answer = try await driver.settle([Settlement(running[1].lease, .completed())], claiming: demand())
        try check(answer.claim?.texts, is: [next])
        running[1] = try require(answer.claim?.jobs.first, "a job")
      }
      try await driver.settle(running[0].lease, .retry(after: .zero, message: ""))
      try check(try await driver.texts(), is: ["1"])
    },
    ConformanceCase("theLimitOfTheNewestEnqueueCounts", .limitsHold, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      func key(_ limit: Int) -> ConcurrencyKey { ConcurrencyKey("k", limit: limit) }
      _ = try await driver.results(of: (1...4).map { keyed("\($0)", key(1)) })
      // A raised limit admits those that were there before the new one.
      try await driver.insertNew(keyed("5", key(3)))
      try check(try await driver.states(), is: [.ready, .ready, .ready, .held, .held])
      var running = try await driver.claim(exactly: 3)
      // A lowered one lets three run on, and admits none until fewer are left.
      try await driver.insertNew(keyed("6", key(2)))
      for _ in 0..<2 {
        try check(try await driver.claim(demand()).jobs.count, is: 0)
        try await driver.complete([running.removeFirst()])
      }
      try check(try await driver.texts(), is: ["4"])
      // Jobs that were not stored change nothing.
      let unique = UniqueKey("u")
      try await driver.insertNew(keyed("7", key(2), unique: unique))
      _ = try await driver.insert(keyed("x", key(100), unique: unique))
      let named = IdempotencyKey()
      for limit in [2, 100] {
        var repeated = keyed("8", key(limit))
        repeated.idempotencyKey = named
        _ = try await driver.insert(repeated)
      }
      try check(try await driver.claim(demand()).jobs.count, is: 0)
      try check(try await driver.count().map(\.held), is: [4])
    },
    ConformanceCase("aKeyThatNoJobHasIsForgotten", .limitsHold, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...2).map { keyed("\($0)", ConcurrencyKey("k", limit: 5)) })
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      let failure = try require(try await driver.failures().first, "a failure")
      // A replay takes the limit in force, and that of its failure only where there is none.
      try await driver.insertNew(keyed("3", ConcurrencyKey("k", limit: 2)))
      _ = try await driver.replay([failure.id])
      try check(try await driver.states(), is: [.ready, .ready, .held])
      for _ in 0..<2 { try await driver.complete(try await driver.claim(demand()).jobs) }
      _ = try await driver.results(of: [keyed("4"), keyed("5")])
      try check(try await driver.states(), is: [.ready, .held])
      for text in ["4", "5"] {
        let jobs = try await driver.claim(exactly: 1)
        try check(jobs.map(\.payload.text), is: [text])
        try await driver.complete(jobs)
      }
    },
    ConformanceCase("aReplayOfAForgottenKeyHasItsLimit", .limitsHold, requires: .concurrencyKeys) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: (1...3).map { keyed("\($0)", ConcurrencyKey("k", limit: 2)) })
      for _ in 0..<3 { try await driver.settle(try await driver.claimOne().lease, .failed(message: "")) }
      _ = try await driver.replay(try await driver.failures().map(\.id))
      try check(try await driver.states(), is: [.ready, .ready, .held])
    },
    ConformanceCase("invalidConcurrencyKeysAreRefused", .payloadsAreExact, requires: .concurrencyKeys) {
      subject in
      let driver = try await subject.open()
      try await checkNothingChanges(in: driver) {
        for key in [
          ConcurrencyKey(""), ConcurrencyKey("a\0b"), ConcurrencyKey(String(repeating: "k", count: 256)),
          ConcurrencyKey("k", limit: 0), ConcurrencyKey("k", limit: -1), ConcurrencyKey("k", limit: 1001),
        ] {
          try await check(throws: .invalidArgument) { _ = try await driver.insert([job(), keyed("", key)]) }
        }
      }
      let longest = ConcurrencyKey(String(repeating: "k", count: 255), limit: 1000)
      _ = try await driver.results(of: [keyed("1", longest), keyed("2", longest)])
      try check(try await driver.texts(), is: ["1", "2"])
    },
  ]
}
