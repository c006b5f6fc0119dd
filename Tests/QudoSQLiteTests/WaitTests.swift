import Qudo
import QudoSQLite
import QudoTesting
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

  @Test(
    "is woken by the end of a job, whatever it is", .timeLimit(.minutes(2)),
    arguments: ["completed", "failed", "cancelled"])
  func woken(end: String) async throws {
    let id = try await Queue(driver).enqueue(job("1")).id
    let wait = Task { try await waiting.wait(for: id) }
    await sleeps(for: .seconds(1))
    switch end {
    case "cancelled": try await Queue(driver).cancel(id, reason: "stop")
    default:
      let lease = try #require(try await driver.claim(demand()).jobs.first).lease
      let outcome: Settlement.Outcome = end == "failed" ? .failed(message: "broke") : .completed()
      _ = try await driver.settle([Settlement(lease, outcome)], claiming: nil)
    }
    switch try await wait.value {
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
    for _ in 0..<3 {
      await sleeps(for: .seconds(1))
      #expect(!wait.isCancelled)
      let lease = try #require(try await driver.claim(demand(1)).jobs.first).lease
      _ = try await driver.settle([Settlement(lease, .completed(), recording: .seconds(1))], claiming: nil)
    }
    let outcomes = try await wait.value
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
    let wait = Task { try await waiting.wait(for: id, timeout: .milliseconds(1500)) }
    await sleeps(for: .seconds(1))
    clock.advance(by: .seconds(1))
    await sleeps(for: .milliseconds(500))
    clock.advance(by: .milliseconds(500))
    guard case .unfinished(let found) = try await wait.value else { Issue.record("it ended"); return }
    #expect(found.id == id.number && found.state == .ready)
  }

  @Test("ends when its task is cancelled", .timeLimit(.minutes(2))) func cancelled() async throws {
    let id = try await Queue(driver).enqueue(job("1")).id
    let wait = Task { try await waiting.wait(for: id) }
    await sleeps(for: .seconds(1))
    wait.cancel()
    await #expect(throws: (any Error).self) { try await wait.value }
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
  }
}
