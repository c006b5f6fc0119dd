internal import Qudo

extension ConformanceSuite {
  static let filters: [ConformanceCase] = [
    ConformanceCase("jobsAreFoundByTheirMetadata", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      // The middle three have the bytes of the entry tenant=42, but not the entry.
      let length = "\0\0\0\u{6}tenant\0\0\0\u{2}42"
      let all: [JobMetadata] = [
        ["tenant": "42"], ["a": "tenant", "42": ""], ["a": length], [length: ""], ["tenant": "421"], [:],
        ["b": "c", "tenant": "42", "\u{E9}": "d"], ["tenant": "42", "b": "c", "": ""],
      ]
      var ids: [Int64] = []
      for metadata in all {
        var new = job("p")
        new.metadata = metadata
        ids.append(try await driver.insertNew(new))
      }
      func places(_ metadata: [String: String], after place: Int? = nil, limit: Int = 100) async throws
        -> [Int]
      {
        try await driver.jobs(
          matching: JobQuery(JobFilter(metadata: metadata), after: place.map { ids[$0] } ?? 0, limit: limit)
        ).compactMap { ids.firstIndex(of: $0.id) }
      }
      try check(try await places([:]), is: Array(0..<8))
      try check(try await places(["tenant": "42"]), is: [0, 6, 7])
      try check(try await places(["tenant": "42"], limit: 2), is: [0, 6], "the jobs between fill no page")
      try check(try await places(["tenant": "42"], after: 0, limit: 1), is: [6])
      try check(try await places(["tenant": "42"], limit: 0), is: [])
      try check(try await places(["tenant": "42", "b": "c"]), is: [6, 7])
      try check(try await places(["tenant": "42", "b": "d"]), is: [])
      try check(try await places(["42": ""]), is: [1])
      try check(try await places(["": ""]), is: [7])
      try check(try await places(["\u{E9}": "d"]), is: [6])
      try check(try await places(["e\u{301}": "d"]), is: [], "names are compared byte by byte")
      try check(try await places(["Tenant": "42"]), is: [])
      let tooLong = JobFilter(metadata: ["n": String(repeating: "t", count: 1024)])
      try await check(throws: .invalidArgument) { _ = try await driver.jobs(matching: JobQuery(tooLong)) }
      guard driver.capabilities.contains(.control) else { return }
      let control = try driver.control()
      let cancelled = try await control.cancel(
        matching: JobQuery(JobFilter(metadata: ["tenant": "42"]), limit: 2), reason: nil)
      try check(cancelled.map(\.id), is: [ids[0], ids[6]])
      try check(try await places([:]), is: [1, 2, 3, 4, 5, 7])
      let changed = try await control.change(
        matching: JobQuery(JobFilter(ids: Array(ids.reversed()), metadata: ["tenant": "42"])),
        JobChange(priority: 1))
      try check(changed.map(\.id), is: [ids[7]])
    },
    ConformanceCase(
      "jobsAreFoundByTheirConcurrencyKey", .listingsAreTrue, requires: [.concurrencyKeys, .control]
    ) { subject in
      let driver = try await subject.open()
      var ids: [Int64] = []
      for (kind, key) in [
        ("a", "k"), ("a", "k"), ("b", "k"), ("a", "K"), ("a", nil), ("a", "k/1"), ("a", "\u{E9}"),
      ] as [(Kind, String?)] {
        ids.append(try await driver.insertNew(NewJob(kind, concurrencyKey: key.map { ConcurrencyKey($0) })))
      }
      func places(_ key: String, kinds: [Kind]? = nil, states: Set<JobState>? = nil) async throws -> [Int] {
        try await driver.jobs(
          matching: JobQuery(JobFilter(kinds: kinds, states: states, concurrencyKey: key))
        ).compactMap { ids.firstIndex(of: $0.id) }
      }
      try check(try await places("k"), is: [0, 1, 2])
      try check(try await places("k", kinds: ["a"]), is: [0, 1])
      try check(try await places("k", kinds: ["a"], states: [.held]), is: [1])
      try check(try await places("K"), is: [3])
      try check(try await places("\u{E9}"), is: [6])
      try check(try await places("e\u{301}"), is: [], "keys are compared byte by byte")
      for invalid in ["", String(repeating: "k", count: 256), "k\0"] {
        try await check(throws: .invalidArgument) { _ = try await places(invalid) }
      }
      let cancelled = try await driver.control().cancel(
        matching: JobQuery(JobFilter(kinds: ["a"], concurrencyKey: "k")), reason: nil)
      try check(cancelled.map(\.id), is: [ids[0], ids[1]])
      try check(try await places("k"), is: [2])
    },
    ConformanceCase("jobsAreFoundByWhatIsInThem", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let start = subject.clock.now().wall
      func later(_ seconds: Int64) -> Timestamp { start.advanced(by: .seconds(seconds)) }
      var ids: [Int64] = []
      for (text, key, priority, delay) in [
        ("apple", "fruit/1", 5, 0), ("apple pie", "fruit/2", -5, 20), ("bread", nil, 0, 10),
        ("", "fruit", 7, 0),
        ("\u{E9}clair", "e\u{301}/1", 0, 0), ("cake", "Fruit/3", Int(Int32.max), 0),
      ] as [(String, String?, Int, Int64)] {
        let new = job(
          text, unique: key.map { UniqueKey($0) }, priority: priority,
          due: delay == 0 ? .now : .after(.seconds(delay)))
        ids.append(try await driver.insertNew(new))
        subject.clock.advance(by: .seconds(1))
      }
      try await driver.insertNew(NewJob("b", payload: Payload([0, 255, 0, 1]), unique: UniqueKey("fruit/9")))
      _ = try await driver.claimOne(demand(1, "b"))
      func found(_ filter: JobFilter, after: Int64 = 0, limit: Int = 100) async throws -> [String] {
        try await driver.jobs(matching: JobQuery(filter, after: after, limit: limit)).map {
          $0.kind == "b" ? "bytes" : $0.payload.text
        }
      }
      let all = ["apple", "apple pie", "bread", "", "\u{E9}clair", "cake", "bytes"]
      let cases: [(JobFilter, [String])] = [
        (JobFilter(), all),
        (JobFilter(uniqueKeyPrefix: "fruit/"), ["apple", "apple pie", "bytes"]),
        (JobFilter(uniqueKeyPrefix: "fruit"), ["apple", "apple pie", "", "bytes"]),
        (JobFilter(uniqueKeyPrefix: ""), ["apple", "apple pie", "", "\u{E9}clair", "cake", "bytes"]),
        (JobFilter(uniqueKeyPrefix: "e"), ["\u{E9}clair"]), (JobFilter(uniqueKeyPrefix: "\u{E9}"), []),
        (JobFilter(uniqueKeyPrefix: "%"), []), (JobFilter(uniqueKeyPrefix: "fruit/1x"), []),
        (JobFilter(priority: 5...7), ["apple", ""]), (JobFilter(priority: -5...(-5)), ["apple pie"]),
        (JobFilter(priority: .min...(.max)), all), (JobFilter(priority: 100...200), []),
        (JobFilter(priority: Int(Int32.max) + 1...(.max)), []),
        (JobFilter(priority: .min...Int(Int32.min)), []),
        (JobFilter(enqueuedAt: later(1)..<later(3)), ["apple pie", "bread"]),
        (JobFilter(enqueuedAt: later(1)..<later(1)), []),
        (JobFilter(dueAt: later(10)..<later(22)), ["apple pie", "bread"]),
        (JobFilter(dueAt: .earliest..<later(1)), ["apple"]),
        (JobFilter(payloadContains: Array("apple".utf8)), ["apple", "apple pie"]),
        (JobFilter(payloadContains: Array("pie".utf8)), ["apple pie"]), (JobFilter(payloadContains: []), all),
        (JobFilter(payloadContains: [255, 0]), ["bytes"]),
        (JobFilter(payloadContains: Array("APPLE".utf8)), []),
        (JobFilter(kinds: ["b"], uniqueKeyPrefix: "fruit"), ["bytes"]),
        (JobFilter(kinds: ["a"], states: [.delayed], uniqueKeyPrefix: "fruit"), ["apple pie"]),
        (JobFilter(states: [.running], payloadContains: [0]), ["bytes"]),
        (JobFilter(ids: [ids[0], ids[2], ids[4]], uniqueKeyPrefix: ""), ["apple", "\u{E9}clair"]),
        (JobFilter(uniqueKeyPrefix: "fruit", priority: 0...9, payloadContains: Array("pp".utf8)), ["apple"]),
      ]
      for (filter, expected) in cases { try check(try await found(filter), is: expected, "\(filter)") }
      try check(try await found(JobFilter(uniqueKeyPrefix: "fruit"), limit: 2), is: ["apple", "apple pie"])
      try check(
        try await found(JobFilter(uniqueKeyPrefix: "fruit"), after: ids[0]), is: ["apple pie", "", "bytes"])
      let tooLong = JobFilter(uniqueKeyPrefix: String(repeating: "k", count: 256))
      let tooMuch = JobFilter(payloadContains: Array(repeating: 1, count: 1025))
      for filter in [tooLong, tooMuch, JobFilter(uniqueKeyPrefix: "a\0")] {
        try await check(throws: .invalidArgument) { _ = try await driver.jobs(matching: JobQuery(filter)) }
      }
    },
    ConformanceCase("bulkVerbsTakeWhatIsInJobs", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(
        of: (0..<10).map { job("\($0)", unique: UniqueKey($0 < 6 ? "x\($0)" : "y\($0)"), priority: $0) }
      ).map(\.id)
      let running = try await driver.claimOne()
      try check(running.id, is: ids[9])
      var query = JobQuery(JobFilter(uniqueKeyPrefix: "x", priority: 1...8), limit: 2)
      try check(
        try await control.change(matching: query, JobChange(payload: Payload("new"))).map(\.id),
        is: [ids[1], ids[2]])
      query.after = ids[2]
      query.limit = 10
      try check(
        try await control.change(matching: query, JobChange(priority: 100)).map(\.id),
        is: [ids[3], ids[4], ids[5]])
      // They do not fit any more.
      try check(try await control.cancel(matching: query, reason: nil), is: [])
      query = JobQuery(JobFilter(payloadContains: Array("new".utf8)))
      try check(try await control.cancel(matching: query, reason: nil).map(\.id), is: [ids[1], ids[2]])
      query = JobQuery(JobFilter(uniqueKeyPrefix: "y"))
      try check(
        try await control.cancel(matching: query, reason: nil),
        is: [6, 7, 8].map { CancelledJob(id: ids[$0], result: .cancelled) } + [
          CancelledJob(id: ids[9], result: .cancelling)
        ])
      try check(try await driver.texts(), is: ["3", "4", "5", "0"])
      for filter in [JobFilter(uniqueKeyPrefix: String(repeating: "k", count: 256))] {
        try await check(throws: .invalidArgument) {
          _ = try await control.cancel(matching: JobQuery(filter), reason: nil)
        }
        try await check(throws: .invalidArgument) {
          _ = try await control.change(matching: JobQuery(filter), JobChange(due: .now))
        }
      }
    },
    ConformanceCase("failuresAreFoundByWhatIsInThem", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let start = subject.clock.now().wall
      for outcome in [
        .failed(message: "time-out of a.example"), .aborted(message: "no such user"),
        .retry(after: .seconds(3600), message: "Time-out of b.example"),
        .failed(message: "time-out of c.example"),
      ] as [Settlement.Outcome] {
        try await driver.insertNew(job("\(outcome)"))
        try await driver.settle(try await driver.claimOne().lease, outcome)
        subject.clock.advance(by: .seconds(1))
      }
      let rows = try await driver.failures()
      _ = try await driver.replay([rows[3].id])
      func found(_ filter: FailureFilter, ids: [Int64]? = nil) async throws -> [Int] {
        try await driver.failures(LogQuery(oldestFirst: true, ids: ids, failures: filter)).map { row in
          rows.firstIndex { $0.id == row.id } ?? -1
        }
      }
      let cases: [(FailureFilter, [Int])] = [
        (FailureFilter(), [0, 1, 2, 3]), (FailureFilter(reasons: [.aborted]), [1]),
        (FailureFilter(reasons: [.aborted, .lost]), [1]), (FailureFilter(reasons: []), []),
        (FailureFilter(isFinal: true), [0, 1, 3]), (FailureFilter(isFinal: false), [2]),
        (FailureFilter(isReplayed: true), [3]), (FailureFilter(isFinal: true, isReplayed: false), [0, 1]),
        (FailureFilter(failedAt: start.advanced(by: .seconds(1))..<start.advanced(by: .seconds(3))), [1, 2]),
        (FailureFilter(messageContains: "time-out"), [0, 3]),
        (FailureFilter(messageContains: ""), [0, 1, 2, 3]),
        (FailureFilter(messageContains: "%"), []),
        (FailureFilter(reasons: [.failed], messageContains: "b.ex"), [2]),
      ]
      for (filter, expected) in cases { try check(try await found(filter), is: expected, "\(filter)") }
      try check(try await found(FailureFilter(isFinal: true), ids: rows.prefix(3).map(\.id)), is: [0, 1])
      let page = LogQuery(limit: 1, offset: 1, failures: FailureFilter(isFinal: true))
      try check(try await driver.failures(page).map(\.id), is: [rows[1].id])
      let tooLong = FailureFilter(messageContains: String(repeating: "k", count: 1025))
      try await check(throws: .invalidArgument) { _ = try await driver.failures(LogQuery(failures: tooLong)) }
    },
  ]
}
