internal import Qudo

extension ConformanceSuite {
  static let replacements: [ConformanceCase] = [
    ConformanceCase("aReplacementMayCarryTheJobsOwnKey", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k")
      let old = try await driver.insertNew(job("old", unique: key))
      let claimed = try await driver.claimOne()
      let result = try await driver.settle(claimed.lease, .completed(replacements: [job("new", unique: key)]))
      guard case .settled(let replaced) = result, case .inserted(let new)? = replaced.first else {
        throw ConformanceFailure(file: #fileID, line: #line, message: "expected a new job, found \(result)")
      }
      try check(new, isAbove: old)
      try check(try await driver.findOne().payload.text, is: "new")
      try check(try await driver.insert(job(unique: key)), is: .conflict(new))
    },
    ConformanceCase("aConflictingReplacementKeepsTheOtherJob", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      let other = try await driver.insertNew(job("other", kind: "b", unique: UniqueKey("k")))
      try await driver.insertNew(job("old"))
      let claimed = try await driver.claimOne()
      let replacements = [
        job("rejected", kind: "b", unique: UniqueKey("k")), job("new", kind: "b", unique: UniqueKey("free")),
        job("kept", kind: "b", unique: UniqueKey("k", onConflict: .keep)),
        job("again", kind: "b", unique: UniqueKey("free")),
      ]
      let result = try await driver.settle(claimed.lease, .completed(replacements: replacements))
      let new = try require(try await driver.jobs(matching: JobQuery()).last, "a new job")
      try check(
        result,
        is: .settled(replacements: [.conflict(other), .inserted(new.id), .existing(other), .conflict(new.id)])
      )
      try check(try await driver.jobs(matching: JobQuery()).map(\.payload.text), is: ["other", "new"])
    },
    ConformanceCase("aReplacementMayOverwrite", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      let other = try await driver.insertNew(job("other", kind: "b", unique: UniqueKey("k")))
      try await driver.insertNew(job("old"))
      let claimed = try await driver.claimOne()
      let replacement = job("written over", kind: "b", unique: UniqueKey("k", onConflict: .overwrite))
      try check(
        try await driver.settle(claimed.lease, .completed(replacements: [replacement])),
        is: .settled(replacements: [.overwritten(other)]))
      try check(try await driver.findOne().payload.text, is: "written over")
    },
    ConformanceCase("aReplacementIsAnOrdinaryJob", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("old"))
      let claimed = try await driver.claimOne()
      subject.clock.advance(by: .seconds(1))
      let now = subject.clock.now().wall
      var new = job("new", kind: "b", unique: UniqueKey("k"), priority: -4, due: .after(.seconds(7)))
      new.metadata = JobMetadata(bytes: [9])
      try await driver.settle(claimed.lease, .completed(replacements: [new]))
      let found = try await driver.findOne()
      let expected = StoredJob(
        id: found.id, kind: "b", state: .delayed, payload: new.payload, uniqueKey: "k", priority: -4,
        attempt: 1, enqueuedAt: now,
        dueAt: now.advanced(by: .seconds(7)), leaseExpiresAt: nil, metadata: JobMetadata(bytes: [9]))
      try check(found, is: expected)
    },
    ConformanceCase("ifOneReplacementIsRefusedNothingIsWritten", .settlingIsAtomic) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job(), job()])
      let leases = try await driver.claim(exactly: 2).map(\.lease)
      try await checkNothingChanges(in: driver) {
        try await check(throws: .invalidArgument) {
          let refused = Settlement.Outcome.completed(replacements: [job(), job(kind: "")])
          _ = try await driver.settle(
            [Settlement(leases[0], .failed(message: "")), Settlement(leases[1], refused)], claiming: demand())
        }
      }
      try check(
        try await driver.settle(leases.map { Settlement($0, .completed()) }, claiming: nil).results,
        is: [.settled(), .settled()])
    },
  ]
}
