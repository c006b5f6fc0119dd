import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite("Perl: replace(jobs): new jobs and completion in one transaction")
struct ReplaceParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  @Test func aJobIsReplacedByOthers() async throws {
    try await my.queue.enqueue(NewJob("a", unique: UniqueKey("uniqkey")))
    let worker = try my.worker([
      handler("a", log) { context in
        context.replace(with: [
          NewJob("b", payload: Payload("arg"), priority: 2),
          NewJob("c", unique: UniqueKey("k"), due: .after(.seconds(9))),
        ])
        try context.replace(with: Note(text: "typed"))
      }
    ])
    #expect(try await worker.workUntilEmpty().completed == 1)
    let jobs = try await my.driver.jobs(matching: JobQuery())
    #expect(
      jobs.map(\.kind) == ["b", "c", "note"] && jobs.map(\.priority) == [2, 0, 0]
        && jobs.map(\.state) == [.ready, .delayed, .ready])
    #expect(
      jobs.map(\.payload) == [
        Payload("arg"), Payload([]), Payload(Array(#"{"text":"typed"}"#.utf8), codec: .json),
      ])
  }

  @Test func aRunThatFailsIsNotReplaced() async throws {
    try await my.queue.enqueue(NewJob("a"))
    let worker = try my.worker([
      handler("a", log) { context in
        context.replace(with: [NewJob("b")])
        throw Broken()
      }
    ])
    #expect(try await worker.workUntilEmpty().failed == 1)
    #expect(try await my.driver.count() == [])
  }

  @Test func aJobMayBeReplacedByOneWithItsOwnKey() async throws {
    try await my.queue.enqueue(NewJob("a", unique: UniqueKey("k")))
    #expect(
      try await my.worker([handler("a", log) { $0.replace(with: [NewJob("a", unique: UniqueKey("k"))]) }])
        .workOnce())
    #expect(try await my.driver.jobs(matching: JobQuery()).map(\.id) == [2])
  }
}
