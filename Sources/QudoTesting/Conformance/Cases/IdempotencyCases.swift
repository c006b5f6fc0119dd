internal import Qudo

extension ConformanceSuite {
  static let idempotency: [ConformanceCase] = [
    ConformanceCase("anEnqueueUnderTheSameKeyIsDoneOnce", .enqueuesCanBeRepeated) { subject in
      let (one, other) = try await subject.openTwo()
      let id = try await one.insertNew(once("x", 1))
      for driver in [one, other, one] {
        try check(try await driver.insert(once("again", 1)), is: .existing(id))
        try check(
          try await driver.insert(NewJob("b", idempotencyKey: key(1))), is: .existing(id),
          "keys are unique per database, not per kind")
      }
      let second = try await other.insertNew(once("y", 2))
      try check(second, isAbove: id)
      try check(try await one.texts(), is: ["x", "y"])
    },
    ConformanceCase("aReceiptOutlivesItsJobButNotItsTime", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(once("x", 1))
      try check(try await driver.insert(once("x", 1)), is: .existing(id), "while it waits")
      let claimed = try await driver.claimOne()
      try check(try await driver.insert(once("x", 1)), is: .existing(id), "while it runs")
      try await driver.complete([claimed])
      subject.clock.advance(by: .microseconds(86_399_999_999))
      try check(
        try await driver.insert(once("x", 1)), is: .existing(id), "a microsecond before 24 hours have passed")
      try check(try await driver.count(), is: [])
      subject.clock.advance(by: .microseconds(1))
      let new = try await driver.insertNew(once("new", 1))
      try check(new, isAbove: id)
      try check(try await driver.insert(once("x", 1)), is: .existing(new))
      try check(try await driver.texts(), is: ["new"])
    },
    ConformanceCase("keysCountWithinABatchToo", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      let there = try await driver.insertNew(once("there", 9))
      let batch = [job("1"), once("2", 1), once("no", 9), once("no", 1), job("3"), once("4", 2)]
      for turn in 0..<2 {
        let results = try await driver.results(of: batch)
        let ids = results.map(\.id)
        let isNew = turn == 0
        try check(results[1], is: isNew ? .inserted(ids[1]) : .existing(ids[1]))
        try check(results[2...3] == [.existing(there), .existing(ids[1])], "the first job of each key")
        try check(results[5], is: isNew ? .inserted(ids[5]) : .existing(ids[5]))
        try check(try await driver.texts(), is: isNew ? ["there", "1", "2", "3", "4"] : ["1", "3"])
      }
    },
    ConformanceCase("aRepetitionMeetsNoUniqueKey", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      for (number, policy) in [UniqueKey.Conflict.reject, .keep, .overwrite].enumerated() {
        var new = once("\(number)", UInt8(number))
        new.unique = UniqueKey("\(number)", onConflict: policy)
        let id = try await driver.insertNew(new)
        new.payload = Payload("again")
        try await checkNothingChanges(in: driver) {
          try check(try await driver.insert(new), is: .existing(id), "\(policy)")
        }
      }
    },
    ConformanceCase("aKeptOrOverwritingEnqueueIsDoneOnceToo", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("there", unique: UniqueKey("k")))
      var kept = once("kept", 1)
      kept.unique = UniqueKey("k", onConflict: .keep)
      var overwritten = once("overwritten", 2)
      overwritten.unique = UniqueKey("k", onConflict: .overwrite)
      var refused = once("refused", 3)
      refused.unique = UniqueKey("k")
      try check(
        try await driver.results(of: [kept, overwritten, refused]),
        is: [.existing(id), .overwritten(id), .conflict(id)])
      try check(
        try await driver.results(of: [kept, overwritten, refused]),
        is: [.existing(id), .existing(id), .conflict(id)])
      try await driver.complete([try await driver.claimOne()])
      try check(
        try await driver.results(of: [kept, overwritten]), is: [.existing(id), .existing(id)],
        "after it is done")
      try check(try await driver.insertNew(refused) > id, "an id for the job that conflicted before")
    },
    ConformanceCase("ofManyWithOneKeyOneIsDone", .enqueuesCanBeRepeated) { subject in
      let (one, other) = try await subject.openTwo()
      let results = try await withThrowingTaskGroup(of: InsertResult.self) { group in
        for number in 0..<60 {
          let driver = number % 2 == 0 ? one : other
          group.addTask { try await driver.insert(once("\(number)", 1)) }
        }
        return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
      }
      let id = try await one.findOne().id
      try check(results, is: [.inserted(id): 1, .existing(id): 59])
    },
    ConformanceCase("replacementsMayHaveKeys", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("old"))
      let there = try await driver.insertNew(once("there", 1))
      let claimed = try await driver.claimOne()
      let result = try await driver.settle(
        claimed.lease, .completed(replacements: [once("no", 1), once("new", 2)]))
      let new = try require(try await driver.jobs(matching: JobQuery()).last, "the new job").id
      try check(result, is: .settled(replacements: [.existing(there), .inserted(new)]))
      try check(try await driver.insert(once("no", 2)), is: .existing(new))
    },
    ConformanceCase("aRejectedEnqueueLeavesNoReceipt", .enqueuesCanBeRepeated) { subject in
      let driver = try await subject.open()
      try await check(throws: .invalidArgument) {
        _ = try await driver.insert([once("x", 1), job(kind: "")])
      }
      try await driver.insertNew(once("x", 1))
    },
    ConformanceCase("receiptsOutliveTheConnection", .enqueuesCanBeRepeated, requires: .durable) { subject in
      let first = try await subject.open()
      let id = try await first.insertNew(once("x", 1))
      await first.close()
      try check(try await subject.open().insert(once("x", 1)), is: .existing(id))
    },
  ]

  private static func key(_ number: UInt8) -> IdempotencyKey? {
    IdempotencyKey(bytes: [UInt8](repeating: 0, count: 15) + [number])
  }

  private static func once(_ text: String, _ number: UInt8) -> NewJob {
    NewJob("a", payload: Payload(text), idempotencyKey: key(number))
  }
}
