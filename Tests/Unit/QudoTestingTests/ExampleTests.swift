import Qudo
import QudoTesting
import Testing

/// The Swift of "Testing your jobs", line for line.
struct Account: Sendable {
  let queue: any Enqueuer

  func signUp(_ address: String) async throws {
    try await queue.enqueue(Welcome(address: address), unique: UniqueKey(address, onConflict: .keep))
    try await queue.enqueue(Remind(address: address), due: .after(.seconds(7 * 86_400)))
  }
}

struct Welcome: PluginJob {
  static let kind: Kind = "mail.welcome"
  static var policy: JobPolicy { JobPolicy(maxRetries: 3, retryDelay: .fixed(.seconds(60))) }
  var address: String

  func perform(_ context: JobContext, using mailbox: Mailbox) async throws {
    if !address.contains("@") { try context.abort("that is no address") }
    try mailbox.send("Welcome, \(address)")
  }
}

struct Remind: PluginJob {
  static let kind: Kind = "mail.remind"
  var address: String

  func perform(_ context: JobContext, using mailbox: Mailbox) async throws {
    try mailbox.send("Still there, \(address)?")
  }
}

/// What the article leaves to its reader: a mailer that sends nothing.
final class Mailbox: Plugin {
  struct IsAway: Error {}
  private let state: Locked<(failures: Int, sent: [String])>

  init(failures: Int = 0) { state = Locked((failures: failures, sent: [])) }

  var sent: [String] { state.withLock { $0.sent } }

  func send(_ text: String) throws {
    try state.withLock { state throws in
      state.failures -= 1
      if state.failures >= 0 { throw IsAway() }
      state.sent.append(text)
    }
  }
}

@Suite struct ExampleTests {
  let handlers = [JobHandler(Welcome.self), JobHandler(Remind.self)]

  @Test func signingUpEnqueuesAWelcomeAndAReminder() async throws {
    let queue = Queue(MemoryDriver(clock: ManualClock()))
    try await Account(queue: queue).signUp("ada@example.org")

    try await queue.expectEnqueued(Welcome.self, count: 1, unique: "ada@example.org", due: .now)
    try await queue.expectEnqueued(Remind.self, due: .after(.seconds(7 * 86_400))) {
      $0.address == "ada@example.org"
    }
    try await queue.expectNothingEnqueued("mail.goodbye")
  }

  @Test func signingUpSendsAWelcomeAtOnce() async throws {
    let mailbox = Mailbox()
    let queue = try Queue(MemoryDriver()).inline(handlers, plugins: [mailbox])
    try await Account(queue: queue).signUp("ada@example.org")
    #expect(mailbox.sent == ["Welcome, ada@example.org"])
    try await queue.queue.expectEnqueued(Remind.self)
  }

  @Test func aJobThatIsGivenUpFailsTheTest() async throws {
    let queue = try Queue(MemoryDriver()).inline(handlers, plugins: [Mailbox()])
    await #expect(throws: FailedJobs.self) { try await Account(queue: queue).signUp("nobody") }
  }

  @Test func aWelcomeIsSentWhenTheMailerIsBack() async throws {
    let mailbox = Mailbox(failures: 3)
    let clock = ManualClock()
    let queue = Queue(MemoryDriver(clock: clock))
    try await Account(queue: queue).signUp("ada@example.org")
    #expect(try await queue.drain(handlers, plugins: [mailbox], clock) == 5)
    #expect(mailbox.sent == ["Welcome, ada@example.org", "Still there, ada@example.org?"])
  }

  @Test func hooksHearWhatTheyShould() async throws {
    let spy = SpyHook()
    // It stands still, or a slow test would see the second attempt.
    let clock = ManualClock()
    let queue = try Queue(MemoryDriver(clock: clock), hooks: { spy }).inline(
      handlers, plugins: [Mailbox(failures: 1)], clock: clock)
    try await queue.enqueue(Welcome(address: "ada@example.org"))
    #expect(spy.events.last == .didSettle("mail.welcome", job: 1, .settled(.retry(after: .seconds(60)))))
    #expect(
      spy.events.map(\.name) == [
        "willEnqueue", "serialize", "didEnqueue", "didClaim", "deserialize", "willWork", "begins", "ends",
        "didFail", "didWork", "didSettle",
      ])
  }
}
