internal import Qudo

/// A job of a kind with a group.
private func grouped(
  _ text: String, _ group: String?, kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0,
  due: Due = .now, key: ConcurrencyKey? = nil
) -> NewJob {
  var new = job(text, kind: kind, unique: unique, priority: priority, due: due)
  (new.group, new.concurrencyKey) = (group, key)
  return new
}

/// Jobs of a group whose texts are the group's name and a number from 1 on.
private func grouped(_ group: String, _ count: Int, priority: Int = 0) -> [NewJob] {
  (1...count).map { grouped("\(group)\($0)", group, priority: priority) }
}

extension Driver {
  fileprivate func group(of id: Int64) async throws -> String? {
    try await findOne(JobQuery(ids: [id])).group
  }
}

extension ConformanceSuite {
  static let groups: [ConformanceCase] = turns + changedGroups + storedGroups

  private static let turns: [ConformanceCase] = [
    ConformanceCase("groupsTakeTurns", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 6))
      subject.clock.advance(by: .seconds(10))
      let now = subject.clock.now().wall
      _ = try await driver.results(of: grouped("B", 3))
      let jobs = try await driver.claim(exactly: 3, demand(3))
      try check(jobs.map(\.payload.text), is: ["A1", "B1", "A2"])
      // Its place is not its due time.
      try check(jobs[1].dueAt, is: now)
      // One that comes later begins where the others are.
      _ = try await driver.results(of: grouped("C", 2) + grouped("D", 1))
      try check(try await driver.texts(), is: ["B2", "C1", "D1", "A3", "B3", "C2", "A4", "A5", "A6"])
    },
    ConformanceCase("manyJobsOfAGroupHoldUpNoOther", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 500))
      subject.clock.advance(by: .seconds(60))
      _ = try await driver.results(of: grouped("B", 10))
      var texts: [String] = []
      for _ in 0..<7 { texts += try await driver.texts(demand(3)) }
      try check(texts.filter { $0.hasPrefix("B") }, is: (1...10).map { "B\($0)" })
      // Whoever had nothing to do meanwhile has no advantage.
      _ = try await driver.results(of: grouped("B", 3) + grouped("C", 3))
      texts = try await driver.texts(demand(9))
      try check(texts.filter { $0.hasPrefix("C") }.count, is: 3, "\(texts)")
      try check(texts.filter { $0.hasPrefix("B") }.count, is: 3, "\(texts)")
    },
    ConformanceCase("jobsWithoutAGroupAreOneMore", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 3))
      subject.clock.advance(by: .seconds(10))
      let ids = try await driver.results(of: (1...20).map { job("none\($0)") } + grouped("B", 2)).map(\.id)
      try check(
        try await driver.texts(demand(8)),
        is: ["A1", "none1", "B1", "A2", "none2", "B2", "A3", "none3"])
      try check(try await driver.group(of: ids[5]), is: nil)
      // Other kinds have nothing to do with it.
      _ = try await driver.results(of: [job("b1", kind: "b"), job("b2", kind: "b")])
      try check(try await driver.texts(demand(9, "b")), is: ["b1", "b2"])
    },
    ConformanceCase("turnsAreTakenWithinAPriority", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 3) + grouped("B", 1))
      subject.clock.advance(by: .seconds(1))
      _ = try await driver.results(of: grouped("C", 2, priority: 5) + grouped("D", 1, priority: 5))
      try check(try await driver.texts(), is: ["C1", "D1", "C2", "A1", "B1", "A2", "A3"])
    },
    ConformanceCase("turnsAreTakenAcrossClaimsOfSeveralKinds", .groupsTakeTurns, requires: .groups) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [job("x", kind: "b")] + grouped("A", 3) + grouped("B", 2))
      subject.clock.advance(by: .seconds(1))
      _ = try await driver.results(of: [job("y", kind: "b")])
      try check(try await driver.texts(demand(3, "a", "b")), is: ["x", "A1", "B1"])
      try check(try await driver.texts(demand(9, "a", "b")), is: ["A2", "B2", "A3", "y"])
    },
    ConformanceCase("aDelayedJobTakesItsTurnWhenItIsDue", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 3) + [grouped("B1", "B", due: .after(.seconds(5)))])
      try check(try await driver.texts(demand(1)), is: ["A1"])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(), is: ["A2", "B1", "A3"])
    },
    ConformanceCase("aRetriedJobGoesBehindTheOthersOfItsGroup", .groupsTakeTurns, requires: .groups) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 2) + grouped("B", 2))
      try await driver.settle(try await driver.claimOne().lease, .retry(after: .zero, message: ""))
      try check(try await driver.texts(), is: ["B1", "A2", "B2", "A1"])
    },
    ConformanceCase("aJobThatIsRetriedAtOnceLetsOthersBegin", .groupsTakeTurns, requires: .groups) {
      subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 1) + grouped("B", 3))
      var texts: [String] = []
      for _ in 0..<6 {
        let job = try await driver.claimOne()
        texts.append(job.payload.text)
        let outcome: Settlement.Outcome =
          job.payload.text == "A1" ? .retry(after: .zero, message: "") : .completed()
        try await driver.settle(job.lease, outcome)
      }
      try check(texts, is: ["A1", "B1", "A1", "B2", "A1", "B3"])
    },
    ConformanceCase("aJobThatDidNotBeginKeepsItsTurn", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 2))
      subject.clock.advance(by: .seconds(10))
      _ = try await driver.results(of: grouped("B", 2))
      let jobs = try await driver.claim(exactly: 2, demand(2))
      try await driver.settle(jobs[0].lease, .released)
      try check(try await driver.release([jobs[1].lease]), is: [.settled()])
      try check(try await driver.texts(demand(1)), is: ["A1"])
      // Its worker dies.
      subject.clock.advance(by: .seconds(61))
      try check(try await driver.texts(), is: ["A1", "B1", "A2", "B2"])
    },
    ConformanceCase(
      "anAdmittedJobTakesItsTurn", .groupsTakeTurns, requires: [.groups, .concurrencyKeys]
    ) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: [
        grouped("A1", "A", key: "k"), grouped("A2", "A", key: "k"), grouped("A3", "A"),
        grouped("B1", "B"), grouped("B2", "B"),
      ])
      try check(try await driver.states(), is: [.ready, .held, .ready, .ready, .ready])
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.texts(), is: ["B1", "A3", "B2", "A2"])
    },
    ConformanceCase("turnsOutliveTheProcess", .groupsTakeTurns, requires: [.groups, .durable]) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 3) + [grouped("late", "C", due: .after(.seconds(5)))])
      await driver.close()
      let again = try await subject.open()
      subject.clock.advance(by: .seconds(70))
      _ = try await again.results(of: grouped("B", 2))
      try check(try await again.texts(), is: ["A1", "late", "B1", "A2", "B2", "A3"])
    },
    ConformanceCase("turnsAreThoseOfAllProcesses", .groupsTakeTurns, requires: [.groups, .multiProcess]) {
      subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.results(of: [job("first", kind: "b")])
      _ = try await other.texts(demand(1, "b"))
      _ = try await one.results(of: grouped("A", 3))
      _ = try await other.results(of: grouped("B", 2))
      try check(try await one.texts(demand(2)), is: ["A1", "B1"])
      _ = try await other.results(of: grouped("C", 1))
      _ = try await one.results(of: [job("none")])
      try check(try await other.texts(), is: ["A2", "B2", "C1", "none", "A3"])
    },
  ]

  private static let changedGroups: [ConformanceCase] = [
    ConformanceCase("anOverwriteGivesAJobAnotherGroup", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      let unique = UniqueKey("u", onConflict: .overwrite)
      let ids = try await driver.results(
        of: [grouped("A1", "A", unique: unique)] + grouped("B", 2) + [grouped("A2", "A")]
      ).map(\.id)
      try check(try await driver.insert(grouped("B3", "B", unique: unique)), is: .overwritten(ids[0]))
      try check(try await driver.group(of: ids[0]), is: "B")
      try check(try await driver.texts(), is: ["B1", "B2", "A2", "B3"])
      let none = try await driver.results(of: [
        grouped("A3", "A", unique: UniqueKey("v", onConflict: .overwrite)), grouped("A4", "A"),
      ]).map(\.id)
      _ = try await driver.results(of: [job("none", unique: UniqueKey("v", onConflict: .overwrite))])
      try check(try await driver.group(of: none[0]), is: nil)
      try check(try await driver.texts(), is: ["none", "A4"])
    },
    ConformanceCase(
      "aChangedPriorityOrDueTimeIsAnotherTurn", .groupsTakeTurns, requires: [.groups, .control]
    ) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: grouped("A", 3) + grouped("B", 2)).map(\.id)
      let control = try driver.control()
      // A new payload leaves it where it is.
      try check(
        try await control.change([ids[0]], JobChange(priority: 0, payload: Payload("A1 again"))),
        is: [.changed])
      try check(try await control.change([ids[2]], JobChange(priority: 1)), is: [.changed])
      try check(try await control.change([ids[1]], JobChange(due: .now)), is: [.changed])
      try check(try await driver.texts(), is: ["A3", "A1 again", "B1", "B2", "A2"])
    },
    ConformanceCase("aJobThatRunsNowTakesItsTurn", .groupsTakeTurns, requires: [.groups, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(
        of: grouped("A", 2) + [grouped("B1", "B", due: .after(.seconds(60))), grouped("A3", "A")]
      ).map(\.id)
      try check(try await driver.control().change([ids[2]], JobChange(due: .now)), is: [.changed])
      try check(try await driver.texts(), is: ["A1", "B1", "A2", "A3"])
    },
    ConformanceCase("aCancelledJobLeavesItsGroup", .groupsTakeTurns, requires: [.groups, .control]) {
      subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: grouped("A", 3) + grouped("B", 2)).map(\.id)
      let control = try driver.control()
      try check(
        try await control.cancel([ids[0], ids[2], ids[4]], reason: nil),
        is: [.cancelled, .cancelled, .cancelled])
      try check(try await driver.states(), is: [.ready, .ready])
      try check(try await driver.texts(), is: ["B1", "A2"])
      // The groups are as if they had never been.
      subject.clock.advance(by: .seconds(61))
      try check(
        try await control.cancel(matching: JobQuery(kinds: ["a"]), reason: nil).map(\.result),
        is: [.cancelled, .cancelled])
      _ = try await driver.results(of: [job("1"), job("2")])
      try check(try await driver.texts(), is: ["1", "2"])
    },
    ConformanceCase("aReplayKeepsItsGroup", .logsAreKept, requires: [.groups, .control]) { subject in
      let driver = try await subject.open()
      let waiting = try await driver.results(of: grouped("A", 1) + grouped("B", 3)).map(\.id)
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      _ = try await driver.control().cancel([waiting[3]], reason: nil)
      let results = try await driver.replay(try await driver.failures().map(\.id))
      let ids = results.compactMap { if case .replayed(let id) = $0 { id } else { nil } }
      try check(ids.count, is: 2)
      for (id, group) in zip(ids, ["A", "B"]) { try check(try await driver.group(of: id), is: group) }
      try check(try await driver.texts(), is: ["B1", "A1", "B2", "B3"])
    },
  ]

  private static let storedGroups: [ConformanceCase] = [
    ConformanceCase("jobsAreFoundByTheirGroup", .listingsAreTrue, requires: [.groups, .control]) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [
        grouped("1", "g"), grouped("2", "g", due: .after(.seconds(9))), grouped("3", "g", kind: "b"),
        grouped("4", "G"), job("5"), grouped("6", "\u{E9}"), grouped("7", "g", key: "k"),
      ]).map(\.id)
      func places(_ group: String, kinds: [Kind]? = nil, states: Set<JobState>? = nil) async throws -> [Int] {
        try await driver.jobs(matching: JobQuery(JobFilter(kinds: kinds, states: states, group: group)))
          .compactMap { ids.firstIndex(of: $0.id) }
      }
      try check(try await places("g"), is: [0, 1, 2, 6])
      try check(try await places("g", kinds: ["a"], states: [.ready]), is: [0, 6])
      try check(try await places("G"), is: [3])
      try check(try await places("\u{E9}"), is: [5])
      try check(try await places("e\u{301}"), is: [], "names are compared byte by byte")
      for invalid in ["", String(repeating: "g", count: 256), "g\0"] {
        try await check(throws: .invalidArgument) { _ = try await places(invalid) }
      }
      _ = try await driver.claim(exactly: 5)
      try check(try await places("g", states: [.running]), is: [0, 6])
      try check(
        try await driver.jobs(matching: JobQuery()).map(\.group),
        is: ["g", "g", "g", "G", nil, "\u{E9}", "g"])
      let cancelled = try await driver.control().cancel(
        matching: JobQuery(JobFilter(states: [.delayed], group: "g")), reason: nil)
      try check(cancelled.map(\.id), is: [ids[1]])
    },
    ConformanceCase("groupsAreComparedAsBytes", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      let long = String(repeating: "g", count: 255)
      let names = ["caf\u{e9}", "cafe\u{301}", long]
      _ = try await driver.results(of: names.flatMap { name in (1...2).map { grouped("\($0)", name) } })
      try check(try await driver.texts(), is: ["1", "1", "1", "2", "2", "2"])
    },
    ConformanceCase("aRepeatedEnqueueOfAGroupIsDoneOnce", .enqueuesCanBeRepeated, requires: .groups) {
      subject in
      let driver = try await subject.open()
      var first = grouped("A1", "A")
      first.idempotencyKey = IdempotencyKey()
      let id = try await driver.insertNew(first)
      first.group = "B"
      try check(try await driver.insert(first), is: .existing(id))
      try check(try await driver.group(of: id), is: "A")
    },
    ConformanceCase("replacementsHaveGroups", .groupsTakeTurns, requires: .groups) { subject in
      let driver = try await subject.open()
      _ = try await driver.results(of: grouped("A", 3))
      try await driver.settle(
        try await driver.claimOne().lease,
        .completed(replacements: [grouped("B1", "B"), grouped("A4", "A")]))
      try check(try await driver.texts(), is: ["A2", "B1", "A3", "A4"])
    },
    ConformanceCase("invalidGroupsAreRefused", .payloadsAreExact, requires: .groups) { subject in
      let driver = try await subject.open()
      try await checkNothingChanges(in: driver) {
        for group in ["", "a\0b", String(repeating: "g", count: 256)] {
          try await check(throws: .invalidArgument) {
            _ = try await driver.insert([job(), grouped("", group)])
          }
        }
      }
    },
  ]
}
