import Qudo
import QudoTesting
import Testing

/// A hook that writes down what it hears.
@Suite struct SpyTests {
  let clock = ManualClock()
  let driver: MemoryDriver
  let spy = SpyHook()
  let queue: Queue<SpyHook>

  init() {
    driver = MemoryDriver(clock: clock)
    queue = Queue(driver) { [spy] in spy }
  }

  struct Broken: Error {}

  func options() -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    return options
  }

  @Test func eachPointIsAValue() async throws {
    let id = JobID(database: "memory", number: 1)
    try await queue.enqueue(NewJob("a", payload: Payload("x"), unique: UniqueKey("k")))
    try await queue.enqueue(NewJob("a", payload: Payload("y"), unique: UniqueKey("k")))
    var policy = JobPolicy()
    policy.maxRetries = 1
    policy.retryDelay = .fixed(.seconds(5))
    let worker = try Worker(
      queue,
      handlers: [
        JobHandler("a", policy: policy) {
          if $0.attempt == 1 { throw Broken() } else { try $0.snooze(for: .seconds(1)) }
        }
      ],
      options: options())
    try await worker.drain(clock, for: .seconds(5))
    #expect(
      spy.events == [
        .willEnqueue("a", Payload("x")), .serialize("a", Payload("x")), .didEnqueue("a", .inserted(id)),
        .willEnqueue("a", Payload("y")), .serialize("a", Payload("y")), .didEnqueue("a", .conflict(id)),
        .didClaim("a", job: 1), .deserialize("a", job: 1, Payload("x")), .willWork("a", job: 1, attempt: 1),
        .begins("a", job: 1), .ends("a", job: 1), .didFail("a", job: 1, error: "Broken()"),
        .didWork("a", job: 1, .retry(after: .seconds(5))),
        .didSettle("a", job: 1, .settled(.retry(after: .seconds(5)))),
        .didClaim("a", job: 1), .deserialize("a", job: 1, Payload("x")), .willWork("a", job: 1, attempt: 2),
        .begins("a", job: 1), .ends("a", job: 1),
        .didWork("a", job: 1, .snoozed(.seconds(1), countsAttempt: false)),
        .didSettle("a", job: 1, .settled(.snoozed(.seconds(1), countsAttempt: false))),
      ])
  }

  @Test func aLostLeaseIsHeardOf() async throws {
    try await queue.enqueue(NewJob("a"))
    let worker = try Worker(
      queue, handlers: [JobHandler("a") { _ in try await Task.sleep(for: .seconds(86_400)) }],
      options: options())
    let work = Task { try await worker.workOnce() }
    #expect(await spy.events(atLeast: 6).map(\.name).last == "begins")
    await clock.sleepers(atLeast: 1)
    clock.advanceWithoutWaking(by: .seconds(61))
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 1)).jobs.count == 1)
    clock.advance(by: .zero)
    _ = try await work.value
    #expect(spy.events.contains(.leaseLost("a", job: 1)))
    #expect(spy.events.contains(.didWork("a", job: 1, .released)))
    #expect(spy.events.last == .didSettle("a", job: 1, .leaseLost))
  }

  @Test func itIsBoundedAndCanBeEmptied() async throws {
    let spy = SpyHook(limit: 2)
    let queue = Queue(driver) { spy }
    try await queue.enqueue(NewJob("a"))
    #expect(spy.events.map(\.name) == ["willEnqueue", "serialize"] && spy.dropped == 1)
    spy.reset()
    #expect(spy.events == [] && spy.dropped == 0)
    try await queue.enqueue(NewJob("b"))
    #expect(await spy.events(atLeast: 3) == [.willEnqueue("b", Payload([])), .serialize("b", Payload([]))])
  }
}
