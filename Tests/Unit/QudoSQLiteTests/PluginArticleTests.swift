import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// The article's types, in a place of their own.
extension PluginArticleTests {
  struct Mailer: Plugin {
    let connection = MailConnection()
    var server = "localhost"

    func start(_ worker: WorkerContext) async throws { try await connection.open(server) }
    func stop(_ worker: WorkerContext) async { await connection.close() }

    func send(_ text: String, to address: String) async throws {
      try await connection.deliver(text, to: address)
    }
  }

  struct SendMail: PluginJob {
    static let kind: Kind = "mail.send"
    var to: String

    func perform(_ context: JobContext, using mailer: Mailer) async throws {
      try await mailer.send("Hello", to: to)
    }
  }

  struct SendInvoice: PluginJob {
    static let kind: Kind = "invoice.send"
    var number: Int
    var to: String

    func perform(_ context: JobContext, using plugins: Using<Mailer, Invoices>) async throws {
      let (mailer, invoices) = plugins.all
      try await mailer.send(invoices.text(number), to: to)
    }
  }

  struct Heartbeat: Plugin {
    var interval = Duration.seconds(60)

    func run(_ worker: WorkerContext) async throws {
      while true {
        try await worker.queue.enqueue(NewJob("heartbeat"))
        try await worker.clock.sleep(for: interval)
      }
    }
  }

  // What the article leaves to its reader.

  struct Invoices: Plugin {
    var prefix: String
    func text(_ number: Int) -> String { "\(prefix) \(number)" }
  }

  struct Reminder: Job {
    static let kind: Kind = "reminder"
    var text: String
    var to: String
    func perform(_ context: JobContext) async throws { throw Broken() }
  }

  /// Where the test looks for what was sent, since the article's plugin has a connection of its own.
  enum Post {
    @TaskLocal static var log: Log?
  }

  actor MailConnection {
    private var server: String?

    func open(_ server: String) throws {
      self.server = server
      Post.log?.add("open \(server)")
    }

    func close() {
      server = nil
      Post.log?.add("close")
    }

    func deliver(_ text: String, to address: String) throws {
      guard server != nil else { throw Broken() }
      Post.log?.add("\(address): \(text)")
    }
  }
}

/// What the article on plugins shows, and some of what it says.
@Suite struct PluginArticleTests {
  let my: Harness
  let log = Log()
  var queue: Queue<NoHooks> { my.queue }

  init() throws { my = try Harness() }

  @Test func jobsUseTheirPlugins() async throws {
    try await Post.$log.withValue(log) {
      try await queue.enqueue(SendMail(to: "ada"))
      try await queue.enqueue(SendInvoice(number: 42, to: "grace"))
      let worker = try Worker(
        queue, handlers: [SendMail.self, SendInvoice.self],
        plugins: [Invoices(prefix: "Invoice"), Mailer(server: "mail.example.org")])
      #expect(try await worker.workUntilEmpty().completed == 2)
    }
    #expect(log.entries == ["open mail.example.org", "ada: Hello", "grace: Invoice 42", "close"])
  }

  @Test func closuresAreHandedThem() async throws {
    let reminders = JobHandler(Reminder.self, using: Mailer.self) { reminder, context, mailer in
      try await mailer.send(reminder.text, to: reminder.to)
    }
    let notes = JobHandler("note") { context in
      try await context.plugin(Mailer.self)?.send("A note", to: "ada@example.org")
    }
    try await Post.$log.withValue(log) {
      try await queue.enqueue(NewJob("note"))
      #expect(try await my.worker([notes]).workUntilEmpty().completed == 1)
      try await queue.enqueue(Reminder(text: "Lunch", to: "ada"))
      try await queue.enqueue(NewJob("note"))
      let worker = try Worker(queue, handlers: [reminders, notes], plugins: [Mailer()])
      #expect(try await worker.workUntilEmpty().completed == 2)
    }
    #expect(log.entries == ["open localhost", "ada: Lunch", "ada@example.org: A note", "close"])
  }

  @Test("A plugin that works next to the jobs goes by the worker's clock")
  func pluginUsesTheWorkersClock() async throws {
    let beat = JobHandler("heartbeat") { [log] context in log.add("beat \(context.id.number)") }
    let worker = try Worker(
      queue, handlers: [beat], plugins: [Heartbeat()],
      options: my.options { $0.pollInterval = .seconds(1_000_000) })
    let work = Task { try await worker.work() }
    for beats in 1...3 {
      await log.count(beats)
      // The worker and the heart.
      await my.clock.sleepers(atLeast: 2)
      my.clock.advance(by: .seconds(60))
    }
    work.cancel()
    _ = try await work.value
    #expect(log.entries.prefix(3) == ["beat 1", "beat 2", "beat 3"])
  }

  @Test func theSwiftIsTheArticles() throws {
    #expect(
      try ArticleText.untested("Sources/Qudo/Qudo.docc/Plugins.md", by: #filePath, but: "SQLiteDriver(path:")
        == [])
  }
}
