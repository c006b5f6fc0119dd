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
}
