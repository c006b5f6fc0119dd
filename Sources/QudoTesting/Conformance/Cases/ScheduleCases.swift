internal import Qudo

extension ConformanceSuite {
  static let scheduling: [ConformanceCase] =
    storing + comingDue + advancing + overlapping + [
      ConformanceCase("schedulesAreRemoved", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
        let driver = try await subject.open().scheduling()
        try check(try await driver.removeSchedules([]), is: [])
        try check(try await driver.removeSchedules(["a"]), is: [false])
        try await driver.storeNew(["a", "b", "c"].map { schedule($0) })
        try check(try await driver.advance([tick("a", 1, [job("1")])]).numbers.count, is: 1)
        try check(try await driver.removeSchedules(["c", "d", "a"]), is: [true, false, true])
        try check(try await driver.schedules(nil).map(\.name), is: ["b"])
        // Its jobs stay.
        try check(try await driver.texts(), is: ["1"])
        try check(try await driver.advance([tick("a", 2)]), is: [.superseded])
        try check(try await driver.store([schedule("a", version: 2), schedule("c")]), is: [false, true])
      },
      ConformanceCase(
        "aTickOfARemovedScheduleIsNotOneOfItsSuccessor", .ticksAreEnqueuedOnce, requires: .schedules
      ) { subject in
        let driver = try await subject.open().scheduling()
        try await driver.storeNew([schedule("s")])
        let read = try await driver.schedules(nil)
        try check(try await driver.removeSchedules(["s"]), is: [true])
        subject.clock.advance(by: .milliseconds(1))
        try await driver.storeNew([schedule("s")])
        var late = tick("s", 1, [job("1")])
        late.changedAt = read.first?.changedAt
        try check(try await driver.advance([late]), is: [.superseded])
        late.changedAt = try await driver.schedules(nil).first?.changedAt
        try check(try await driver.advance([late]).numbers.count, is: 1)
      },
      ConformanceCase(
        "schedulesOutliveTheConnection", .ticksAreEnqueuedOnce, requires: [.schedules, .durable]
      ) { subject in
        let first = try await subject.open().scheduling()
        try await first.storeNew([fullSchedule(subject), schedule("b", next: subject.now)])
        let ids = try await first.advance([tick("b", 1, [job("1")], tick: subject.now)]).numbers
        let before = try await first.schedules(nil)
        await first.close()
        let second = try await subject.open().scheduling()
        try check(try await second.schedules(nil), is: before)
        try check(before.first { $0.name == "b" }?.lastJob, is: ids.first)
        try check(try await second.advance([tick("b", 1)]), is: [.superseded])
        try check(try await second.advance([tick("b", 2, skipsOverlap: true)]), is: [.overlapped])
        try check(try await second.jobs(matching: JobQuery()).map(\.id), is: ids)
      },
      ConformanceCase(
        "processesAgreeOnSchedules", .ticksAreEnqueuedOnce, requires: [.schedules, .multiProcess]
      ) { subject in
        let (one, other) = (try await subject.open().scheduling(), try await subject.open().scheduling())
        try check(try await other.schedules(nil), is: [])
        try await one.storeNew([schedule("s", next: subject.now)])
        let due = try await other.dueSchedules(after: nil, limit: 9).due
        try check(due, is: try await one.schedules(nil))
        let ids = try await other.advance([tick("s", 1, [job("1")], tick: subject.now)]).numbers
        try check(try await one.advance([tick("s", 1, [job("2")], tick: subject.now)]), is: [.superseded])
        try check(try await one.schedules(nil).map(\.lastJob), is: ids.map { Optional($0) })
        try check(try await one.texts(), is: ["1"])
        try check(try await one.advance([tick("s", 2, [job("3")], skipsOverlap: true)]), is: [.overlapped])
        try check(try await one.removeSchedules(["s"]), is: [true])
        try check(try await other.schedules(["s"]), is: [])
        try check(try await other.advance([tick("s", 3)]), is: [.superseded])
      },
      ConformanceCase("aTickRingsTheDoorbell", .waitersAreWoken, requires: .schedules) { subject in
        let driver = try await subject.open()
        let schedules = try driver.scheduling()
        try await schedules.storeNew([schedule("s")])
        try await checkRings(driver, "a tick") { _ = try await schedules.advance([tick("s", 1, [job()])]) }
        try await checkRings(driver, "the delayed job of a tick") {
          _ = try await schedules.advance([tick("s", 2, [job(due: .after(.seconds(9)))])])
        }
      },
      ConformanceCase(
        "aTickRingsTheDoorbellsOfOthers", .waitersAreWoken,
        requires: [.schedules, .multiProcess, .crossProcessWakeup]
      ) { subject in
        let (one, other) = (try await subject.open().scheduling(), try await subject.open())
        try await one.storeNew([schedule("s")])
        try await checkRing(other, "of a tick") { _ = try await one.advance([tick("s", 1, [job("x")])]) }
        try check(try await other.texts(), is: ["x"])
      },
      ConformanceCase("aClosedDriverRefusesSchedules", .contentionIsHidden, requires: .schedules) { subject in
        let driver = try await subject.open().scheduling()
        try await driver.storeNew([schedule("s")])
        await driver.close()
        try await check(throws: .closed, "schedules") { _ = try await driver.schedules(nil) }
        try await check(throws: .closed, "due") { _ = try await driver.dueSchedules(after: nil, limit: 1) }
        try await check(throws: .closed, "store") { _ = try await driver.store([schedule("t")]) }
        try await check(throws: .closed, "remove") { _ = try await driver.removeSchedules(["s"]) }
        try await check(throws: .closed, "advance") { _ = try await driver.advance([tick("s", 1)]) }
      },
    ]

  private static let storing: [ConformanceCase] = [
    ConformanceCase("aScheduleIsReadAsItWasStored", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open().scheduling()
      try check(try await driver.schedules(nil), is: [])
      try check(try await driver.store([]), is: [])
      var full = fullSchedule(subject)
      var plain = StoredSchedule(name: "plain", rule: "r", kind: "b")
      try await driver.storeNew([plain, full])
      (full.version, plain.version) = (1, 1)
      (full.changedAt, plain.changedAt) = (subject.now, subject.now)
      try check(try await driver.schedules(nil), is: [full, plain])
      // Each field takes the place of the old one.
      subject.clock.advance(by: .seconds(5))
      plain.name = full.name
      full.name = "plain"
      try check(try await driver.store([full, plain]), is: [true, true])
      (full.version, plain.version) = (2, 2)
      (full.changedAt, plain.changedAt) = (subject.now, subject.now)
      try check(try await driver.schedules(nil), is: [plain, full])
    },
    ConformanceCase("aScheduleIsWrittenOnlyAsItWasRead", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      try check(try await driver.store([schedule("s", version: 1)]), is: [false])
      try await driver.storeNew([schedule("s", rule: "1")])
      let stored = try await driver.schedules(nil)
      for wrong in [0, 2, -1] as [Int64] {
        subject.clock.advance(by: .seconds(1))
        try check(try await driver.store([schedule("s", rule: "2", version: wrong)]), is: [false])
        try check(try await driver.schedules(nil), is: stored)
      }
      // One that is refused keeps none of the others back.
      let results = try await driver.store([
        schedule("t", rule: "t"), schedule("s", rule: "3", version: 0), schedule("u", rule: "u", version: 7),
        schedule("v", rule: "v"),
      ])
      try check(results, is: [true, false, false, true])
      try check(try await driver.schedules(nil).map(\.rule), is: ["1", "t", "v"])
      try check(try await driver.store([schedule("s", rule: "4", version: 1)]), is: [true])
      try check(try await driver.store([schedule("s", rule: "5", version: 1)]), is: [false])
      try check(try await driver.store([schedule("s", rule: "6", version: 2)]), is: [true])
      let last = try require(try await driver.schedules(["s"]).first, "the schedule")
      try check(last.rule, is: "6")
      try check(last.version, is: 3)
    },
    ConformanceCase("schedulesComeInTheOrderOfTheirNames", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      // The order of bytes. The two texts that look like "é" are different names.
      let names = [
        "\u{1}", " ", "A", "A ", "B", "a", "a ", "aa", "e\u{301}", "z", "\u{e9}", "\u{ffff}", "\u{1F600}",
        String(repeating: "\u{1F601}", count: 63) + "abc",
      ]
      try await driver.storeNew(names.shuffled().map { schedule($0, next: subject.now) })
      func checkNames(_ found: [StoredSchedule], are expected: some Sequence<String>) throws {
        try check(found.map { Array($0.name.utf8) }, is: expected.map { Array($0.utf8) })
      }
      try checkNames(try await driver.schedules(nil), are: names)
      try checkNames(try await driver.schedules(names.reversed()), are: names)
      try checkNames(try await driver.schedules([]), are: [])
      try checkNames(
        try await driver.schedules(["z", "none", "a", "z", "e\u{301}"]), are: ["a", "e\u{301}", "z"])
      try checkNames(try await driver.dueSchedules(after: nil, limit: 99).due, are: names)
      for (index, name) in names.enumerated() {
        let after = try await driver.dueSchedules(after: name, limit: 2).due
        try checkNames(after, are: names.dropFirst(index + 1).prefix(2))
      }
      try check(try await driver.removeSchedules(["\u{e9}"]), is: [true])
      try checkNames(try await driver.schedules(nil), are: names.filter { Array($0.utf8) != [0xc3, 0xa9] })
    },
    ConformanceCase("aScheduleIsChecked", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open().scheduling()
      func wrong(_ change: (inout StoredSchedule) -> Void) -> StoredSchedule {
        var new = schedule("wrong")
        change(&new)
        return new
      }
      let tooLarge = driver.limits.payloadBytes + 1
      let all = [
        wrong { $0.name = "" }, wrong { $0.name = String(repeating: "n", count: 256) },
        wrong { $0.name = String(repeating: "é", count: 128) }, wrong { $0.name = "a\0" },
        wrong { $0.rule = "" }, wrong { $0.rule = String(repeating: "r", count: 2049) },
        wrong { $0.missed = String(repeating: "m", count: 65) },
        wrong { $0.reason = String(repeating: "r", count: 1025) },
        wrong { $0.kind = "" }, wrong { $0.kind = Kind(String(repeating: "k", count: 256)) },
        wrong { $0.priority = Limits.priorities.upperBound + 1 },
        wrong { $0.payload = Payload(Array(repeating: 1, count: tooLarge)) },
        wrong { $0.metadata["m"] = String(repeating: "m", count: tooLarge) },
        wrong { $0.name = "good" },
      ]
      for wrong in all {
        try await check(throws: .invalidArgument) {
          _ = try await driver.store([schedule("good"), wrong, schedule("other")])
        }
        try check(try await driver.schedules(nil), is: [])
      }
      var largest = schedule(String(repeating: "n", count: 255), rule: String(repeating: "r", count: 2048))
      largest.missed = String(repeating: "m", count: 64)
      largest.reason = String(repeating: "r", count: 1024)
      largest.kind = Kind(String(repeating: "k", count: 255))
      largest.payload = Payload(Array(repeating: 0xff, count: driver.limits.payloadBytes))
      var another = largest
      another.name = "another"
      try await driver.storeNew([largest, another])
      for index in [0, 1] {
        let new = try await driver.schedules(nil)[index]
        try check(new.payload, is: largest.payload)
        try check(
          [new.name, new.rule, new.missed, new.reason],
          is: [
            index == 0 ? another.name : largest.name, largest.rule, largest.missed, largest.reason,
          ])
      }
    },
  ]

  private static let comingDue: [ConformanceCase] = [
    ConformanceCase("aScheduleIsDueWhenItsTickHasCome", .ticksAreEnqueuedOnce, requires: .schedules) {
      subject in
      let driver = try await subject.open().scheduling()
      let start = subject.now
      try check(
        try await driver.dueSchedules(after: nil, limit: 9), is: DueSchedules(now: start, due: [], next: nil))
      func at(_ seconds: Int) -> Timestamp { start.advanced(by: .seconds(seconds)) }
      try await driver.storeNew([
        schedule("c", next: at(2)), schedule("a", next: at(3)), schedule("b", next: at(2)),
        schedule("never"), schedule("past", next: .earliest), schedule("last", next: .latest),
      ])
      func checkDue(_ names: [String], next: Timestamp, after name: String? = nil, limit: Int = 9)
        async throws
      {
        let found = try await driver.dueSchedules(after: name, limit: limit)
        try check(found.due.map(\.name), is: names)
        try check(found.next, is: next)
        try check(found.now, is: subject.now)
      }
      try await checkDue(["past"], next: at(2))
      subject.clock.advance(by: .microseconds(1_999_999))
      try await checkDue(["past"], next: at(2))
      subject.clock.advance(by: .microseconds(1))
      try await checkDue(["b", "c", "past"], next: at(3))
      subject.clock.advance(by: .seconds(2))
      try await checkDue(["a", "b", "c", "past"], next: .latest)
      // Pages. The next tick is that of all schedules.
      try await checkDue(["a", "b"], next: .latest, limit: 2)
      try await checkDue(["c", "past"], next: .latest, after: "b", limit: 2)
      try await checkDue([], next: .latest, after: "past", limit: 2)
      try await checkDue(["c", "past"], next: .latest, after: "bb")
      try await checkDue([], next: .latest, limit: 0)
      // What is due is the whole schedule.
      let due = try await driver.dueSchedules(after: nil, limit: 1).due
      try check(due, is: try await driver.schedules(["a"]))
    },
    ConformanceCase("aScheduleIsDueByTheWallClock", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open().scheduling()
      let next = subject.now.advanced(by: .seconds(60))
      try await driver.storeNew([schedule("s", next: next)])
      subject.clock.jump(by: .seconds(-3600))
      try check(try await driver.dueSchedules(after: nil, limit: 1).next, is: next)
      subject.clock.jump(by: .seconds(3660))
      try check(try await driver.dueSchedules(after: nil, limit: 1).due.map(\.name), is: ["s"])
    },
    ConformanceCase("manySchedulesAreDueAtOnce", .ticksAreEnqueuedOnce, requires: .schedules) { subject in
      let driver = try await subject.open().scheduling()
      let names = (1000..<2200).map { "schedule \($0)" }
      try await driver.storeNew(names.reversed().map { schedule($0, next: subject.now) })
      var (found, ids, after): ([String], Set<Int64>, String?) = ([], [], nil)
      while true {
        let due = try await driver.dueSchedules(after: after, limit: 500).due
        guard let last = due.last else { break }
        after = last.name
        found += due.map(\.name)
        let ticks = due.map { tick($0.name, $0.version, [job($0.name)], tick: subject.now) }
        ids.formUnion(try await driver.advance(ticks).numbers)
      }
      try check(found, is: names)
      try check(ids.count, is: names.count)
      let jobs = try await driver.jobs(matching: JobQuery(limit: 9999))
      try check(Set(jobs.map(\.id)), is: ids)
      try check(jobs.map(\.payload.text), is: names)
      let numbers = Dictionary(uniqueKeysWithValues: jobs.map { ($0.payload.text, $0.id) })
      for schedule in try await driver.schedules(nil) {
        try check(schedule.lastJob, is: numbers[schedule.name])
        try check(schedule.version, is: 2)
      }
      try check(try await driver.removeSchedules(names), is: names.map { _ in true })
    },
  ]

  static func schedule(
    _ name: String, rule: String = "r", next: Timestamp? = nil, version: Int64 = 0
  ) -> StoredSchedule {
    var new = StoredSchedule(name: name, rule: rule, kind: "a", nextTick: next)
    new.version = version
    return new
  }

  /// Returns a schedule with a value in each field.
  static func fullSchedule(_ subject: ConformanceSubject) -> StoredSchedule {
    var new = StoredSchedule(
      name: "full", rule: "cron 30 2 * * * é", kind: "k", payload: Payload([0, 39, 92, 255], codec: .json),
      priority: -3, missed: "all", skipsOverlap: true, nextTick: subject.now.advanced(by: .microseconds(7)))
    new.metadata["tenant"] = "7"
    (new.lastTick, new.lastJob) = (Timestamp(microseconds: -1), 12)
    (new.isPaused, new.reason) = (true, "'why'")
    return new
  }

  static func tick(
    _ name: String, _ version: Int64, _ jobs: [NewJob] = [], tick: Timestamp? = nil, next: Timestamp? = nil,
    skipsOverlap: Bool = false
  ) -> ScheduleTick {
    ScheduleTick(
      name: name, version: version, jobs: jobs, tick: tick, next: next, skipsOverlap: skipsOverlap)
  }
}

extension ConformanceSubject {
  var now: Timestamp { clock.now().wall }
}

extension ScheduleDriver {
  /// Stores schedules whose names are free.
  func storeNew(_ schedules: [StoredSchedule], file: String = #fileID, line: Int = #line)
    async throws
  {
    try check(try await store(schedules), is: schedules.map { _ in true }, "stored", file: file, line: line)
  }
}

extension TickResult {
  /// The numbers of the tick's jobs.
  var numbers: [Int64] { if case .enqueued(let numbers) = self { numbers } else { [] } }
}

extension Sequence<TickResult> {
  /// The numbers of the jobs of all ticks.
  var numbers: [Int64] { flatMap(\.numbers) }
}
