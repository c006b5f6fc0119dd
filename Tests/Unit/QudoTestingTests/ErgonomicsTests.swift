import Foundation
import Qudo
import QudoTesting
import Testing

/// What is written first, without a look at the documentation, compiles and does what it says.
@Suite struct ErgonomicsTests {
  struct SendMail: Job, Equatable {
    static let kind: Kind = "mail.send"
    var to: String
    func perform(_ context: JobContext) async throws {}
  }

  struct Postbox: Plugin {
    private let list = Locked<[String]>([])
    func send(_ address: String) { list.withLock { $0.append(address) } }
    var sent: [String] { list.withLock { $0 } }
  }

  struct Post: PluginJob {
    static let kind: Kind = "post"
    var to: String
    func perform(_ context: JobContext, using postbox: Postbox) async throws { postbox.send(to) }
  }

  /// An application that enqueues in transactions of its own, and does not name the queue's hooks.
  struct SignUp {
    let queue: any Enqueuer
    func signUp(_ address: String, _ connection: OpaquePointer?) throws {
      try queue.enqueue(SendMail(to: address), unique: "welcome", in: connection)
    }
  }

  let driver = MemoryDriver(clock: ManualClock())
  var queue: Queue<NoHooks> { Queue(driver) }

  @Test("a worker takes the types of jobs as its handlers") func jobTypes() async throws {
    try await queue.enqueue(SendMail(to: "ada"))
    let worker = try Worker(queue, handlers: [SendMail.self], concurrency: 2)
    #expect(try await worker.workUntilEmpty().completed == 1)
    let postbox = Postbox()
    try await queue.enqueue(Post(to: "alan"))
    let both = try Worker(queue, handlers: [SendMail.self, Post.self], plugins: [postbox])
    #expect(try await both.workUntilEmpty().completed == 1)
    #expect(postbox.sent == ["alan"])
    #expect(throws: QudoError.self) { try Worker(queue, handlers: [Post.self]) }
  }

  @Test("a unique key is a string literal") func uniqueKey() async throws {
    let first = try await queue.enqueue(SendMail(to: "ada"), unique: "order-1")
    #expect(try await queue.enqueue(SendMail(to: "ada"), unique: "order-1") == .conflict(first.id))
  }

  @Test("an array of jobs is enqueued at once") func array() async throws {
    let results = try await queue.enqueue([SendMail(to: "ada"), SendMail(to: "alan")])
    #expect(results.count == 2)
    #expect(
      try await driver.enqueued(SendMail.self).map(\.job) == [SendMail(to: "ada"), SendMail(to: "alan")])
  }

  @Test("options say how each job of a batch is enqueued") func batchOptions() async throws {
    let options = EnqueueOptions(
      priority: 3, due: .after(.seconds(60)), idempotencyKey: IdempotencyKey("batch"),
      metadata: ["tenant": "a"])
    let jobs = [SendMail(to: "ada"), SendMail(to: "alan")]
    let first = try await queue.enqueue(jobs, options: options)
    let again = try await queue.enqueue(jobs, options: options)
    #expect(again == first.map { .existing($0.id) })
    let stored = try await queue.jobs()
    #expect(
      stored.count == 2
        && stored.allSatisfy { $0.priority == 3 && $0.state == .delayed && $0.metadata["tenant"] == "a" })
    await #expect { try await queue.enqueue(jobs, options: EnqueueOptions(unique: "one")) } throws: {
      ($0 as? QudoError)?.code == .invalidArgument
    }
    #expect(try await queue.count() == [JobCount("mail.send", delayed: 2)])
    #expect(try await queue.enqueue([SendMail](), options: EnqueueOptions(unique: "one")) == [])
  }

  @Test("a batch may have jobs of several types") func mixed() async throws {
    let jobs = [
      try NewJob(SendMail(to: "ada")), try NewJob(Post(to: "alan"), options: EnqueueOptions(unique: "post")),
    ]
    #expect(try await queue.enqueue(jobs).count == 2)
    #expect(try await queue.count() == [JobCount("mail.send", ready: 1), JobCount("post", ready: 1)])
  }

  @Test("a worker's options have an initializer") func workerOptions() throws {
    let options = WorkerOptions(concurrency: 3, shutdownGracePeriod: .seconds(1))
    #expect(
      options.concurrency == 3 && options.shutdownGracePeriod == .seconds(1)
        && options.maxPrefetch == WorkerOptions().maxPrefetch)
  }

  @Test("code that enqueues in transactions runs on a memory driver and inline") func transactions()
    async throws
  {
    try SignUp(queue: queue).signUp("ada", nil)
    #expect(try await driver.enqueued(SendMail.self).map(\.job.to) == ["ada"])
    let postbox = Postbox()
    let inline = try Queue(MemoryDriver()).inline(
      [JobHandler(SendMail.self) { mail, _ in postbox.send(mail.to) }])
    try SignUp(queue: inline).signUp("alan", nil)
    #expect(postbox.sent == [])
    #expect(try await inline.run() == 1)
    #expect(postbox.sent == ["alan"])
  }

  @Test("a job enqueues others on its completion") func onCompletion() async throws {
    try await queue.enqueue(Post(to: "ada"))
    let worker = try Worker(
      queue,
      handlers: [
        JobHandler(Post.self, policy: JobPolicy()) { post, context in
          try context.enqueueOnCompletion(SendMail(to: post.to), options: EnqueueOptions(priority: 2))
          context.enqueueOnCompletion([try NewJob(SendMail(to: "alan"))])
        }
      ], plugins: [Postbox()])
    #expect(try await worker.workUntilEmpty().completed == 1)
    #expect(try await driver.enqueued(SendMail.self).map(\.job.to) == ["ada", "alan"])
  }

  @Test("the logs are read, replayed and pruned from the queue") func logs() async throws {
    var policy = JobPolicy()
    policy.maxRetries = 0
    policy.recordsStatus = true
    let failing = JobHandler("fails", policy: policy) { context in try context.abort("no") }
    let passing = JobHandler("passes", policy: policy) { _ in }
    try await queue.enqueue([NewJob("fails"), NewJob("passes")])
    _ = try await Worker(queue, handlers: [failing, passing]).workUntilEmpty()
    let failures = try await queue.failures()
    #expect(failures.map(\.reason) == [.aborted] && failures.map(\.message) == ["no"])
    #expect(try await queue.statuses(LogQuery(oldestFirst: true)).map(\.status) == [.aborted, .completed])
    let replayed = try await queue.replay(failures.map(\.id))
    #expect(replayed.count == 1)
    #expect(try await queue.count() == [JobCount("fails", ready: 1)])
    #expect(try await queue.prune() == 3)
    #expect(try await queue.failures().isEmpty)
  }

  @Test("several databases are listed one after the other") func severalDatabases() async throws {
    let (one, two) = (MemoryDriver(name: "one"), MemoryDriver(name: "two"))
    var options = DatabaseOptions()
    // Stands still, so that no call times out on a machine that is busy.
    options.clock = ManualClock()
    _ = try await one.insert([NewJob("a"), NewJob("b")])
    _ = try await two.insert([NewJob("a", due: .after(.seconds(36_000)))])
    let queue = Queue(try Databases([Databases.Source(one), Databases.Source(two)], options: options))
    #expect(try await queue.jobs().map(\.kind) == ["a", "b", "a"])
    #expect(try await queue.count() == [JobCount("a", ready: 1, delayed: 1), JobCount("b", ready: 1)])
    await #expect { try await queue.replay([1]) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    #expect(try await queue.replay([1], in: "two") == [.notFound])
    await two.close()
    await #expect { try await queue.jobs() } throws: { ($0 as? QudoError)?.code == .closed }
  }

  @Test("a date is a due time, and a time is a date") func dates() async throws {
    let date = Date(timeIntervalSince1970: 1_800_000_000.25)
    try await queue.enqueue(SendMail(to: "ada"), due: .at(date))
    let job = try #require(try await queue.jobs().first)
    #expect(job.dueAt == Timestamp(microseconds: 1_800_000_000_250_000) && job.dueAt.date == date)
    #expect(Timestamp(Date(timeIntervalSince1970: -0.5)).microseconds == -500_000)
    #expect(Timestamp(.distantFuture).date == .distantFuture && Timestamp(.distantPast) == .earliest)
    for seconds in [Double.infinity, 1e300, .nan] {
      #expect([Timestamp.latest, .earliest].contains(Timestamp(Date(timeIntervalSince1970: seconds))))
    }
    #expect("\(Timestamp(microseconds: -1))" == "1969-12-31T23:59:59.999999Z")
  }

  @Test("a job's id is read from its text") func jobID() throws {
    let id = JobID(database: "a/b", number: 42)
    #expect(id.description == "a/b/42" && JobID("a/b/42") == id)
    for text in ["", "42", "/42", "a/", "a/x", "a/042", "a/+42", "a/42 ", "a/9223372036854775808"] {
      #expect(JobID(text) == nil)
    }
    #expect(try JSONDecoder().decode([JobID].self, from: JSONEncoder().encode([id])) == [id])
  }

  @Test("records are written as JSON and read again") func codable() async throws {
    var policy = JobPolicy()
    policy.recordsStatus = true
    try await queue.enqueue(
      SendMail(to: "ada"), options: EnqueueOptions(unique: "k", metadata: ["tenant": "a"]))
    let stored = try await queue.jobs()
    _ = try await Worker(queue, handlers: [JobHandler("mail.send", policy: policy) { try $0.abort("no") }])
      .workUntilEmpty()
    let (failures, statuses) = (try await queue.failures(), try await queue.statuses())
    #expect(try copy(stored) == stored && copy(failures) == failures && copy(statuses) == statuses)
    #expect(try copy([JobCount("a", ready: 1)]) == [JobCount("a", ready: 1)])
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(stored[0].payload), as: UTF8.self)
    #expect(text == #"{"bytes":"eyJ0byI6ImFkYSJ9","codec":1}"#)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([Timestamp].self, from: Data(#"["yesterday"]"#.utf8))
    }
  }

  private func copy<Value: Codable>(_ value: Value) throws -> Value {
    try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
  }

  @Test("a clock sleeps for a duration") func sleep() async throws {
    let clock = ManualClock()
    let task = Task { try await clock.sleep(for: .seconds(5)) }
    await clock.sleepers(atLeast: 1)
    clock.advance(by: .seconds(5))
    try await task.value
  }
}
