internal import Qudo

extension ConformanceSuite {
  static let replays: [ConformanceCase] = [
    ConformanceCase("aReplayedJobIsAsItWasAndDueNow", .logsAreKept) { subject in
      let driver = try await subject.open()
      let lost = NewJob(
        "a", payload: Payload([0, 255], codec: .json), unique: UniqueKey("k"), priority: 7,
        metadata: JobMetadata(bytes: [3]))
      let old = try await driver.insertNew(lost)
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      try await driver.settle(try await driver.claimOne().lease, .failed(message: "no"))
      subject.clock.advance(by: .seconds(100))
      let now = subject.clock.now().wall
      let failure = try require(try await driver.failures().last, "a failure")
      let result = try await driver.replay([failure.id])
      let found = try await driver.findOne()
      try check(result, is: [.replayed(found.id)])
      try check(found.id, isAbove: old)
      let expected = StoredJob(
        id: found.id, kind: "a", state: .ready, payload: lost.payload, uniqueKey: "k", priority: 7,
        attempt: 1, enqueuedAt: now,
        dueAt: now, leaseExpiresAt: nil, metadata: JobMetadata(bytes: [3]))
      try check(found, is: expected)
      var replayed = failure
      replayed.replayedAs = found.id
      try check(try await driver.failures().last, is: replayed)
      try check(try await driver.insert(job(unique: UniqueKey("k"))), is: .conflict(found.id))
      try check(try await driver.claimOne().id, is: found.id)
    },
    ConformanceCase("aFailureIsReplayedWithCorrections", .logsAreKept) { subject in
      let driver = try await subject.open()
      let most = driver.limits.payloadBytes
      let old = NewJob(
        "a", payload: Payload("old"), unique: UniqueKey("k"), priority: 1, metadata: JobMetadata(bytes: [1]))
      for change in [
        JobChange(payload: Payload([0, 255], codec: .json)), JobChange(priority: 5, due: .after(.seconds(9))),
        JobChange(metadata: JobMetadata()), JobChange(),
      ] {
        try await driver.insertNew(old)
        try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
        let failure = try require(try await driver.failures().last, "a failure").id
        let tooLarge = JobChange(payload: Payload(Array(repeating: 0, count: most)))
        try await checkNothingChanges(in: driver) {
          try await check(throws: .invalidArgument) {
            _ = try await driver.replay([failure], changing: tooLarge)
          }
        }
        let result = try await driver.replay([failure], changing: change)
        let found = try await driver.findOne()
        try check(result, is: [.replayed(found.id)])
        try check(found.payload, is: change.payload ?? old.payload)
        try check(found.metadata, is: change.metadata ?? old.metadata)
        try check(found.priority, is: change.priority ?? old.priority)
        try check(found.state, is: change.due == nil ? .ready : .delayed)
        try check(found.uniqueKey, is: "k")
        subject.clock.advance(by: .seconds(10))
        try await driver.complete([try await driver.claimOne()])
      }
    },
    ConformanceCase("aFailureIsReplayedWithAnotherKey", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x", unique: "old"))
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      let row = try require(try await driver.failures().first, "a failure").id
      let holder = try await driver.insertNew(job("holder", unique: "new"))
      for conflict in [UniqueKey.Conflict.reject, .keep, .overwrite] {
        let key = UniqueKey("new", onConflict: conflict)
        try await checkNothingChanges(in: driver) {
          try check(
            try await driver.replay([row], changing: JobChange(), unique: key), is: [.conflict(holder)])
        }
      }
      try await check(throws: .invalidArgument) {
        _ = try await driver.replay([row], changing: JobChange(), unique: "")
      }
      let key = UniqueKey("newer", scope: .untilStarted)
      let results = try await driver.replay([row], changing: JobChange(priority: 1), unique: key)
      let found = try require(
        try await driver.find(exactly: 2).first { $0.uniqueKey == "newer" }, "the replayed job")
      try check(results, is: [.replayed(found.id)])
      try check(found.payload.text, is: "x")
      try check(try await driver.failures().map(\.replayedAs), is: [found.id])
      try await driver.insertNew(job(unique: "old"))
      try check(try await driver.insert(job(unique: "newer")), is: .conflict(found.id))
      try check(try await driver.claimOne().id, is: found.id)
      try await driver.insertNew(job(unique: "newer"))
    },
    ConformanceCase("aResolvedFailureIsNoLongerOpen", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("retried"))
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      for _ in 0..<3 { try await fail(1, driver) }
      let rows = try await driver.failures().map(\.id)
      try check(rows.count, is: 5)
      let replayed = try await driver.replay([rows[1]])
      guard case .replayed(let new) = replayed.first else { return try check(replayed, is: []) }
      try check(
        try await driver.resolve([rows[2], rows[0], rows[1], rows[4] + 1000, rows[2], rows[3]]),
        is: [.resolved, .notFinal, .alreadyReplayed(new), .notFound, .alreadyResolved, .resolved])
      try check(try await driver.resolve([rows[3]]), is: [.alreadyResolved])
      try check(try await driver.resolve([]), is: [])
      let all = try await driver.failures()
      try check(all.map(\.isResolved), is: [false, false, true, true, false])
      try check(all.map(\.replayedAs), is: [nil, new, nil, nil, nil])
      let filters: [(FailureFilter, [Int64])] = [
        (FailureFilter(isFinal: true, isReplayed: false), [rows[4]]),
        (FailureFilter(isReplayed: false), [rows[0], rows[4]]), (FailureFilter(isReplayed: true), [rows[1]]),
        (FailureFilter(isResolved: true), [rows[2], rows[3]]),
        (FailureFilter(isResolved: false), [rows[0], rows[1], rows[4]]),
      ]
      for (filter, expected) in filters {
        let query = LogQuery(oldestFirst: true, failures: filter)
        try check(try await driver.failures(query).map(\.id), is: expected, "\(filter)")
      }
      // By its id it is still replayed.
      let again = try await driver.replay([rows[2]])
      guard case .replayed(let other) = again.first else { return try check(again, is: []) }
      let row = try await driver.failures()[2]
      try check(row.replayedAs, is: other)
      try check(row.isResolved, is: false)
      try check(try await driver.resolve([rows[2]]), is: [.alreadyReplayed(other)])
    },
    ConformanceCase("aFailureIsReplayedOnce", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(1, driver)
      let id = try require(try await driver.failures().first, "a failure").id
      let results = try await driver.replay([id, id])
      let new = try await driver.findOne().id
      try check(results, is: [.replayed(new), .alreadyReplayed(new)])
      try check(try await driver.replay([id]), is: [.alreadyReplayed(new)])
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.replay([id]), is: [.alreadyReplayed(new)], "after the new job is done")
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("aReplayedJobHoldsItsKeyAsLongAsItDid", .logsAreKept) { subject in
      let driver = try await subject.open()
      for scope in [.untilStarted, .untilFinished] as [UniqueKey.Scope] {
        try await driver.insertNew(job(unique: UniqueKey("k", scope: scope)))
        try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
        let failure = try require(try await driver.failures().last, "a failure").id
        _ = try await driver.replay([failure])
        let again = try await driver.findOne().id
        try check(try await driver.insert(job(unique: UniqueKey("k"))), is: .conflict(again))
        let lease = try await driver.claimOne().lease
        if scope == .untilFinished {
          try check(try await driver.insert(job(unique: UniqueKey("k"))), is: .conflict(again))
        }
        if scope == .untilStarted { try await driver.insertNew(job(unique: UniqueKey("k"))) }
        try await driver.settle(lease, .completed())
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
    ConformanceCase("abortedAndLostJobsCanBeReplayed", .logsAreKept) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("aborted"), job("lost")])
      let jobs = try await driver.claim(exactly: 2, demand(maxExpiredLeases: 1))
      try await driver.settle(jobs[0].lease, .aborted(message: ""))
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.claim(demand())
      _ = try await driver.replay(try await driver.failures().map(\.id))
      try check(try await driver.texts(), is: ["aborted", "lost"])
    },
    ConformanceCase("aReplayThatConflictsCanBeDoneLater", .logsAreKept) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k")
      try await driver.insertNew(job("old", unique: key))
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      let other = try await driver.insertNew(job("other", unique: key))
      let id = try require(try await driver.failures().first, "a failure").id
      try await checkNothingChanges(in: driver) {
        try check(try await driver.replay([id]), is: [.conflict(other)])
      }
      try await driver.complete([try await driver.claimOne()])
      let result = try await driver.replay([id])
      try check(result, is: [.replayed(try await driver.findOne().id)])
      try check(try await driver.texts(), is: ["old"])
    },
    ConformanceCase("onlyExistingFinalFailuresAreReplayed", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      let early = try require(try await driver.failures().first, "a failure").id
      try await checkNothingChanges(in: driver) {
        try check(
          try await driver.replay([early, early + 1, 0, -1]),
          is: [.notFinal, .notFound, .notFound, .notFound])
        try check(try await driver.replay([]), is: [])
      }
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      try check(
        try await driver.replay([early]), is: [.notFinal], "the earlier failure of a job that was given up")
    },
    ConformanceCase("replaysAreAnsweredInTheirOrder", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(3, driver)
      let ids = try await driver.failures().map(\.id)
      try check(ids.count, is: 3, "failures")
      let results = try await driver.replay([ids[2], 999, ids[0]])
      let jobs = try await driver.find(exactly: 2)
      try check(jobs.map(\.payload.text), is: ["2", "0"])
      try check(results, is: [.replayed(jobs[0].id), .notFound, .replayed(jobs[1].id)])
      try check(try await driver.failures().map(\.replayedAs), is: [jobs[1].id, nil, jobs[0].id])
    },
  ]
}
