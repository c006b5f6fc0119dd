import Qudo
import QudoTesting
import Testing

/// Plugins: from the start of a worker to its end, and how jobs reach them.
@Suite struct PluginTests {
  let clock = ManualClock()
  let log = Locked<[String]>([])
  let queue: Queue<NoHooks>

  init() { queue = Queue(MemoryDriver(clock: clock)) }

  struct Broken: Error {}

  struct Mailer: Plugin {
    let log: Locked<[String]>
    var greeting = "Hello"

    func start(_ worker: WorkerContext) async throws { log.withLock { $0.append("mailer starts") } }
    func stop(_ worker: WorkerContext) async {
      log.withLock { $0.append("mailer stops, cancelled: \(Task.isCancelled)") }
    }
    func send(to: String) { log.withLock { $0.append("\(greeting), \(to)") } }
  }

  struct Store: Plugin {
    let log: Locked<[String]>
    var fails = false

    func start(_ worker: WorkerContext) async throws {
      log.withLock { $0.append("store starts for \(worker.kinds)") }
      if fails { throw Broken() }
    }
    func stop(_ worker: WorkerContext) async { log.withLock { $0.append("store stops") } }
    /// Called like a function.
    func callAsFunction(_ text: String) { log.withLock { $0.append("stored \(text)") } }
  }

  struct Welcome: PluginJob {
    static let kind: Kind = "welcome"
    var name: String

    func perform(_ context: JobContext, using plugins: Using<Mailer, Store>) async throws {
      let (mailer, store) = plugins.all
      mailer.send(to: name)
      store(name)
    }
  }

  func options() -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    return options
  }

  @Test func jobsReachPluginsByTheirTypes() async throws {
    try await queue.enqueue(Welcome(name: "Ada"))
    let plugins: [any Plugin] = [Mailer(log: log, greeting: "Hi"), Store(log: log)]
    let worker = try Worker(queue, handlers: [JobHandler(Welcome.self)], plugins: plugins, options: options())
    #expect(try await worker.workUntilEmpty().completed == 1)
    #expect(
      log.withLock { $0 } == [
        "mailer starts", "store starts for [welcome]", "Hi, Ada", "stored Ada", "store stops",
        "mailer stops, cancelled: false",
      ])
  }

  @Test func aClosureIsHandedThem() async throws {
    struct Note: Job {
      static let kind: Kind = "note"
      var text: String
      func perform(_ context: JobContext) async throws { throw Broken() }
    }
    try await queue.enqueue(Note(text: "x"))
    let handler = JobHandler(Note.self, using: Store.self, Mailer.self) { note, context, store, mailer in
      store(note.text)
      mailer.send(to: note.text)
    }
    let worker = try Worker(
      queue, handlers: [handler], plugins: [Mailer(log: log), Store(log: log)], options: options())
    #expect(try await worker.workUntilEmpty().completed == 1)
    #expect(log.withLock { $0[2...3] } == ["stored x", "Hello, x"])
  }

  @Test func aWorkerThatLacksOneIsNotMade() {
    let error = #expect(throws: QudoError.self) {
      try Worker(queue, handlers: [JobHandler(Welcome.self)], plugins: [Mailer(log: log)])
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message == "jobs of the kind welcome need the plugin Store: give the worker one")
  }

  @Test func twoOfATypeAreRefused() {
    let error = #expect(throws: QudoError.self) {
      try Worker(queue, handlers: [JobHandler("a") { _ in }], plugins: [Mailer(log: log), Mailer(log: log)])
    }
    #expect(error?.code == .invalidArgument)
  }

  @Test func aJobMayAskForOneThatNeedNotBeThere() async throws {
    try await queue.enqueue(NewJob("a"))
    let worker = try Worker(
      queue,
      handlers: [
        JobHandler("a") { context in
          context.plugin(Mailer.self)?.send(to: "\(context.plugin(Store.self) == nil)")
        }
      ], plugins: [Mailer(log: log)], options: options())
    #expect(try await worker.workOnce())
    #expect(log.withLock { $0[1] } == "Hello, true")
  }

  @Test func oneThatDoesNotStartStopsTheWorker() async throws {
    try await queue.enqueue(Welcome(name: "Ada"))
    let worker = try Worker(
      queue, handlers: [JobHandler(Welcome.self)], plugins: [Mailer(log: log), Store(log: log, fails: true)],
      options: options())
    let error = await #expect(throws: QudoError.self) { try await worker.work() }
    #expect(error?.code == .plugin && error?.cause is Broken)
    #expect(
      log.withLock { $0 } == [
        "mailer starts", "store starts for [welcome]", "mailer stops, cancelled: false",
      ])
    #expect(try await queue.databases.only?.count().first?.ready == 1)
  }

  /// Runs until it is told to end, and says so.
  struct Beside: Plugin {
    let log: Locked<[String]>
    var fails = false

    func run(_ worker: WorkerContext) async throws {
      try await worker.queue.enqueue(NewJob("a"))
      if fails { throw Broken() }
      let never = AsyncStream<Void>.makeStream()
      for await _ in never.stream {}
      log.withLock { $0.append("ended, cancelled: \(Task.isCancelled)") }
    }
    func stop(_ worker: WorkerContext) async { log.withLock { $0.append("stopped") } }
  }

  @Test(arguments: [false, true]) func oneMayRunBesideTheJobs(fails: Bool) async throws {
    let (ran, done) = AsyncStream<Void>.makeStream()
    let worker = try Worker(
      queue, handlers: [JobHandler("a") { _ in done.yield() }], plugins: [Beside(log: log, fails: fails)],
      options: options())
    let work = Task { try await worker.work() }
    for await _ in ran { break }
    work.cancel()
    #expect(try await work.value.completed == 1)
    #expect(log.withLock { $0 } == (fails ? [] : ["ended, cancelled: true"]) + ["stopped"])
  }
}
