import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite(
  "Perl: exception_list({limit 10, offset 0, funcs}, db?); job_status_list({limit 10, offset 0, funcs}, db?)")
struct LogParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  private func failing(_ kinds: Kind...) throws -> Worker<NoHooks> {
    try my.worker(
      kinds.map { kind in
        handler(kind, log, policy: policy { $0.recordsStatus = true }) { throw Abort($0.text) }
      })
  }

  private func run(_ jobs: [NewJob]) async throws {
    try await my.queue.enqueue(jobs)
    #expect(try await failing("a", "b").workUntilEmpty().failed == jobs.count)
  }

  @Test func aFailureHasMessagePayloadAndKey() async throws {
    try await my.queue.enqueue(NewJob("a", payload: Payload("arg"), unique: UniqueKey("uniqkey")))
    #expect(try await my.worker([handler("a", log) { _ in throw Broken() }]).workOnce())
    let rows = try await my.driver.failures(LogQuery())
    #expect(
      rows.map(\.message) == ["Broken()"] && rows.map(\.payload) == [Payload("arg")]
        && rows.map(\.uniqueKey) == ["uniqkey"])
    #expect(
      rows.map(\.kind) == ["a"] && rows.map(\.job) == [1] && rows.map(\.failedAt) == [my.clock.now().wall])
  }

  @Test func failuresArePagedNewestOrOldestFirst() async throws {
    try await run((1...12).map { NewJob("a", payload: Payload("\($0)")) })
    func messages(_ query: LogQuery) async throws -> [String] {
      try await my.driver.failures(query).map(\.message)
    }
    #expect(try await messages(LogQuery()) == (3...12).reversed().map { "\($0)" })
    #expect(try await messages(LogQuery(oldestFirst: true)) == (1...10).map { "\($0)" })
    #expect(try await messages(LogQuery(oldestFirst: true, limit: 1)) == ["1"])
    #expect(try await messages(LogQuery(oldestFirst: true, limit: 1, offset: 1)) == ["2"])
    #expect(try await messages(LogQuery(limit: 5, offset: 10)) == ["2", "1"])
  }

  @Test func statusesArePagedNewestOrOldestFirst() async throws {
    try await run((1...12).map { NewJob("a", payload: Payload("\($0)")) })
    func payloads(_ query: LogQuery) async throws -> [Payload] {
      try await my.driver.statuses(query).map(\.payload)
    }
    #expect(try await payloads(LogQuery()) == (3...12).reversed().map { Payload("\($0)") })
    #expect(
      try await payloads(LogQuery(oldestFirst: true, limit: 2, offset: 3)) == [Payload("4"), Payload("5")])
  }

  @Test func bothAreListedByKind() async throws {
    try await run([
      NewJob("a", payload: Payload("1")), NewJob("b", payload: Payload("2")),
      NewJob("a", payload: Payload("3")),
    ])
    for (kinds, ids) in [
      (nil, [3, 2, 1]), (["a"], [3, 1]), (["b"], [2]), (["a", "b"], [3, 2, 1]), (["none"], []),
    ] as [([Kind]?, [Int64])] {
      #expect(try await my.driver.failures(LogQuery(kinds: kinds)).map(\.id) == ids)
      #expect(try await my.driver.statuses(LogQuery(kinds: kinds)).map(\.id) == ids)
    }
  }

  @Test func aStatusIsKeptForKindsThatAskOnly() async throws {
    let recorded = policy { $0.recordsStatus = true }
    try await my.queue.enqueue(
      ["a", "b", "c", "d", "e"].map {
        NewJob(Kind($0), payload: Payload("arg"), unique: UniqueKey("uniqkey"))
      })
    let clock = my.clock
    try await my.worker([
      handler("a", log), handler("b", log, policy: recorded) { _ in clock.advance(by: .seconds(2)) },
      handler("c", log, policy: recorded) { _ in throw Broken() },
      handler("d", log, policy: recorded) { try $0.abort("no") },
      handler("e", log, policy: recorded) { $0.replace(with: [NewJob("a")]) },
    ]).workUntilEmpty()
    let rows = try await my.driver.statuses(LogQuery(oldestFirst: true))
    #expect(
      rows.map(\.kind) == ["b", "c", "d", "e"]
        && rows.map(\.status) == [.completed, .failed, .aborted, .replaced])
    #expect(rows.allSatisfy { $0.payload == Payload("arg") && $0.uniqueKey == "uniqkey" })
    #expect(rows[0].endedAt.microseconds - rows[0].startedAt.microseconds == 2_000_000)
  }
}
