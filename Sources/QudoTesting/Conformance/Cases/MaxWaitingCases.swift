internal import Qudo

extension ConformanceSuite {
  static let bounded: [ConformanceCase] = [
    ConformanceCase("anEnqueueBeyondTheMaximumIsRefused", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let bound = MaxWaiting.refuse(3)
      try await driver.insertNew(job("1", due: .after(.seconds(9)), maxWaiting: bound))
      // Jobs of other kinds do not count, nor are those without the bound refused.
      _ = try await driver.insert([job(kind: "b"), job(kind: "b"), job(kind: "b"), job("2")])
      try await checkNothingChanges(in: driver) {
        try await check(throws: .queueFull) {
          _ = try await driver.insert([job(kind: "b"), job(maxWaiting: bound), job(maxWaiting: bound)])
        }
      }
      try await driver.insertNew(job("3", maxWaiting: bound))
      for _ in 0..<2 {
        try await checkNothingChanges(in: driver) {
          try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
        }
      }
      try await driver.insertNew(job("4"))
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
      // A higher one is another one.
      try await driver.insertNew(job("5", maxWaiting: .refuse(5)))
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: .refuse(5))) }
      try await driver.insertNew(job(kind: "c", maxWaiting: .refuse(1)))
    },
    ConformanceCase("runningJobsDoNotCountTowardsTheMaximum", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let bound = MaxWaiting.refuse(2)
      _ = try await driver.results(of: [job("1", maxWaiting: bound), job("2", maxWaiting: bound)])
      let claimed = try await driver.claimOne()
      try await driver.insertNew(job("3", maxWaiting: bound))
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
      // A retry always waits again, and counts.
      try await driver.settle(claimed.lease, .retry(after: .seconds(5), message: ""))
      let other = try await driver.claimOne()
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
      try await driver.complete([other])
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
      let last = try await driver.claimOne()
      try await driver.insertNew(job("4", maxWaiting: bound))
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
      // Nor are the jobs refused that take the place of another.
      let replaced = try await driver.settle(
        last.lease, .completed(replacements: [job("5", maxWaiting: bound), job("6", maxWaiting: .refuse(1))]))
      guard case .settled(let results) = replaced else { return try check(replaced, is: .settled()) }
      try check(results.count, is: 2)
      let ids = try await driver.find(exactly: 4).map(\.id)
      try check(try await driver.control().cancel(ids, reason: nil).count, is: 4)
      _ = try await driver.results(of: [job(maxWaiting: bound), job(maxWaiting: bound)])
      try await check(throws: .queueFull) { _ = try await driver.insert(job(maxWaiting: bound)) }
    },
    ConformanceCase("aJobThatIsThereIsNotRefused", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let bound = MaxWaiting.refuse(1)
      let key = IdempotencyKey()
      var first = job("1", unique: "k", maxWaiting: bound)
      first.idempotencyKey = key
      let id = try await driver.insertNew(first)
      try check(try await driver.insert(first), is: .existing(id))
      try check(try await driver.insert(job(unique: "k", maxWaiting: bound)), is: .conflict(id))
      for (conflict, result) in [
        (UniqueKey.Conflict.keep, InsertResult.existing(id)), (.overwrite, .overwritten(id)),
      ] {
        let again = job("2", unique: UniqueKey("k", onConflict: conflict), maxWaiting: bound)
        try check(try await driver.insert(again), is: result)
      }
      for bound in [bound, .dropOldest(1)] {
        try check(
          try await driver.insert([job(unique: "k", maxWaiting: bound), job(unique: "k", maxWaiting: bound)]),
          is: [.conflict(id), .conflict(id)])
      }
      try await checkNothingChanges(in: driver) {
        try await check(throws: .queueFull) {
          _ = try await driver.insert(job(unique: "other", maxWaiting: bound))
        }
        var other = job(maxWaiting: bound)
        other.idempotencyKey = IdempotencyKey()
        let refused = other
        try await check(throws: .queueFull) { _ = try await driver.insert(refused) }
        try await check(throws: .queueFull) {
          _ = try await driver.insert([
            job(unique: "k", maxWaiting: bound), job(unique: "other", maxWaiting: bound),
          ])
        }
      }
      // A refused key was not used up.
      try await driver.complete([try await driver.claimOne()])
      try await driver.insertNew(job(unique: "other", maxWaiting: bound))
    },
    ConformanceCase("theOldestJobsMakeRoomForNewOnes", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let bound = MaxWaiting.dropOldest(3)
      // The order of their ids counts, not the order in which they would run.
      let ids = try await driver.results(of: [
        job("1", unique: "k", priority: 9, maxWaiting: bound),
        job("2", due: .after(.seconds(9)), maxWaiting: bound),
        job("3", maxWaiting: bound),
      ]).map(\.id)
      try check(try await driver.failures(), is: [])
      let claimed = try await driver.claimOne()
      try check(claimed.id, is: ids[0])
      try await driver.insertNew(job("4", maxWaiting: bound))
      try check(try await driver.failures(), is: [])
      try await driver.insertNew(job("5", priority: 1, maxWaiting: bound))
      let failure = try require(try await driver.failures().first, "a failure")
      try check(
        failure,
        is: FailureRecord(
          id: failure.id, job: ids[1], kind: "a", reason: .dropped, message: bound.message,
          payload: Payload("2"),
          uniqueKey: nil, priority: 0, attempt: 1, failedAt: subject.clock.now().wall, isFinal: true,
          replayedAs: nil))
      // The job that waits again is the oldest one.
      try await driver.settle(claimed.lease, .released)
      try await driver.insertNew(job("6", maxWaiting: bound))
      try check(try await driver.failures().map(\.job), is: [ids[1], ids[0], ids[2]])
      try check(try await driver.failures().map(\.uniqueKey), is: [nil, "k", nil])
      let replayed = try await driver.replay([failure.id])
      guard case .replayed = replayed.first else { return try check(replayed, is: [.replayed(0)]) }
      try check(try await driver.texts(), is: ["5", "4", "6", "2"])
    },
    ConformanceCase("aCallMayDropItsOwnJobs", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("old", due: .after(.seconds(1))))
      let results = try await driver.results(of: (1...5).map { job("\($0)", maxWaiting: .dropOldest(2)) })
      try check(Set(results.map(\.id)).count, is: 5)
      try check(
        try await driver.failures().map { $0.payload?.text }, is: ["old", "1", "2", "3"])
      try check(try await driver.texts(), is: ["4", "5"])
    },
    ConformanceCase("aLowerMaximumIsReachedStepByStep", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(
        of: (0..<1510).map { job("\($0)", due: $0 % 7 == 0 ? .after(.seconds(5)) : .now) })
      let bound = MaxWaiting.dropOldest(10)
      for (dropped, left) in [(1001, 510), (1502, 10), (1503, 10)] {
        try await driver.insertNew(job("new", maxWaiting: bound))
        try check(try await driver.failures(LogQuery(limit: 5000)).count, is: dropped)
        try check(try await driver.jobs(matching: JobQuery(limit: 5000)).count, is: left)
      }
    },
    ConformanceCase("eachKindOfACallHasItsMaximum", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let b = { job($0, kind: "b", maxWaiting: .dropOldest(1)) }
      let a = { job($0, maxWaiting: .refuse(2)) }
      _ = try await driver.results(of: [b("1"), a("2"), b("3"), a("4")])
      try check(try await driver.failures().map { $0.payload?.text }, is: ["1"])
      try await checkNothingChanges(in: driver) {
        try await check(throws: .queueFull) { _ = try await driver.insert([b("5"), a("6")]) }
        try await check(throws: .invalidArgument) {
          _ = try await driver.insert([b("5"), job(kind: "b", maxWaiting: .refuse(1))])
        }
        for wrong in [
          MaxWaiting.refuse(0), .dropOldest(0), .refuse(-1), .dropOldest(.max), .refuse(1_000_000_001),
        ] {
          try await check(throws: .invalidArgument) { _ = try await driver.insert(job(maxWaiting: wrong)) }
        }
      }
    },
    ConformanceCase(
      "enqueuersAtOnceDoNotExceedTheMaximum", .jobsAreControlled, requires: [.control, .multiProcess]
    ) { subject in
      let first = try await subject.open()
      let second = try await subject.open()
      let stored = try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<24 {
          group.addTask {
            do {
              _ = try await (index % 2 == 0 ? first : second).insert([job(maxWaiting: .refuse(7))])
              return 1
            } catch let error as QudoError where error.code == .queueFull {
              return 0
            }
          }
        }
        return try await group.reduce(0, +)
      }
      try check(stored, is: 7)
      try check(try await second.find(exactly: 7).count, is: 7)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<24 {
          group.addTask {
            _ = try await (index % 2 == 0 ? first : second).insert([job(maxWaiting: .dropOldest(5))])
          }
        }
        try await group.waitForAll()
      }
      try check(try await first.find(exactly: 5).count, is: 5)
      try check(try await first.failures(LogQuery(limit: 100)).count, is: 26)
    },
  ]
}
