internal import Qudo

extension ConformanceSuite {
  static let advancing: [ConformanceCase] = [
    ConformanceCase(
      "aTickEnqueuesItsJobsAndMovesTheScheduleOn", .ticksAreEnqueuedOnce, requires: .schedules
    ) { subject in
      let driver = try await subject.open().scheduling()
      try check(try await driver.advance([]), is: [])
      let start = subject.now
      try await driver.storeNew([fullSchedule(subject), schedule("s", next: start)])
      var expected = try await driver.schedules(nil)
      let next = start.advanced(by: .seconds(60))
      subject.clock.advance(by: .seconds(1))
      let results = try await driver.advance([tick("s", 1, [job("1"), job("2")], tick: start, next: next)])
      try check(results, is: [.enqueued(results.numbers)])
      let jobs = try await driver.jobs(matching: JobQuery())
      try check(jobs.map(\.id), is: results.numbers)
      try check(jobs.map(\.payload.text), is: ["1", "2"])
      try check(jobs.map(\.enqueuedAt), is: [subject.now, subject.now])
      // A tick leaves the rest alone, and the time of the last change.
      expected[1].version = 2
      expected[1].nextTick = next
      expected[1].lastTick = start
      expected[1].lastJob = results.numbers.last
      try check(try await driver.schedules(nil), is: expected)
      try check(try await driver.dueSchedules(after: "f", limit: 9).next, is: next)
      // The last tick stays, and there is no next one.
      subject.clock.advance(by: .seconds(60))
      let last = try await driver.advance([tick("s", 2, [job("3")])]).numbers
      expected[1].version = 3
      expected[1].nextTick = nil
      expected[1].lastJob = last.first
      try check(try await driver.schedules(nil), is: expected)
      try check(try await driver.texts(), is: ["1", "2", "3"])
    },
    ConformanceCase("aTickWithoutJobsMovesTheScheduleOn", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      let start = subject.now
      try await driver.storeNew([schedule("s", next: start), schedule("t", next: start)])
      let first = try await driver.advance([tick("s", 1, [job("1")], tick: start)]).numbers
      let (second, third) = (start.advanced(by: .seconds(1)), start.advanced(by: .seconds(2)))
      let results = try await driver.advance([
        tick("s", 2, tick: second, next: third), tick("t", 1, tick: second, next: third, skipsOverlap: true),
      ])
      try check(results, is: [.enqueued([]), .enqueued([])])
      let found = try await driver.schedules(nil)
      try check(found.map(\.lastJob), is: [first.first, nil])
      try check(found.map(\.lastTick), is: [second, second])
      try check(found.map(\.nextTick), is: [third, third])
      try check(found.map(\.version), is: [3, 2])
      try check(try await driver.count(), is: [JobCount("a", ready: 1)])
    },
    ConformanceCase("aSupersededTickWritesNothing", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open()
      let schedules = try driver.scheduling()
      try await schedules.storeNew([schedule("s", next: subject.now), schedule("t", next: subject.now)])
      try check(try await schedules.store([schedule("s", rule: "new", version: 1)]), is: [true])
      let before = try await schedules.schedules(nil)
      try await checkNothingChanges(in: driver) {
        for (name, version) in [("s", 1), ("s", 0), ("s", 3), ("none", 0), ("none", 1), ("T", 1), ("t ", 1)]
          as [(String, Int64)]
        {
          for skips in [false, true] {
            let wrong = tick(name, version, [job("no")], tick: subject.now, skipsOverlap: skips)
            try check(try await schedules.advance([wrong]), is: [.superseded])
          }
        }
        try check(try await schedules.schedules(nil), is: before)
      }
      // It keeps no other tick of the call back. A schedule's second tick finds the first one's version.
      let results = try await schedules.advance([
        tick("s", 1, [job("no")]), tick("t", 1, [job("1")]), tick("none", 1, [job("no")]),
        tick("t", 1, [job("no")]), tick("s", 2, [job("2")]),
      ])
      try check(results.map(\.numbers.count), is: [0, 1, 0, 0, 1])
      try check([results[0], results[2], results[3]], is: [.superseded, .superseded, .superseded])
      try check(try await schedules.schedules(nil).map(\.version), is: [3, 2])
      try check(try await driver.texts(), is: ["1", "2"])
    },
    ConformanceCase("ifOneTicksJobIsRefusedNothingIsWritten", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open()
      let schedules = try driver.scheduling()
      try await schedules.storeNew([schedule("s"), schedule("t")])
      let before = try await schedules.schedules(nil)
      let tooLarge = Payload(Array(repeating: 1, count: driver.limits.payloadBytes + 1))
      for wrong in [NewJob("a", payload: tooLarge), job(kind: ""), job(due: .after(.seconds(-1)))] {
        try await checkNothingChanges(in: driver) {
          try await check(throws: .invalidArgument) {
            _ = try await schedules.advance([tick("s", 1, [job("1")]), tick("t", 1, [job("2"), wrong])])
          }
        }
        // Even if the schedule is not there.
        try await check(throws: .invalidArgument) {
          _ = try await schedules.advance([tick("none", 1, [wrong])])
        }
      }
      try check(try await schedules.schedules(nil), is: before)
    },
    ConformanceCase("theJobsOfATickAreLikeAnyOthers", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      try await driver.storeNew([schedule("s"), schedule("t")])
      let held = try await driver.insertNew(job("held", unique: "k"))
      let key = IdempotencyKey()
      var once = job("once", kind: "c")
      once.idempotencyKey = key
      var rich = job("rich", kind: "b", priority: 7, due: .after(.seconds(5)), expires: .after(.seconds(9)))
      rich.metadata["tenant"] = "7"
      rich.payload.codec = .json
      let first = try await driver.advance([
        tick("s", 1, [rich, once, job("no", unique: "k")]),
        tick("t", 1, [job("new", unique: UniqueKey("k", onConflict: .overwrite)), job(unique: "l"), once]),
      ])
      let numbers = first.numbers
      try check(first, is: [.enqueued(Array(numbers.prefix(3))), .enqueued(Array(numbers.dropFirst(3)))])
      try check([numbers[2], numbers[3], numbers[5]], is: [held, held, numbers[1]])
      // The last number counts, whatever the result was.
      try check(try await driver.schedules(nil).map(\.lastJob), is: [held, numbers[1]])
      let found = try require(
        try await driver.jobs(matching: JobQuery(JobFilter(ids: [numbers[0]]))).first, "the job")
      try check(found.kind, is: "b")
      try check(found.payload, is: rich.payload)
      try check(found.priority, is: 7)
      try check(found.metadata["tenant"], is: "7")
      try check(found.dueAt, is: subject.now.advanced(by: .seconds(5)))
      try check(found.expiresAt, is: subject.now.advanced(by: .seconds(9)))
      try check(try await driver.texts(), is: ["new", ""])
      try check(try await driver.advance([tick("s", 2, [once])]).numbers, is: [numbers[1]])
      try check(try await driver.jobs(matching: JobQuery()).count, is: 4)
    },
    ConformanceCase("ofManyWhoAdvanceAScheduleOneSucceeds", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let (one, other) = try await subject.openTwo()
      let names = ["s", "t", "u"]
      try await one.scheduling().storeNew(names.map { schedule($0, next: subject.now) })
      for version in 1...5 as ClosedRange<Int64> {
        let results = try await withThrowingTaskGroup(of: [TickResult].self) { group in
          for number in 0..<8 {
            let driver = try (number % 2 == 0 ? one : other).scheduling()
            // Each names them in another order.
            let order = number % 3 == 0 ? names : names.reversed()
            group.addTask {
              try await driver.advance(order.map { tick($0, version, [job("\($0) \(version)")]) })
            }
          }
          return try await group.reduce(into: []) { $0 += $1 }
        }
        try check(results.count(where: { $0 == .superseded }), is: 21)
        let jobs = try await one.jobs(matching: JobQuery())
        try check(Set(results.numbers), is: Set(jobs.map(\.id)))
        try check(jobs.map(\.payload.text).sorted(), is: names.map { "\($0) \(version)" })
        let stored = try await other.scheduling().schedules(nil)
        try check(stored.map(\.version), is: names.map { _ in version + 1 })
        try check(Set(stored.map(\.lastJob)), is: Set(jobs.map(\.id)))
        try await one.complete(try await one.claim(exactly: 3))
      }
      // The same holds for whoever writes schedules.
      let written = try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<8 {
          let driver = try (number % 2 == 0 ? one : other).scheduling()
          let (name, version): (String, Int64) = number < 4 ? ("s", 6) : ("new", 0)
          group.addTask {
            try await driver.store([schedule(name, rule: "\(number)", version: version)]).first == true
          }
        }
        return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
      }
      try check(written, is: 2)
    },
  ]

  static let overlapping: [ConformanceCase] = [
    ConformanceCase("aTickIsSkippedWhileTheLastJobIsThere", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      let start = subject.now
      try await driver.storeNew([schedule("s", next: start)])
      var version: Int64 = 1
      func advance(_ new: [NewJob] = [job("x")]) async throws -> TickResult {
        subject.clock.advance(by: .seconds(1))
        let next = subject.now.advanced(by: .seconds(60))
        let results = try await driver.advance([
          tick("s", version, new, tick: subject.now, next: next, skipsOverlap: true)
        ])
        version += 1
        let found = try require(try await driver.schedules(nil).first, "the schedule")
        try check(found.version, is: version)
        try check([found.lastTick, found.nextTick], is: [subject.now, next])
        return try require(results.first, "a result")
      }
      func checkOverlaps(_ what: String) async throws {
        let before = try await (driver.count(), driver.schedules(nil).map(\.lastJob))
        try check(try await advance(), is: .overlapped, what)
        try check(try await advance([]), is: .overlapped, what)
        try check(try await driver.count(), is: before.0, what)
        try check(try await driver.schedules(nil).map(\.lastJob), is: before.1, what)
      }
      func enqueue(_ jobs: NewJob...) async throws {
        try check([try await advance(jobs)].numbers.count, is: jobs.count)
      }
      try await enqueue(job("old"), job("new"))
      try await checkOverlaps("ready")
      let claimed = try await driver.claim(exactly: 2)
      try await checkOverlaps("running")
      // Only the last one counts.
      try await driver.complete([claimed[0]])
      try await driver.settle(claimed[1].lease, .retry(after: .seconds(1000), message: ""))
      try await checkOverlaps("retrying")
      subject.clock.advance(by: .seconds(1000))
      let again = try await driver.claimOne()
      try await driver.complete([again])
      try await enqueue(job("failing", due: .after(.seconds(2000))))
      try await checkOverlaps("delayed")
      subject.clock.advance(by: .seconds(2000))
      var jobs = try await driver.claim(demand()).jobs
      let failing = try require(jobs.firstIndex { $0.payload.text == "failing" }, "the job")
      try await driver.settle(jobs.remove(at: failing).lease, .failed(message: ""))
      try await driver.complete(jobs)
      try await enqueue(job("lost"))
      _ = try await driver.claimOne(demand(1, maxExpiredLeases: 1))
      subject.clock.advance(by: .seconds(61))
      try await checkOverlaps("with an expired lease")
      try check(try await driver.claim(demand()).givenUp.count, is: 1)
      try await enqueue()
      try await enqueue(job("last"))
    },
    ConformanceCase("onlySomeTicksAreSkipped", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open().scheduling()
      try await driver.storeNew(["s", "t", "u"].map { schedule($0) })
      let first = try await driver.advance([
        tick("s", 1, [job("1")], skipsOverlap: true), tick("t", 1, [job("2")], skipsOverlap: true),
        tick("u", 1, [job("3")], skipsOverlap: true),
      ]).numbers
      try check(first.count, is: 3)
      try await driver.complete(try await driver.claim(demand(1)).jobs)
      let results = try await driver.advance([
        tick("u", 2, [job("6")]), tick("s", 2, [job("4")], skipsOverlap: true),
        tick("t", 2, [job("5")], skipsOverlap: true),
      ])
      try check(results[2], is: .overlapped)
      let numbers = results.numbers
      try check(results.prefix(2), is: [.enqueued([numbers[0]]), .enqueued([numbers[1]])])
      try check(try await driver.schedules(nil).map(\.lastJob), is: [numbers[1], first[1], numbers[0]])
      try check(try await driver.texts(), is: ["2", "3", "6", "4"])
    },
  ]
}
