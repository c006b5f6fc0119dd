internal import Qudo

extension ConformanceSuite {
  static let uniqueKeys: [ConformanceCase] = [
    ConformanceCase("aKeyIsHeldWhateverTheJobWaitsFor", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k")
      let id = try await driver.insertNew(job(unique: key))
      func held(_ what: String) async throws {
        try check(try await driver.insert(job(unique: key)), is: .conflict(id), what)
      }
      try await held("ready")
      for outcome in [
        .retry(after: .zero, message: ""), .retry(after: .seconds(1), message: ""), .snoozed(.seconds(1)),
        .released,
      ] as [Settlement.Outcome] {
        let claimed = try await driver.claimOne()
        try await held("running")
        try await driver.settle(claimed.lease, outcome)
        try await held("after \(outcome)")
        subject.clock.advance(by: .seconds(1))
      }
      _ = try await driver.claimOne()
      subject.clock.advance(by: .seconds(60))
      try await held("its lease expired")
      _ = try await driver.claim(demand(1, "b"))
      try await held("its lease was recovered")
    },
    ConformanceCase("aKeyIsFreeWhenTheJobIsFinished", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for outcome in [.completed(), .failed(message: ""), .aborted(message: "")] as [Settlement.Outcome] {
        try await driver.insertNew(job(unique: UniqueKey("k")))
        try await driver.settle(try await driver.claimOne().lease, outcome)
      }
      try await driver.insertNew(job(unique: UniqueKey("k")))
      _ = try await driver.claim(demand(maxExpiredLeases: 1))
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.claim(demand())
      try await driver.insertNew(job(unique: UniqueKey("k")))
    },
    ConformanceCase("aKeyIsHeldWithinOneBatchAndByOtherConnections", .keysAreUnique) { subject in
      let (one, other) = try await subject.openTwo()
      let key = UniqueKey("k")
      let results = try await one.results(of: [job("1", unique: key), job("2", unique: key), job("3")])
      try check(results[1], is: .conflict(results[0].id))
      try check(try await one.jobs(matching: JobQuery()).map(\.payload.text), is: ["1", "3"])
      try check(try await other.insert(job(unique: key)), is: .conflict(results[0].id))
    },
    ConformanceCase("aKeyIsPerKind", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for kind in ["a", "b", "A", "a "] as [Kind] {
        try await driver.insertNew(job(kind: kind, unique: UniqueKey("k")))
      }
    },
    ConformanceCase("jobsWithoutAKeyNeverConflict", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for _ in 0..<3 { try await driver.insertNew(job("same")) }
    },
    ConformanceCase("keysAreComparedAsBytes", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for key in lookAlikes {
        let id = try await driver.insertNew(job(unique: UniqueKey(key)))
        try check(try await driver.insert(job(unique: UniqueKey(key))), is: .conflict(id))
      }
      let found = try await driver.jobs(matching: JobQuery()).map { Array(($0.uniqueKey ?? "").utf8) }
      try check(found, is: lookAlikes.map { Array($0.utf8) })
    },
    ConformanceCase("kindsAreComparedAsBytes", .keysAreUnique) { subject in
      let driver = try await subject.open()
      for kind in lookAlikes { try await driver.insertNew(job(kind: Kind(kind), unique: UniqueKey("k"))) }
      try check(try await driver.count().map(\.kind).sorted(), is: lookAlikes.map { Kind($0) }.sorted())
      for kind in lookAlikes.map({ Kind($0) }) {
        try check(try await driver.count([kind]), is: [JobCount(kind, ready: 1)])
        try check(try await driver.findOne(JobQuery(kinds: [kind])).kind, is: kind)
        try check(try await driver.claim(demand(99, kind)).jobs.map(\.kind), is: [kind])
      }
    },
    ConformanceCase("aKeyCanEndWithTheFirstClaim", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", scope: .untilStarted)
      let first = try await driver.insertNew(job("1", unique: key))
      try check(try await driver.insert(job(unique: key)), is: .conflict(first))
      let claimed = try await driver.claimOne()
      try check(claimed.uniqueKey, is: "k")
      let second = try await driver.insertNew(job("2", unique: key, due: .after(.seconds(9))))
      try check(try await driver.insert(job(unique: key)), is: .conflict(second))
      // The first job does not take the key again, whatever its outcome.
      try await driver.settle(claimed.lease, .retry(after: .zero, message: ""))
      let again = try await driver.claimOne()
      try check(again.id, is: first)
      try check(again.uniqueKey, is: "k")
      try await driver.settle(again.lease, .released)
      try check(try await driver.insert(job(unique: key)), is: .conflict(second))
    },
    ConformanceCase("aRetriedJobDoesNotTakeItsKeyAgain", .keysAreUnique) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", scope: .untilStarted)
      for outcome in [.retry(after: .seconds(1), message: ""), .snoozed(.seconds(1)), .released]
        as [Settlement.Outcome]
      {
        let old = try await driver.insertNew(job(unique: key))
        try await driver.settle(try await driver.claimOne().lease, outcome)
        let new = try await driver.insertNew(job(unique: key))
        try check(try await driver.jobs(matching: JobQuery()).map(\.id), is: [old, new])
        subject.clock.advance(by: .seconds(1))
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
  ]

  /// Texts that a careless comparison would confuse.
  private static let lookAlikes = [
    "\u{E9}", "e\u{301}", "e", "E", "e ", " e", "ｅ", "e\u{200B}",
    "e'", "e\"", "e%", "e_", "e\n", "🦩", "1", "1.0", "01",
  ]
}
