import ForwardingDriver
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Waiting until jobs have ended, here and in other processes.
@Suite struct WaitTests {
  let file: TemporaryFile
  let driver: SQLiteDriver
  /// A queue as another process has it. Its clock stands still, so that nothing but a ring ends a wait.
  let waiting: Queue<NoHooks>
  let clock = ManualClock()

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
    waiting = try Self.queue(try file.open(), clock)
  }

  private static func queue(_ driver: any Driver, _ clock: ManualClock) throws -> Queue<NoHooks> {
    var options = DatabaseOptions()
    options.clock = clock
    return Queue(try Databases([Databases.Source(driver)], options: options))
  }

  /// Returns when a wait sleeps for so long.
  private func sleeps(for time: Duration) async {
    let wake = clock.sinceBoot() + time.wholeMicroseconds
    while clock.nextWake != wake { await Task.yield() }
  }

  /// Lets a wait look until it sleeps as long as it ever does.
  private func settleDown() async {
    // A ring in between makes its pauses short again.
    while true {
      let rest = (clock.nextWake ?? clock.sinceBoot()) - clock.sinceBoot()
      if rest >= 1_000_000 { return }
      if rest > 0 { clock.advance(by: .microseconds(rest)) }
      await Task.yield()
    }
  }

  /// Returns what a wait returns, once only a ring can have ended its longest sleep.
  private func awoken<Value: Sendable>(_ wait: Task<Value, any Error>) async throws -> Value {
    let isOver = Locked(false)
    let end = Task {
      defer { isOver.withLock { $0 = true } }
      return try await wait.value
    }
    while !isOver.withLock({ $0 }) {
      // A ring may come before the end can be read: the wait looks again after short sleeps.
      if let wake = clock.nextWake, case let rest = wake - clock.sinceBoot(), rest <= 500_000 {
        clock.advance(by: .microseconds(rest))
      }
      await Task.yield()
    }
    return try await end.value
  }

  @Test(
    "is woken by the end of a job, whatever it is", .timeLimit(.minutes(2)),
    arguments: ["completed", "failed", "cancelled"])
  func woken(end: String) async throws {
    let id = try await Queue(driver).enqueue(job("1")).id
    let wait = Task { try await waiting.wait(for: id) }
    await settleDown()
    switch end {
    case "cancelled": try await Queue(driver).cancel(id, reason: "stop")
    default:
      let lease = try #require(try await driver.claim(demand()).jobs.first).lease
      let outcome: Settlement.Outcome = end == "failed" ? .failed(message: "broke") : .completed()
      _ = try await driver.settle([Settlement(lease, outcome)], claiming: nil)
    }
    switch try await awoken(wait) {
    case .unrecorded: #expect(end == "completed")
    case .failed(let row):
      #expect([row.reason.rawValue, row.message] == [end, end == "failed" ? "broke" : "stop"])
    case let other: Issue.record("\(other)")
    }
  }

  @Test("waits for all of them", .timeLimit(.minutes(2))) func several() async throws {
    let ids = try await Queue(driver).enqueue([job("1"), job("2"), job("3")]).map(\.id)
    let wait = Task {
      try await waiting.wait(for: ids + [ids[0], JobID(database: ids[0].database, number: 99)])
    }
    await settleDown()
    for _ in 0..<3 {
      let lease = try #require(try await driver.claim(demand(1)).jobs.first).lease
      _ = try await driver.settle([Settlement(lease, .completed(), recording: .seconds(1))], claiming: nil)
    }
    let outcomes = try await awoken(wait)
    #expect(outcomes.count == 5 && outcomes[4] == .neverExisted && outcomes[0] == outcomes[3])
    for (id, outcome) in zip(ids, outcomes) {
      guard case .completed(let row) = outcome else { Issue.record("\(outcome)"); continue }
      #expect(row.job == id.number && row.status == .completed)
    }
  }

  @Test("ends after its timeout", .timeLimit(.minutes(2))) func timeout() async throws {
    let id = try await Queue(driver).enqueue(job("1")).id
    #expect(try await waiting.wait(for: id, timeout: .zero).isUnfinished)
    #expect(try await waiting.wait(for: id, timeout: .seconds(-1)).isUnfinished)
    let wait = Task { try await waiting.wait(for: id, timeout: .milliseconds(45)) }
    await sleeps(for: .milliseconds(20))
    clock.advance(by: .milliseconds(20))
    // What is left of the time is shorter than the next pause, of 30 ms.
    await sleeps(for: .milliseconds(25))
    clock.advance(by: .milliseconds(25))
    guard case .unfinished(let found) = try await wait.value else { Issue.record("it ended"); return }
    #expect(found.id == id.number && found.state == .ready)
  }

  @Test("ends when its task is cancelled", .timeLimit(.minutes(2))) func cancelled() async throws {
    let id = try await Queue(driver).enqueue(job("1")).id
    let wait = Task { try await waiting.wait(for: id) }
    await settleDown()
    wait.cancel()
    await #expect(throws: CancellationError.self) { try await wait.value }
    let late = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await waiting.wait(for: id)
    }
    await #expect(throws: CancellationError.self) { try await late.value }
  }

  @Test("asks a database that does not ring at growing intervals", .timeLimit(.minutes(2)))
  func asks() async throws {
    let memory = MemoryDriver()
    let queue = try Self.queue(memory, clock)
    let id = try await queue.enqueue(job("1")).id
    let wait = Task { try await queue.wait(for: id) }
    var pause: Int64 = 20_000
    for _ in 0..<12 {
      await sleeps(for: .microseconds(pause))
      clock.advance(by: .microseconds(pause))
      pause = min(pause + pause / 2, 1_000_000)
    }
    #expect(pause == 1_000_000)
    await sleeps(for: .microseconds(pause))
    let lease = try #require(try await memory.claim(demand()).jobs.first).lease
    _ = try await memory.settle([Settlement(lease, .completed())], claiming: nil)
    clock.advance(by: .microseconds(pause))
    #expect(try await wait.value == .unrecorded)
  }

  @Test("keeps what it knows, and goes on while the database fails", .timeLimit(.minutes(2)))
  func keeps() async throws {
    let memory = MemoryDriver()
    let faulty = FailingLooks(base: memory)
    let queue = try Self.queue(faulty, clock)
    let ids = try await queue.enqueue([job("1"), job("2")]).map(\.id)
    let claimed = try await memory.claim(demand()).jobs
    _ = try await memory.settle([Settlement(claimed[0].lease, .failed(message: "broke"))], claiming: nil)
    let wait = Task { try await queue.wait(for: ids) }
    await sleeps(for: .milliseconds(20))
    #expect(try await memory.prune(PruneOptions()) == 1)
    faulty.fails.withLock { $0 = true }
    clock.advance(by: .milliseconds(20))
    await sleeps(for: .milliseconds(30))
    faulty.fails.withLock { $0 = false }
    _ = try await memory.settle([Settlement(claimed[1].lease, .completed())], claiming: nil)
    clock.advance(by: .milliseconds(30))
    let outcomes = try await wait.value
    guard case .failed(let failure) = outcomes[0] else { Issue.record("\(outcomes)"); return }
    #expect(failure.message == "broke" && outcomes[1] == .unrecorded)
  }

  /// A driver that cannot be asked what became of jobs while it is told to fail.
  private struct FailingLooks: ForwardingDriver {
    let base: any LogDriver
    let fails = Locked(false)

    func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
      guard !fails.withLock({ $0 }) else { throw QudoError(.busy, "busy") }
      return try await base.outcomes(of: jobs)
    }
  }

  @Test("replays what has failed, but not what fails again meanwhile", .timeLimit(.minutes(2)))
  func replays() async throws {
    let memory = MemoryDriver()
    let again = FailsAgain(base: memory)
    _ = try await memory.insert((0..<40).map { job("\($0)") })
    let claimed = try await memory.claim(demand(100)).jobs
    _ = try await memory.settle(claimed.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
    #expect(try await Queue(again).replay(matching: FailureFilter()) == 40)
    #expect(try await Queue(memory).failures(LogQuery(limit: 1000)).count == 80)
    #expect(try await Queue(memory).replay(matching: FailureFilter(reasons: [.lost])) == 0)
  }

  /// A driver whose jobs fail as soon as they are replayed.
  private struct FailsAgain: ForwardingDriver {
    let base: any LogDriver

    func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?) async throws(QudoError)
      -> [ReplayResult]
    {
      let results = try await base.replay(failures, changing: change, unique: unique)
      let claimed = try await base.claim(demand(100)).jobs
      _ = try await base.settle(claimed.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
      return results
    }
  }

  @Test("says that a database is unknown") func unknown() async throws {
    let id = JobID(database: "none", number: 1)
    await #expect(throws: QudoError.self) { try await waiting.wait(for: id) }
    await #expect(throws: QudoError.self) { try await Queue(driver).outcome(of: id) }
    await #expect(throws: QudoError.self) { try await Queue(driver).change(id, JobChange(priority: 1)) }
  }

  @Test("finds a job by its unique key") func keys() async throws {
    let queue = Queue(driver)
    let id = try await queue.enqueue(job("1", unique: "order-1")).id
    #expect(try await waiting.job(withUniqueKey: "order-1", kind: "a") == id)
    #expect(try await queue.job(withUniqueKey: "order-2", kind: "a") == nil)
  }

  @Test("changes and recovers through the queue") func control() async throws {
    let queue = Queue(driver)
    let ids = try await queue.enqueue([job("1", due: .after(.seconds(3600))), job("2")]).map(\.id)
    #expect(try await queue.runNow(ids[0]) == .changed)
    #expect(try await queue.change(matching: JobFilter(kinds: ["a"]), JobChange(priority: 5)) == 2)
    let claimed = try await driver.claim(demand())
    #expect(claimed.texts == ["2", "1"] && claimed.jobs.map(\.priority) == [5, 5])
    #expect(try await queue.change(ids, JobChange(priority: 1)) == [.running, .running])
    #expect(try await queue.recover(ids[1]) == .recovered)
    #expect(try await queue.recover([ids[1], ids[0]]) == [.notRunning, .recovered])
    #expect(try await driver.claim(demand()).texts.sorted() == ["1", "2"])
    #expect(try await queue.recover(matching: JobFilter(kinds: ["a"])) == 2)
    #expect(try await queue.recover(matching: JobFilter()) == 0)
  }
}
