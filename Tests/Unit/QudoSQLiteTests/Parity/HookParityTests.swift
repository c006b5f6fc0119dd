import Qudo
import QudoSQLite
import QudoTesting
import Testing

@Suite(
  "Perl: hooks pre_enqueue, post_enqueue, serialize, deserialize, pre_work, post_work; register, unregister")
struct HookParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  struct Changing: Hook {
    static let points: HookPoints = .willEnqueue
    func willEnqueue(_ job: inout NewJob) throws {
      job.payload = Payload("hooook")
      job.metadata["by"] = "hook"
    }
  }

  @Test func aHookMayChangeTheArgumentBeforeItIsStored() async throws {
    let queue = Queue(my.driver) { Changing() }
    let id = try await queue.enqueue(NewJob("a", payload: Payload("arg"), unique: UniqueKey("uniqkey1"))).id
    let job = try #require(try await queue.job(id))
    #expect(job.payload == Payload("hooook") && job.uniqueKey == "uniqkey1" && job.metadata["by"] == "hook")
  }

  @Test(arguments: [true, false]) func aHookIsUnregisteredByAQueueWithoutIt(isOn: Bool) async throws {
    let queue = Queue(my.driver) { if isOn { Changing() } }
    let id = try await queue.enqueue(NewJob("a", payload: Payload("arg"))).id
    #expect(try await queue.job(id)?.payload == Payload(isOn ? "hooook" : "arg"))
    let plain = try await my.queue.enqueue(NewJob("a", payload: Payload("arg"))).id
    #expect(try await my.queue.job(plain)?.payload == Payload("arg"))
  }

  /// `deserialize`: what the run gets is what the hook makes of it.
  @Test func aHookMayChangeTheArgumentBeforeTheRun() async throws {
    struct Opening: Hook {
      static let points: HookPoints = .deserialize
      func deserialize(_ job: inout ClaimedJob) throws {
        job.payload = Payload("opened " + String(decoding: job.payload.bytes, as: UTF8.self))
      }
    }
    let queue = Queue(my.driver) { Opening() }
    try await queue.enqueue(NewJob("a", payload: Payload("arg")))
    #expect(try await Worker(queue, handlers: [handler("a", log)], options: my.options()).workOnce())
    #expect(log.entries == ["a opened arg"])
  }

  @Test func everyPointOfTheOriginalIsHeardInItsOrder() async throws {
    let spy = SpyHook()
    let queue = Queue(my.driver) { spy }
    let id = try await queue.enqueue(NewJob("a", payload: Payload("arg"))).id
    #expect(
      spy.events == [
        .willEnqueue("a", Payload("arg")), .serialize("a", Payload("arg")), .didEnqueue("a", .inserted(id)),
      ])
    #expect(try await Worker(queue, handlers: [handler("a", log)], options: my.options()).workOnce())
    #expect(
      spy.events.dropFirst(3) == [
        .didClaim("a", job: 1), .deserialize("a", job: 1, Payload("arg")), .willWork("a", job: 1, attempt: 1),
        .begins("a", job: 1),
        .ends("a", job: 1), .didWork("a", job: 1, .completed(replacements: 0)),
        .didSettle("a", job: 1, .settled(.completed(replacements: 0))),
      ])
  }

  /// `post_work` comes after a failure too.
  @Test func theEndOfAFailedRunIsHeard() async throws {
    let spy = SpyHook()
    let queue = Queue(my.driver) { spy }
    try await queue.enqueue(NewJob("a"))
    #expect(
      try await Worker(queue, handlers: [handler("a", log) { _ in throw Broken() }], options: my.options())
        .workOnce())
    #expect(
      spy.events.suffix(3) == [
        .didFail("a", job: 1, error: "Broken()"), .didWork("a", job: 1, .failed),
        .didSettle("a", job: 1, .settled(.failed)),
      ])
  }

  /// `post_work` comes when the job is gone and its unique key is free.
  @Test func theEndIsHeardAfterTheOutcomeIsWritten() async throws {
    struct Counting: Hook {
      static let points: HookPoints = [.didWork, .didSettle]
      let driver: SQLiteDriver
      let log: Log
      func didWork(_ run: borrowing FinishedRun) async { await note("didWork") }
      func didSettle(_ run: borrowing SettledRun) async { await note("didSettle") }
      func note(_ point: String) async {
        let counts = try? await driver.count()
        log.add("\(point): \(counts?.map { "\($0.running) running" } ?? ["no answer"])")
      }
    }
    let queue = Queue(my.driver) { Counting(driver: my.driver, log: log) }
    try await queue.enqueue(NewJob("a", unique: UniqueKey("k")))
    #expect(try await Worker(queue, handlers: [JobHandler("a") { _ in }], options: my.options()).workOnce())
    #expect(log.entries == ["didWork: [\"1 running\"]", "didSettle: []"])
  }
}
