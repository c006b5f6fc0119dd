#if Tracing
import InMemoryTracing
import Qudo
import QudoTesting
import QudoTracing
import Testing
import Tracing

@Suite struct TracingHookTests {
  struct Broken: Error {}

  let clock = ManualClock()
  let tracer = InMemoryTracer()
  let driver: MemoryDriver

  init() { driver = MemoryDriver(clock: clock) }

  func queue(_ parent: TracingHook.Parent = .link) -> Queue<TracingHook> {
    Queue(driver) { TracingHook(parent: parent, tracer: tracer) }
  }

  func work(_ queue: Queue<TracingHook>, _ perform: @escaping @Sendable (JobContext) async throws -> Void)
    async throws
  {
    var options = WorkerOptions()
    options.clock = clock
    try await Worker(queue, handlers: [JobHandler("mail.send", perform: perform)], options: options)
      .workUntilEmpty(skipDelayed: true)
  }

  /// Enqueues within a span, which it hands back with the runs' spans.
  func spans(
    _ queue: Queue<TracingHook>, _ perform: @escaping @Sendable (JobContext) async throws -> Void = { _ in }
  ) async throws -> (enqueue: FinishedInMemorySpan, rest: [FinishedInMemorySpan]) {
    try await tracer.withSpan("request") { _ in
      _ = try await queue.enqueue(NewJob("mail.send", payload: Payload("abc")))
    }
    try await work(queue, perform)
    let spans = tracer.finishedSpans
    return (try #require(spans.first), Array(spans.dropFirst()))
  }

  @Test func aRunIsATraceOfItsOwnWithALinkToTheEnqueue() async throws {
    let (request, runs) = try await spans(queue())
    let run = try #require(runs.first)
    #expect(run.operationName == "process mail.send" && run.kind == .consumer && run.status == nil)
    #expect(run.parentSpanID == nil && run.traceID != request.traceID)
    #expect(run.links.map(\.context.inMemorySpanContext?.spanID) == [request.spanID])
    #expect(run.links.map(\.context.inMemorySpanContext?.traceID) == [request.traceID])
  }

  @Test func itMayBeAChildOfTheEnqueue() async throws {
    let (request, runs) = try await spans(queue(.child))
    let run = try #require(runs.first)
    #expect(run.parentSpanID == request.spanID && run.traceID == request.traceID && run.links.isEmpty)
  }

  @Test func theAttributesAreThoseOfTheConventions() async throws {
    let (_, runs) = try await spans(queue())
    #expect(
      runs.first?.attributes == [
        "messaging.system": "qudo", "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "mail.send", "messaging.message.id": "memory/1",
        "messaging.message.body.size": 3,
        "messaging.qudo.database": "memory", "messaging.qudo.attempt": 1,
      ])
  }

  @Test func aJobWithoutAContextHasNoLink() async throws {
    let queue = queue()
    try await queue.enqueue(NewJob("mail.send"))
    #expect(try await driver.jobs(matching: JobQuery()).map(\.metadata) == [JobMetadata()])
    try await work(queue) { _ in }
    #expect(tracer.finishedSpans.map(\.links.count) == [0])
  }

  @Test func aContextThatTheJobHasAlreadyStays() async throws {
    let queue = queue()
    var job = NewJob("mail.send")
    job.metadata[InMemoryTracer.traceIDKey] = "mine"
    job.metadata[InMemoryTracer.spanIDKey] = "also mine"
    let sent = job
    try await tracer.withSpan("request") { _ in _ = try await queue.enqueue(sent) }
    #expect(try await driver.jobs(matching: JobQuery()).map(\.metadata) == [sent.metadata])
  }

  @Test func theJobRunsWithinTheSpan() async throws {
    let (_, spans) = try await spans(queue()) { [tracer] _ in tracer.withSpan("inner") { _ in } }
    try #require(spans.map(\.operationName) == ["inner", "process mail.send"])
    #expect(spans[0].parentSpanID == spans[1].spanID)
  }

  /// One that it enqueues and one that it leaves in its place.
  @Test func whatAJobEnqueuesCarriesItsSpanOn() async throws {
    let queue = queue()
    let (_, runs) = try await spans(queue) { context in
      try await queue.enqueue(NewJob("next"))
      context.replace(with: [NewJob("next")])
    }
    let run = try #require(runs.first)
    let metas = try await driver.jobs(matching: JobQuery(kinds: ["next"])).map(\.metadata)
    #expect(metas.map { $0[InMemoryTracer.spanIDKey] } == [run.spanID, run.spanID])
  }

  @Test func aFailureIsRecorded() async throws {
    let (_, runs) = try await spans(queue()) { _ in throw Broken() }
    let run = try #require(runs.first)
    #expect(run.errors.count == 1 && run.errors.first?.error is Broken)
    #expect(run.status == SpanStatus(code: .error, message: "Broken()"))
    #expect(run.attributes.get("error.type") == "Broken")
  }

  struct Choosy: Job {
    static let kind: Kind = "choosy"
    static let policy: JobPolicy = {
      var policy = JobPolicy()
      policy.maxRetries = 1
      return policy
    }()

    func perform(_ context: JobContext) async throws { throw Broken() }
    func retryDelay(after attempt: Int, failure: any Error) -> Duration? { .zero }
  }

  /// Each attempt has a span, with the error as the job threw it.
  @Test func aJobThatKnowsItsDelayFailsLikeOthers() async throws {
    let queue = queue()
    try await queue.enqueue(Choosy())
    var options = WorkerOptions()
    options.clock = clock
    try await Worker(queue, handlers: [JobHandler(Choosy.self)], options: options).workUntilEmpty()
    #expect(tracer.finishedSpans.map { $0.errors.first?.error is Broken } == [true, true])
    #expect(tracer.finishedSpans.map { $0.attributes.get("messaging.qudo.attempt") } == [1, 2])
  }

  @Test func aSnoozeIsNoFailure() async throws {
    let (_, runs) = try await spans(queue()) { context in try context.snooze(for: .seconds(60)) }
    let run = try #require(runs.first)
    #expect(run.errors.isEmpty && run.status == nil && run.attributes.get("messaging.qudo.snoozed") == true)
  }

  /// What a process has without the hook's own tracer.
  @Test func theSystemsTracerIsTheDefault() async throws {
    let queue = Queue(driver) { TracingHook() }
    try await withTracer(tracer) {
      try await tracer.withSpan("request") { _ in _ = try await queue.enqueue(NewJob("mail.send")) }
      try await work(queue) { _ in }
    }
    #expect(tracer.finishedSpans.map(\.operationName) == ["request", "process mail.send"])
  }
}
#endif
