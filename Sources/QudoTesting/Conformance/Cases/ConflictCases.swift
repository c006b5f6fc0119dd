internal import Qudo

extension ConformanceSuite {
  static let keyConflicts: [ConformanceCase] = [
    ConformanceCase("aConflictIsRejectedOrKeptAsRequested", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("there", unique: UniqueKey("k")))
      try await checkNothingChanges(in: driver) {
        try check(try await driver.insert(job("new", unique: UniqueKey("k"), priority: 9)), is: .conflict(id))
        try check(
          try await driver.insert(job("new", unique: UniqueKey("k", onConflict: .keep), priority: 9)),
          is: .existing(id))
      }
    },
    ConformanceCase("oneConflictAffectsNoOtherJob", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("there", unique: UniqueKey("k")))
      let results = try await driver.results(of: [job("1"), job("no", unique: UniqueKey("k")), job("2")])
      try check(results[1], is: .conflict(id))
      try check(try await driver.jobs(matching: JobQuery()).map(\.payload.text), is: ["there", "1", "2"])
      try check(
        try await driver.jobs(matching: JobQuery()).map(\.id), is: [id, results[0].id, results[2].id])
    },
    ConformanceCase("overwritingWritesPayloadPriorityAndDueTime", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite)
      try await driver.insertNew(
        NewJob("a", payload: Payload([1], codec: .raw), unique: key, metadata: JobMetadata(bytes: [1])))
      var expected = try await driver.findOne()
      subject.clock.advance(by: .seconds(5))
      let now = subject.clock.now().wall
      let later = NewJob(
        "a", payload: Payload([2], codec: .json), unique: key, priority: 3, due: .after(.seconds(9)),
        metadata: JobMetadata(bytes: [2]))
      try check(try await driver.insert(later), is: .overwritten(expected.id))
      (expected.payload, expected.priority, expected.metadata) = (later.payload, 3, later.metadata)
      (expected.dueAt, expected.state) = (now.advanced(by: .seconds(9)), .delayed)
      try check(try await driver.findOne(), is: expected)
      try check(try await driver.insert(job("now", unique: key)), is: .overwritten(expected.id))
      (expected.payload, expected.priority, expected.metadata) = (Payload("now"), 0, JobMetadata())
      (expected.dueAt, expected.state) = (now, .ready)
      try check(try await driver.findOne(), is: expected)
      try check(try await driver.texts(), is: ["now"])
    },
    ConformanceCase("aJobMayOverwriteAnotherOfItsOwnBatch", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let results = try await driver.insert([
        job("before"), job("old", unique: UniqueKey("k")),
        job("new", unique: UniqueKey("k", onConflict: .overwrite), priority: 1), job("after"),
      ])
      try check(results.count, is: 4)
      try check(results[2], is: .overwritten(results[1].id))
      try check(try await driver.count(), is: [JobCount("a", ready: 3)])
      try check(try await driver.texts(), is: ["new", "before", "after"])
    },
    ConformanceCase("anOverwrittenJobTakesItsNewPlace", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite)
      _ = try await driver.insert([
        job("1"), job("2", unique: key), job("3"), job("4", due: .after(.seconds(1))),
      ])
      _ = try await driver.insert(job("first", unique: key, priority: 1))
      try check(try await driver.texts(demand(1)), is: ["first"])
      try check(try await driver.texts(), is: ["1", "3"])
    },
    ConformanceCase("overwritingLeavesARunningJobAlone", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite)
      let id = try await driver.insertNew(job("there", unique: key))
      let claimed = try await driver.claimOne()
      try await checkNothingChanges(in: driver) {
        try check(try await driver.insert(job("new", unique: key)), is: .conflict(id))
      }
      // Its worker may still settle it, so it does not count as waiting yet.
      subject.clock.advance(by: .seconds(60))
      try await checkNothingChanges(in: driver) {
        try check(try await driver.insert(job("new", unique: key)), is: .conflict(id))
      }
      try check(
        try await driver.settle(claimed.lease, .retry(after: .seconds(1), message: "")), is: .settled())
      try check(try await driver.insert(job("new", unique: key)), is: .overwritten(id))
      try check(try await driver.claim(demand()).jobs.map(\.attempt), is: [1])
    },
    ConformanceCase("overwritingBeginsAnew", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite)
      let id = try await driver.insertNew(job("old", unique: key))
      // One failed run, and one expired lease fewer than the limit.
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      for _ in 0..<2 {
        _ = try await driver.claimOne(demand(1, maxExpiredLeases: 3))
        subject.clock.advance(by: .seconds(61))
      }
      try check(try await driver.claim(demand(1, "b")).recovered, is: 1)
      try check(try await driver.findOne().attempt, is: 2)
      try check(try await driver.insert(job("new", unique: key)), is: .overwritten(id))
      for _ in 0..<2 {
        let claimed = try await driver.claimOne(demand(1, maxExpiredLeases: 3))
        try check(claimed.attempt, is: 1, "a new payload is new work")
        try check(claimed.payload.text, is: "new")
        subject.clock.advance(by: .seconds(61))
      }
      try check(
        try await driver.claimOne(demand(1, maxExpiredLeases: 3)).id, is: id,
        "its workers have died twice, not four times")
    },
    ConformanceCase("overwritingWithoutAConflictInserts", .keysAreUnique) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job(unique: UniqueKey("k", onConflict: .overwrite)))
      try await driver.insertNew(job(unique: UniqueKey("l", onConflict: .keep)))
    },
  ]

  static let debounced: [ConformanceCase] = [
    ConformanceCase("aDebouncedJobRunsOnceWithTheNewestPayload", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("1", unique: .debounced("k"), due: .after(.seconds(5))))
      for text in ["2", "3", "4", "5"] {
        subject.clock.advance(by: .seconds(4))
        try check(try await driver.texts(), is: [], "before \(text)")
        let now = subject.clock.now().wall
        try check(
          try await driver.insert(job(text, unique: .debounced("k"), due: .after(.seconds(5)))),
          is: .overwritten(id))
        try check(try await driver.findOne().dueAt, is: now.advanced(by: .seconds(5)))
      }
      subject.clock.advance(by: .seconds(5))
      let claimed = try await driver.claimOne()
      try check(claimed.payload.text, is: "5")
      // The run has begun: this is the next job, which does not touch it.
      let next = try await driver.insertNew(job("6", unique: .debounced("k"), due: .after(.seconds(5))))
      try await driver.settle(claimed.lease, .retry(after: .zero, message: ""))
      try check(
        try await driver.insert(job("7", unique: .debounced("k"), due: .after(.seconds(5)))),
        is: .overwritten(next))
      try check(try await driver.texts(), is: ["5"])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(), is: ["7"])
    },
    ConformanceCase("aDebouncedJobIsPutOffNoFurtherThanItsBound", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey.debounced("k", atMost: .seconds(12))
      let first = subject.clock.now().wall
      let id = try await driver.insertNew(job("0s", unique: key, due: .after(.seconds(5))))
      for (time, due) in [(4, 9), (8, 12), (11, 12)] {
        let passed = subject.clock.now().wall.microseconds - first.microseconds
        subject.clock.advance(by: .seconds(time) - .microseconds(passed))
        try check(
          try await driver.insert(job("\(time)s", unique: key, due: .after(.seconds(5)))),
          is: .overwritten(id))
        let found = try await driver.findOne()
        try check(found.dueAt, is: first.advanced(by: .seconds(due)), "\(time)s")
        try check(found.enqueuedAt, is: first)
      }
      // A bound of another enqueue, none, and a time.
      let at = UniqueKey("k", onConflict: .overwrite, maxDelay: .seconds(30))
      for (unique, due, expected) in [
        (.debounced("k", atMost: .seconds(13)), .after(.seconds(9)), 13),
        (.debounced("k"), .after(.seconds(9)), 20),
        (at, .at(first.advanced(by: .seconds(99))), 30), (at, .at(first.advanced(by: .seconds(25))), 25),
        (.debounced("k", atMost: .seconds(12)), .after(.seconds(1)), 12),
      ] as [(UniqueKey, Due, Int)] {
        try check(try await driver.insert(job("last", unique: unique, due: due)), is: .overwritten(id))
        try check(try await driver.findOne().dueAt, is: first.advanced(by: .seconds(expected)))
      }
      subject.clock.advance(by: .seconds(1))
      try check(try await driver.texts(), is: ["last"])
    },
    ConformanceCase("aDebouncedJobIsDueNowAfterItsBound", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey.debounced("k", atMost: .seconds(6))
      let id = try await driver.insertNew(job("old", unique: key, due: .after(.seconds(5))))
      // No worker came.
      subject.clock.advance(by: .seconds(10))
      let now = subject.clock.now().wall
      try check(
        try await driver.insert(job("new", unique: key, due: .after(.seconds(5)))), is: .overwritten(id))
      let found = try await driver.findOne()
      try check(found.dueAt, is: now, "neither later nor before jobs that became due until now")
      try check(found.state, is: .ready)
      // What asks for no delay is not put off.
      try check(try await driver.insert(job("now", unique: key)), is: .overwritten(id))
      try check(try await driver.insert(job("past", unique: key, due: .at(.earliest))), is: .overwritten(id))
      try check(try await driver.findOne().dueAt, is: .earliest)
      try check(try await driver.texts(), is: ["past"])
    },
    ConformanceCase("aBoundHoldsWithinOneBatchAndNotForRunningJobs", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite, maxDelay: .seconds(6))
      let now = subject.clock.now().wall
      let results = try await driver.results(of: [
        job("x"), job("1", unique: key, due: .after(.seconds(2))),
        job("2", unique: key, due: .after(.seconds(5))),
        job("3", unique: key, due: .at(now.advanced(by: .seconds(60)))), job("y", due: .after(.seconds(9))),
      ])
      try check(results[2], is: .overwritten(results[1].id))
      try check(results[3], is: .overwritten(results[1].id))
      let found = try await driver.jobs(matching: JobQuery()).first { $0.id == results[1].id }
      try check(found?.dueAt, is: now.advanced(by: .seconds(6)))
      try check(found?.payload.text, is: "3")
      subject.clock.advance(by: .seconds(6))
      try check(try await driver.texts(), is: ["x", "3"])
      try await checkNothingChanges(in: driver) {
        try check(
          try await driver.insert(job("4", unique: key, due: .after(.seconds(5)))),
          is: .conflict(results[1].id))
      }
    },
    ConformanceCase("aBoundThatCannotBeKeptIsRefused", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for (bound, due) in [
        (.seconds(-1), .now), (.seconds(5), .after(.seconds(6))), (.zero, .after(.microseconds(1))),
      ] as [(Duration, Due)] {
        try await check(throws: .invalidArgument) {
          _ = try await driver.insert([job("x"), job(unique: .debounced("k", atMost: bound), due: due)])
        }
      }
      try check(try await driver.count(), is: [])
      try await driver.insertNew(job(unique: .debounced("k", atMost: .zero)))
    },
  ]
}
