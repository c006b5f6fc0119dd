import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The failure log and the status log, against a real file.
@Suite struct LogTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func run(_ outcome: Settlement.Outcome, of kind: Kind = "a", recording: Duration? = nil)
    async throws
  {
    let claimed = try #require(try await driver.claim(demand(1, kind)).jobs.first)
    #expect(
      try await driver.settle([Settlement(claimed.lease, outcome, recording: recording)], claiming: nil)
        .results != [.leaseLost])
  }

  @Test func eachFailedRunIsLoggedWithItsPayload() async throws {
    _ = try await driver.insert([job("x", unique: UniqueKey("k"), priority: 7)])
    try await run(.retry(after: .zero, message: "one"))
    try await run(.aborted(message: "two"))
    let rows = try await driver.failures(LogQuery(oldestFirst: true))
    #expect(rows.map(\.message) == ["one", "two"] && rows.map(\.isFinal) == [false, true])
    #expect(rows.map(\.payload) == [Payload("x"), Payload("x")] && rows.map(\.attempt) == [1, 2])
    #expect(
      rows.map(\.reason) == [.failed, .aborted]
        && rows.allSatisfy { $0.uniqueKey == "k" && $0.priority == 7 && $0.job == 1 })
    #expect(rows.allSatisfy { $0.failedAt == clock.now().wall && $0.replayedAs == nil })
  }

  @Test func aLostJobIsLoggedAsLost() async throws {
    _ = try await driver.insert([job("x")])
    _ = try await driver.claim(demand(maxExpiredLeases: 1))
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand(maxExpiredLeases: 1))
    let rows = try await driver.failures(LogQuery())
    #expect(rows.map(\.reason) == [.lost] && rows.map(\.payload) == [Payload("x")])
  }

  @Test func runsThatEndTheJobOrFailAreRecordedIfAsked() async throws {
    _ = try await driver.insert((0..<7).map { job("\($0)", unique: UniqueKey("\($0)")) })
    let outcomes: [Settlement.Outcome] = [
      .completed(), .completed(replacements: [job(kind: "other")]),
      .retry(after: .seconds(1000), message: ""), .failed(message: ""),
      .aborted(message: ""), .snoozed(.seconds(1000)), .completed(),
    ]
    for (index, outcome) in outcomes.enumerated() {
      try await run(outcome, recording: index < 6 ? .milliseconds(1500) : nil)
    }
    let rows = try await driver.statuses(LogQuery(oldestFirst: true))
    #expect(rows.map(\.status) == [.completed, .replaced, .failed, .failed, .aborted])
    #expect(
      rows.map(\.payload) == (0..<5).map { Payload("\($0)") }
        && rows.map(\.uniqueKey) == (0..<5).map { "\($0)" })
    #expect(
      rows.allSatisfy {
        $0.endedAt == clock.now().wall && $0.startedAt == $0.endedAt.advanced(by: .milliseconds(-1500))
      })
  }

  @Test func aStaleSettleRecordsNothing() async throws {
    _ = try await driver.insert([job()])
    let lease = try await driver.claim(demand()).jobs[0].lease
    clock.advance(by: .seconds(61))
    _ = try await driver.claim(demand())
    _ = try await driver.settle(
      [Settlement(lease, .failed(message: ""), recording: .seconds(1))], claiming: nil)
    #expect(try await driver.statuses(LogQuery()).isEmpty)
    #expect(try await driver.failures(LogQuery()).isEmpty)
  }

  private func logged() async throws {
    for number in 1...6 {
      let kind: Kind = number % 2 == 0 ? "even" : "odd"
      _ = try await driver.insert([job("\(number)", kind: kind)])
      try await run(.failed(message: "\(number)"), of: kind, recording: .zero)
    }
  }

  @Test func theLogsArePagedAndFilteredByKindAndId() async throws {
    try await logged()
    func failures(_ query: LogQuery) async throws -> [Int64] { try await driver.failures(query).map(\.id) }
    for query in [
      (LogQuery(limit: 2), [6, 5]), (LogQuery(limit: 2, offset: 2), [4, 3]),
      (LogQuery(oldestFirst: true, limit: 2, offset: 4), [5, 6]),
      (LogQuery(kinds: ["odd"]), [5, 3, 1]),
      (LogQuery(kinds: ["odd", "even", "none"], limit: 3), [6, 5, 4]), (LogQuery(kinds: []), []),
      (LogQuery(kinds: ["none"]), []), (LogQuery(ids: [9, 2, 5, 2, 1]), [5, 2, 1]),
      (LogQuery(limit: 1, offset: 1, ids: [2, 5, 1]), [2]),
      (LogQuery(kinds: ["even"], ids: [2, 5]), [2]), (LogQuery(ids: []), []), (LogQuery(limit: 0), []),
      (LogQuery(limit: -1), []),
      (LogQuery(limit: .max, offset: -3), [6, 5, 4, 3, 2, 1]), (LogQuery(offset: .max), []),
      (LogQuery(limit: .min, offset: .min), []),
      (LogQuery(oldestFirst: true, limit: .max, ids: Array(-1000...1000)), [1, 2, 3, 4, 5, 6]),
    ] as [(LogQuery, [Int64])] {
      #expect(try await driver.failures(query.0).map(\.id) == query.1)
      #expect(try await driver.statuses(query.0).map(\.id) == query.1)
    }
  }

  @Test func aReplayIsAFirstAttemptWithAllThatTheJobHad() async throws {
    let original = NewJob(
      "a", payload: Payload([1, 0, 2], codec: .json), unique: UniqueKey("k"), priority: 5,
      metadata: JobMetadata(bytes: [9]))
    _ = try await driver.insert([original])
    try await run(.retry(after: .zero, message: "one"))
    try await run(.failed(message: "two"))
    clock.advance(by: .seconds(5))
    #expect(
      try await driver.replay([1, 2, 2, 3]) == [.notFinal, .replayed(2), .alreadyReplayed(2), .notFound])
    #expect(try await driver.failures(LogQuery(ids: [2])).map(\.replayedAs) == [2])
    let again = try await driver.claim(demand()).jobs[0]
    #expect(
      again.payload == original.payload && again.priority == 5 && again.uniqueKey == "k"
        && again.metadata.bytes == [9])
    #expect(again.attempt == 1 && again.dueAt == clock.now().wall && again.id == 2)
    #expect(try await driver.insert([original]) == [.conflict(2)])
  }

  @Test func aReplayThatConflictsCanBeDoneLater() async throws {
    _ = try await driver.insert([job("old", unique: UniqueKey("k"))])
    try await run(.failed(message: ""))
    _ = try await driver.insert([job("new", unique: UniqueKey("k"))])
    #expect(try await driver.replay([1]) == [.conflict(2)])
    try await run(.completed())
    #expect(try await driver.replay([1]) == [.replayed(3)])
  }

  @Test func aReplayHoldsItsKeyAsLongAsTheFirstEnqueueDid() async throws {
    let key = UniqueKey("k", scope: .untilStarted)
    _ = try await driver.insert([job(unique: key)])
    try await run(.failed(message: ""))
    #expect(try await driver.replay([1]) == [.replayed(2)])
    #expect(try await driver.insert([job(unique: key)]) == [.conflict(2)])
    _ = try await driver.claim(demand())
    #expect(try await driver.insert([job(unique: key)]) == [.inserted(3)])
  }

  @Test func pruningTakesTheOldestThatFit() async throws {
    for number in 1...6 {
      _ = try await driver.insert([job("\(number)")])
      try await run(.failed(message: ""), recording: .zero)
      clock.advance(by: .seconds(10))
    }
    func left() async throws -> [[Int64]] {
      [
        try await driver.failures(LogQuery(oldestFirst: true)).map(\.id),
        try await driver.statuses(LogQuery(oldestFirst: true)).map(\.id),
      ]
    }
    #expect(try await driver.prune(PruneOptions(before: clock.now().wall.advanced(by: .seconds(-60)))) == 0)
    #expect(
      try await driver.prune(PruneOptions(before: clock.now().wall.advanced(by: .seconds(-30)), limit: 2))
        == 4)
    #expect(try await left() == [[3, 4, 5, 6], [3, 4, 5, 6]])
    #expect(
      try await driver.prune(PruneOptions(before: clock.now().wall.advanced(by: .seconds(-30)), keep: 3)) == 2
    )
    #expect(try await driver.prune(PruneOptions(before: clock.now().wall.advanced(by: .seconds(-30)))) == 0)
    #expect(try await driver.prune(PruneOptions(limit: 0)) == 0)
    #expect(try await driver.prune(PruneOptions(limit: -1)) == 0)
    #expect(try await driver.prune(PruneOptions(keep: .max)) == 0)
    #expect(try await left() == [[4, 5, 6], [4, 5, 6]])
    #expect(try await driver.prune(PruneOptions(keep: 1, limit: .max)) == 4)
    #expect(try await driver.prune(PruneOptions(keep: .min)) == 2)
    #expect(try await left() == [[], []])
  }

}
