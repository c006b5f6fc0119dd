import Logging
import Qudo
import QudoTesting
import Testing

@Suite struct FailoverTests {
  @Test("An enqueue goes on to the next database if one refuses")
  func enqueueGoesOnAfterARefusal() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    let result = try await fleet.queue.enqueue(fleet.job("x"))
    #expect(result.id == JobID(database: "b", number: 1))
    #expect(fleet.log.lines == ["database unavailable a"])
  }

  @Test("An unavailable database is not probed before the probe interval has passed")
  func unavailableDatabaseIsSkipped() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    for text in ["1", "2", "3"] { try await fleet.queue.enqueue(fleet.job(text)) }
    #expect(fleet["a"].calls == 1)
    #expect(try await fleet["b"].texts == ["1", "2", "3"])
    fleet.clock.advance(by: .seconds(29))
    try await fleet.queue.enqueue(fleet.job("4"))
    #expect(fleet["a"].calls == 1)
  }

  @Test("A database that works again is used after the probe interval")
  func databaseThatIsBackIsUsedAgain() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    try await fleet.queue.enqueue(fleet.job("1"))
    fleet["a"].fault = .hangs
    fleet.clock.advance(by: .seconds(30))
    try await fleet.queue.enqueue(fleet.job("2"))  // It goes to the other, while somebody finds out.
    fleet["a"].fault = .none
    await fleet.log.wait(for: "recovered a")
    try await fleet.queue.enqueue(fleet.job("3"))
    #expect(try await fleet["a"].texts == ["3"])
    #expect(try await fleet["b"].texts == ["1", "2"])
  }

  @Test func whenAllAreDownTheErrorNamesEachAndItsCause() async throws {
    let fleet = try Fleet("a", "b", "c")
    fleet["a"].fault = .refuses(refused)
    fleet["b"].fault = .refuses(QudoError(.diskFull, "no room"))
    fleet["c"].fault = .refuses(QudoError(.corrupt, "damaged"))
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .unreachable)
    let troubles = try #require(error?.cause as? AllDatabasesUnavailable).failures
    #expect(
      troubles.map { "\($0.database) \($0.error.code)" } == ["a unreachable", "b diskFull", "c corrupt"])
    #expect("\(try #require(error))".contains("b: no room"))
  }

  @Test("If all databases are unavailable, they are probed before their time")
  func allUnavailableAreProbedEarly() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { driver.fault = .refuses(refused) }
    await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    fleet["b"].fault = .none
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "b")
  }

  @Test("A caller's error fails at once and makes no database unavailable")
  func callersErrorFailsAtOnce() async throws {
    let fleet = try Fleet("a", "b")
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(NewJob("")) }
    #expect(error?.code == .invalidArgument)
    #expect(fleet["b"].calls == 0 && fleet.log.lines == [])
    #expect(fleet.databases.states.map(\.status) == [.live, .live])
  }

  @Test func anUnknownOutcomeDoesNotFailOver() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .outcomeUnknown)
    #expect(fleet["b"].calls == 0)
    #expect(try await fleet["a"].texts == ["x"])
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "b", "the next one goes elsewhere")
  }

  @Test("With failover on unknown outcomes, the job may be in both databases")
  func failoverOnUnknownOutcomeMayDouble() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    fleet["a"].fault = .doneUnknown
    #expect(try await fleet.queue.enqueue(fleet.job("x")).id.database == "b")
    #expect(try await fleet["a"].texts == ["x"])
    #expect(try await fleet["b"].texts == ["x"])
  }

  @Test(
    "With failover on unknown outcomes, an enqueue that finds no other database reports the unknown outcome")
  func unknownOutcomeIsKeptWithoutAnother() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    fleet["a"].fault = .doneUnknown
    fleet["b"].fault = .refuses(refused)
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .outcomeUnknown && (error?.cause as? AllDatabasesUnavailable)?.failures.count == 2)
  }

  @Test(
    "With failover on unknown outcomes, an enqueue that is cancelled meanwhile reports the unknown outcome")
  func unknownOutcomeIsKeptWhenCancelled() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    fleet["a"].fault = .doneUnknown
    fleet["b"].fault = .refuses(QudoError(.cancelled, "the task was cancelled before anything was written"))
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .outcomeUnknown)
    #expect(try await fleet["a"].texts == ["x"])
  }

  @Test func shuffledSharesTheLoad() async throws {
    let fleet = try Fleet("a", "b", order: .shuffled)
    for _ in 0..<100 { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(fleet["a"].calls > 0 && fleet["b"].calls > 0)
  }

  @Test func manyJobsOfOneCallGoToOneDatabase() async throws {
    let fleet = try Fleet("a", "b", order: .shuffled)
    let results = try await fleet.queue.enqueue((0..<20).map { fleet.job("\($0)") })
    #expect(Set(results.map(\.id.database)).count == 1)
  }

  @Test func jobsAreFoundByTheirNames() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    let id = try await fleet.queue.enqueue(fleet.job("x")).id
    #expect(try await fleet.queue.job(id)?.kind == "a")
    #expect(try await fleet.queue.job(JobID(database: "c", number: 1)) == nil)
    await #expect(throws: QudoError.self) { try await fleet.queue.job(JobID(database: "a", number: 1)) }
  }

  @Test func aClosedQueueSaysSo() async throws {
    let fleet = try Fleet("a", "b")
    await fleet.queue.close()
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect((error?.cause as? AllDatabasesUnavailable)?.failures.map(\.error.code) == [.closed, .closed])
  }

  @Test func twoDatabasesOfOneNameAreRefused() throws {
    #expect(throws: QudoError.self) { try Fleet("a", "a") }
    #expect(throws: QudoError.self) { try Databases([]) }
    #expect(throws: QudoError.self) { try Fleet("a") { $0.probeInterval = .zero } }
    #expect(throws: QudoError.self) { try Fleet("a") { $0.callTimeout = .zero } }
  }
}

extension Fleet {
  /// Moves the clock on until the task has ended.
  ///
  /// - Parameter meanwhile: Called before each step of the clock.
  fileprivate func finish<Value: Sendable>(
    _ task: Task<Value, any Error>, meanwhile: () -> Void = {}
  ) async throws -> Value {
    let isOver = Locked(false)
    let watch = Task {
      defer { isOver.withLock { $0 = true } }
      return try await task.value
    }
    while !isOver.withLock({ $0 }) {
      meanwhile()
      clock.advance(by: .milliseconds(10))
      // Slowly, so that the databases answer before their time is over.
      try await Task.sleep(for: .milliseconds(2))
    }
    return try await watch.value
  }
}

/// Enqueues under idempotency keys, which can be repeated.
@Suite struct RepeatedEnqueueTests {
  private func job(_ text: String) -> NewJob {
    NewJob("a", payload: Payload(text), idempotencyKey: IdempotencyKey(text))
  }

  @Test("If the outcome is unknown, the enqueue repeats in the same database and is done once")
  func unknownOutcomeIsRepeatedInPlace() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let task = Task { try await fleet.queue.enqueue(job("x")) }
    await fleet["a"].arrived(1)
    await fleet.log.wait(for: "unavailable a")
    fleet["a"].fault = .none
    #expect(try await fleet.finish(task) == .existing(JobID(database: "a", number: 1)))
    #expect(try await fleet["a"].texts == ["x"])
    #expect(fleet["b"].calls == 0)
  }

  @Test("If the database refuses after an unknown outcome, the enqueue does not go to another one")
  func refusalAfterUnknownOutcomeStays() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let task = Task { try await fleet.queue.enqueue(job("x")) }
    await fleet["a"].arrived(1)
    fleet["a"].fault = .refuses(refused)
    let error = await #expect(throws: QudoError.self) { try await fleet.finish(task) }
    #expect(error?.code == .outcomeUnknown)
    #expect(fleet["b"].calls == 0)
  }

  @Test func withoutAKeyItIsNotAskedAgain() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    await #expect(throws: QudoError.self) { try await fleet.queue.enqueue([job("x"), fleet.job("y")]) }
    #expect(fleet["a"].calls == 1)
  }
}

/// Enqueues without keys of their own, whose outcome may be unknown.
@Suite struct UnknownOutcomeTests {
  @Test("where a network lies between, jobs get keys, and are stored once") func repeated() async throws {
    let fleet = try Fleet("a", "b") { $0.repeatsUnknown = true }
    fleet["a"].isRemote = true
    fleet["a"].fault = .doneUnknown
    let task = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet.log.wait(for: "unavailable a")
    fleet["a"].fault = .none
    #expect(
      try await fleet.finish(task) == .inserted(JobID(database: "a", number: 1)), "it is this enqueue's own")
    #expect(try await fleet["a"].texts == ["x"])
    #expect(fleet["b"].calls == 0)
  }

  @Test("a file's jobs get no keys") func file() async throws {
    let fleet = try Fleet("a", "b") { $0.repeatsUnknown = true }
    fleet["a"].fault = .doneUnknown
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .outcomeUnknown && fleet["a"].calls == 1)
  }

  @Test("what goes elsewhere is reported") func elsewhere() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let report = try await fleet.queue.enqueue([fleet.job("x")], onUnknown: .elsewhere)
    #expect(report.results == [.inserted(JobID(database: "b", number: 1))] && report.mayAlsoBeIn == ["a"])
    #expect(try await fleet["a"].texts == ["x"])
    let other = try await fleet.queue.enqueue([fleet.job("y")], onUnknown: .elsewhere)
    #expect(other.mayAlsoBeIn == [])
  }

  @Test("stop overrules failsOverOnUnknownOutcome, and a plain enqueue logs what may be doubled")
  func policies() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    fleet["a"].fault = .doneUnknown
    let error = await #expect(throws: QudoError.self) {
      try await fleet.queue.enqueue([fleet.job("x")], onUnknown: .stop)
    }
    #expect(error?.code == .outcomeUnknown && fleet["b"].calls == 0)
    #expect(
      try await fleet.queue.enqueue(fleet.job("y")).id.database == "b", "nothing is in doubt: a is set aside")
    #expect(!fleet.log.lines.contains("enqueue may be doubled b"))
    let twice = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    twice["a"].fault = .doneUnknown
    try await twice.queue.enqueue(twice.job("x"))
    #expect(twice.log.lines.contains("enqueue may be doubled b"))
  }

  @Test("an enqueue waits for a database until its deadline, if it is told to") func waits() async throws {
    let fleet = try Fleet("a", "b") { $0.waitsForOutages = true }
    for driver in fleet.drivers { driver.fault = .refuses(refused) }
    let task = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet.log.wait(for: "no database is available, waiting")
    fleet["b"].fault = .none
    #expect(try await fleet.finish(task).id.database == "b")
    fleet["b"].fault = .refuses(refused)
    let end = fleet.clock.sinceBoot() + 9_000_000
    let late = Task { try await fleet.queue.enqueue(fleet.job("y")) }
    let error = await #expect(throws: QudoError.self) { try await fleet.finish(late) }
    #expect(error?.code == .unreachable && (error?.cause as? AllDatabasesUnavailable)?.failures.count == 2)
    #expect(fleet.clock.sinceBoot() >= end)
  }

  @Test("what does not pass is not waited for") func lasting() async throws {
    let fleet = try Fleet("a") { $0.waitsForOutages = true }
    fleet["a"].fault = .refuses(QudoError(.corrupt, "damaged"))
    await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(fleet["a"].calls == 1)
  }

  @Test("while one is asked again, the next one is opened") func opensTheNext() async throws {
    let clock = ManualClock()
    let first = FaultyDriver("a", clock: clock)
    (first.isRemote, first.fault) = (true, .doneUnknown)
    let (openings, opened) = AsyncStream<Void>.makeStream()
    var options = DatabaseOptions()
    (options.order, options.repeatsUnknown, options.clock) = (.ordered, true, clock)
    options.logger = Logger(label: "fleet") { _ in LineLog() }
    let databases = try Databases(
      [
        Databases.Source(first),
        Databases.Source("b") { () async throws(QudoError) in
          opened.finish()
          return MemoryDriver(name: "b", clock: clock)
        },
      ], options: options)
    let task = Task { try await Queue(databases).enqueue([NewJob("k")], onUnknown: .elsewhere) }
    // The clock stands still: the first one's share of the time is not over.
    for await _ in openings {}
    first.fault = .none
    while databases.states.first?.status != .live {
      clock.advance(by: .milliseconds(10))
      try await Task.sleep(for: .milliseconds(2))
    }
    #expect(try await task.value.mayAlsoBeIn == [])
  }

  @Test("while it waits, a database with a lost answer is asked again under the same keys")
  func waitsForTheAnswer() async throws {
    let fleet = try Fleet("a", "b") {
      ($0.repeatsUnknown, $0.waitsForOutages, $0.callTimeout) = (true, true, .seconds(120))
    }
    fleet["a"].isRemote = true
    (fleet["a"].fault, fleet["b"].fault) = (.doneUnknown, .refuses(refused))
    let task = Task { try await fleet.queue.enqueue([fleet.job("x")], onUnknown: .elsewhere) }
    await fleet["a"].arrived(1)
    fleet["a"].fault = .refuses(refused)
    // Beside the clock's steps: a task of its own might come too late on a busy machine.
    let report = try await fleet.finish(task) {
      if fleet.log.lines.contains("no database is available, waiting") { fleet["a"].fault = .none }
    }
    #expect(report.results == [.inserted(JobID(database: "a", number: 1))] && report.mayAlsoBeIn == [])
    #expect(try await fleet["a"].texts == ["x"])
    #expect(try await fleet["b"].texts == [])
  }
}
