internal import Qudo

extension ConformanceSuite {
  static let failureLog: [ConformanceCase] = [
    ConformanceCase("everyFailedRunIsLoggedWithItsPayload", .logsAreKept) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("x", unique: UniqueKey("k"), priority: -2))
      var expected: [FailureRecord] = []
      for attempt in 1...3 {
        let claimed = try await driver.claimOne()
        subject.clock.advance(by: .seconds(1))
        let message = "failure \(attempt)"
        try await driver.settle(
          claimed.lease, attempt < 3 ? .retry(after: .zero, message: message) : .failed(message: message))
        let logged = try require(try await driver.failures().last, "a failure")
        expected.append(
          FailureRecord(
            id: logged.id, job: id, kind: "a", reason: .failed, message: message,
            payload: Payload("x"),
            uniqueKey: "k", priority: -2, attempt: attempt, failedAt: subject.clock.now().wall,
            isFinal: attempt == 3, replayedAs: nil))
        try check(try await driver.failures(), is: expected)
      }
    },
    ConformanceCase("retriedRunsShowThePayloadThatTheyHad", .logsAreKept, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(NewJob("a", payload: Payload("one")))
      let other = try await driver.insertNew(NewJob("b", payload: Payload([])))
      let changes: [Payload?] = [
        nil, nil, Payload("two"), nil, Payload(Array("two".utf8), codec: .json), Payload("one"), Payload([]),
        nil,
      ]
      var (payload, expected) = (Payload("one"), [Payload?]())
      for change in changes {
        if let change {
          payload = change
          try check(try await control.change([id], JobChange(payload: change)), is: [.changed])
        }
        for kind in ["a", "b"] as [Kind] {
          let claimed = try await driver.claimOne(demand(1, kind))
          try await driver.settle(claimed.lease, .retry(after: .zero, message: ""))
          expected.append(kind == "a" ? payload : Payload([]))
        }
      }
      let all = LogQuery(oldestFirst: true, limit: 100)
      try check(try await driver.failures(all).map(\.payload), is: expected)
      // They do so when the jobs are gone.
      for kind in ["a", "b"] as [Kind] {
        try await driver.complete([try await driver.claimOne(demand(1, kind))])
      }
      let rows = try await driver.failures(all)
      try check(rows.map(\.payload), is: expected)
      try check(rows.filter { $0.job == other }.count, is: changes.count)
      try check(try await driver.replay([rows[0].id]), is: [.notFinal])
      for row in rows {
        try check(try await driver.failures(LogQuery(ids: [row.id])), is: [row])
      }
      // The row that stored what a later one shows may be pruned first.
      try check(try await driver.prune(PruneOptions(limit: 1)), is: 1)
      try check(try await driver.failures(all).map(\.payload).prefix(3), is: [Payload([]), nil, Payload([])])
    },
    ConformanceCase("anAbortIsLoggedAsAFailure", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      try await driver.settle(try await driver.claimOne().lease, .aborted(message: "never"))
      let failure = try require(try await driver.failures().first, "a failure")
      try check(failure.reason, is: .aborted)
      try check(failure.message, is: "never")
      try check(failure.payload, is: Payload("x"))
      try check(failure.isFinal, is: true)
    },
    ConformanceCase("messagesComeBackUnchanged", .logsAreKept) { subject in
      let driver = try await subject.open()
      let messages = ["", "'\"; --", "e\u{301}", "two\nlines", "a\0b", String(repeating: "🦩", count: 4096)]
      _ = try await driver.insert(messages.map { job($0) })
      let jobs = try await driver.claim(demand()).jobs
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, .failed(message: $0.payload.text)) }, claiming: nil)
      try check(
        try await driver.failures().map { Array($0.message.utf8) }, is: messages.map { Array($0.utf8) })
    },
    ConformanceCase("theFailureLogIsListedInPagesByKindAndById", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(12, driver)
      let ids = try await driver.failures(LogQuery(oldestFirst: true, limit: 100)).map(\.id)
      func listed(_ query: LogQuery) async throws -> [Int64] { try await driver.failures(query).map(\.id) }
      try await checkPages(ids, listed)
    },
    ConformanceCase("logPagesStayStableWhileRowsComeAndGo", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(9, driver)
      let ids = try await driver.failures().map(\.id)
      var (newest, oldest) = (Int64?.none, Int64?.none)
      var (down, up) = ([Int64](), [Int64]())
      for page in 0..<3 {
        let (below, above) = (
          try await driver.failures(LogQuery(limit: 3, after: newest)),
          try await driver.failures(LogQuery(oldestFirst: true, limit: 3, after: oldest))
        )
        down += below.map(\.id)
        up += above.map(\.id)
        (newest, oldest) = (below.last?.id, above.last?.id)
        try await fail(1, driver)
        // Prune two of the oldest rows, which the first page has already listed.
        if page == 0 { try check(try await driver.prune(PruneOptions(limit: 2)) > 0, is: true) }
      }
      try check(down, is: Array(ids.reversed().prefix(7)), "newest first; the oldest two were pruned")
      try check(up, is: ids, "oldest first")
    },
  ]

  /// Fails jobs of the kinds a and b, alternately.
  static func fail(_ count: Int, _ driver: any LogDriver) async throws {
    for number in 0..<count {
      try await driver.insertNew(job("\(number)", kind: number % 2 == 0 ? "a" : "b"))
      try await driver.settle(
        try await driver.claimOne(demand(1, "a", "b")).lease, .failed(message: "\(number)"), recording: .zero)
    }
  }

  /// - Parameter ids: the ids of twelve rows, alternately of the kinds a and b, oldest first.
  static func checkPages(_ ids: [Int64], _ listed: (LogQuery) async throws -> [Int64]) async throws {
    try check(ids, is: ids.sorted())
    try check(ids.count, is: 12)
    let newest = Array(ids.reversed())
    try check(try await listed(LogQuery()), is: Array(newest.prefix(10)), "the first page")
    try check(try await listed(LogQuery(limit: 5, offset: 5)), is: Array(newest[5..<10]))
    try check(try await listed(LogQuery(offset: 10)), is: Array(newest.suffix(2)))
    try check(try await listed(LogQuery(offset: 99)), is: [])
    try check(try await listed(LogQuery(limit: 0)), is: [])
    try check(try await listed(LogQuery(oldestFirst: true, limit: 3, offset: 1)), is: Array(ids[1..<4]))
    let ofB = ids.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    try check(try await listed(LogQuery(kinds: ["b"])), is: ofB.reversed())
    try check(
      try await listed(LogQuery(kinds: ["b"], oldestFirst: true, limit: 2, offset: 2)), is: Array(ofB[2..<4]))
    try check(
      try await listed(LogQuery(kinds: ["b", "never seen", "a"], oldestFirst: true, limit: 99)), is: ids)
    try check(try await listed(LogQuery(kinds: ["never seen"])), is: [])
    try check(try await listed(LogQuery(kinds: [])), is: [])
    try check(try await listed(LogQuery(ids: [ids[3], ids[0], 9999])), is: [ids[3], ids[0]])
    try check(try await listed(LogQuery(ids: [])), is: [])
    try check(
      try await listed(LogQuery(limit: 3, after: newest[2])), is: Array(newest[3..<6]), "the page after a row"
    )
    try check(try await listed(LogQuery(oldestFirst: true, limit: 3, after: ids[2])), is: Array(ids[3..<6]))
    try check(try await listed(LogQuery(after: ids[0])), is: [])
    try check(try await listed(LogQuery(oldestFirst: true, after: .min)), is: Array(ids.prefix(10)))
    try check(try await listed(LogQuery(limit: 1, offset: 1, after: newest[2])), is: [newest[4]])
    try check(
      try await listed(LogQuery(kinds: ["b"], oldestFirst: true, after: ofB[3])), is: Array(ofB[4...]))
    try check(
      try await listed(LogQuery(ids: [ids[3], ids[0], ids[7]], after: ids[7])), is: [ids[3], ids[0]])
    try check(try await listed(LogQuery(kinds: ["a"], ids: [ids[3], ids[0]])), is: [ids[0]])
  }
}
