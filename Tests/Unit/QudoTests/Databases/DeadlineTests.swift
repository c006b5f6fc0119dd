import Qudo
import QudoTesting
import Testing

@Suite struct DeadlineTests {
  @Test("A database that hangs delays an enqueue only until the deadline")
  func hangingDatabaseCostsAnEnqueueItsDeadline() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .hangs
    let enqueue = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet["a"].arrived(1)
    await fleet.clock.sleepers(atLeast: 1)
    #expect(fleet.clock.nextWake == fleet.clock.sinceBoot() + 10_000_000)
    fleet.clock.advance(by: .seconds(10))
    let error = await #expect(throws: QudoError.self) { try await enqueue.value }
    #expect(error?.code == .outcomeUnknown, "it may be written when the database goes on")
    #expect(fleet["b"].calls == 0)
    #expect(fleet.databases.states.map(\.status) == [.unavailable, .live])
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "b")
    fleet["a"].fault = .none
  }

  @Test func theDeadlineCanBeTheCallers() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .hangs
    let queue = try fleet.queue.withTimeout(.seconds(2))
    let enqueue = Task { try await queue.enqueue(fleet.job("x")) }
    await fleet["a"].arrived(1)
    await fleet.clock.sleepers(atLeast: 1)
    fleet.clock.advance(by: .seconds(2))
    let error = await #expect(throws: QudoError.self) { try await enqueue.value }
    #expect(error?.code == .outcomeUnknown)
    #expect(throws: QudoError.self) { try fleet.queue.withTimeout(.zero) }
    fleet["a"].fault = .none
  }

  @Test func oneDatabaseCanHaveADeadlineToo() async throws {
    let queue = try Queue(MemoryDriver()).withTimeout(.seconds(3600))
    #expect(try await queue.enqueue(NewJob("a")).id.database == "memory")
  }

  @Test func whoChoseItGoesOnToTheNextWithinTheDeadline() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverOnUnknownOutcome = true }
    fleet["a"].fault = .hangs
    let enqueue = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet["a"].arrived(1)
    await fleet.clock.sleepers(atLeast: 1)
    fleet.clock.advance(by: .seconds(5))
    #expect(try await enqueue.value.id.database == "b")
    #expect(try await fleet["a"].texts == [])
    fleet["a"].fault = .none
  }

  @Test func aLateAnswerMakesTheDatabaseLiveAgain() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .hangs
    let enqueue = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet["a"].arrived(1)
    await fleet.clock.sleepers(atLeast: 1)
    fleet.clock.advance(by: .seconds(10))
    await #expect(throws: QudoError.self) { try await enqueue.value }
    fleet["a"].fault = .none
    await fleet.log.wait(for: "recovered a")
    #expect(try await fleet["a"].texts == ["x"], "it was written after all")
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "a")
  }

  @Test func whileOneOwesAnAnswerOthersAreAskedFirst() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .hangs
    let enqueue = Task { try await fleet.queue.enqueue(fleet.job("x")) }
    await fleet["a"].arrived(1)
    fleet.clock.advance(by: .milliseconds(1500))
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "b")
    fleet["a"].fault = .none
    #expect(try await enqueue.value.id.database == "a")
  }

  @Test func aProbeThatHangsHoldsNoEnqueueUp() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    try await fleet.queue.enqueue(fleet.job("1"))
    fleet["a"].fault = .hangs
    fleet.clock.advance(by: .seconds(30))
    try await fleet.queue.enqueue(fleet.job("2"))
    await fleet["a"].arrived(2)
    try await fleet.queue.enqueue(fleet.job("3"))
    #expect(fleet.databases.states.map(\.status) == [.probing, .live])
    #expect(fleet["a"].calls == 2, "one finds out, the others go elsewhere")
    #expect(try await fleet["b"].texts == ["1", "2", "3"])
    fleet["a"].fault = .none
    await fleet.log.wait(for: "recovered a")
  }

  @Test("An enqueue that is cancelled before it begins writes nothing")
  func cancelledEnqueueWritesNothing() async throws {
    let fleet = try Fleet("a", "b")
    let queue = fleet.queue
    let task = Task { () async throws -> EnqueueResult in
      withUnsafeCurrentTask { $0?.cancel() }
      return try await queue.enqueue(fleet.job("x"))
    }
    let error = await #expect(throws: QudoError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    #expect(fleet["a"].calls == 0)
  }
}

@Suite struct OpeningTests {
  private func databases(
    _ clock: ManualClock, _ sources: [Databases.Source], order: DatabaseOptions.Order = .ordered
  ) throws -> Databases {
    var options = DatabaseOptions()
    options.clock = clock
    options.order = order
    return try Databases(sources, options: options)
  }

  @Test("A database is opened on its first use and then kept open")
  func databaseIsOpenedOnFirstUse() async throws {
    let clock = ManualClock()
    let opened = Locked(0)
    let driver = MemoryDriver(name: "real", clock: clock)
    let source = Databases.Source("given") { () async throws(QudoError) in
      opened.withLock { $0 += 1 }
      return driver
    }
    let databases = try databases(clock, [source])
    #expect(databases.states.map(\.status) == [.unopened] && databases.names == ["given"])
    for _ in 0..<3 { #expect(try await Queue(databases).enqueue(NewJob("a")).id.database == "real") }
    #expect(opened.withLock { $0 } == 1 && databases.names == ["real"])
  }

  @Test("A database that cannot be opened is skipped and tried again later")
  func unopenableDatabaseIsTriedLater() async throws {
    let clock = ManualClock()
    let isThere = Locked(false)
    let a = MemoryDriver(name: "a", clock: clock)
    let source = Databases.Source("a") { () async throws(QudoError) in
      guard isThere.withLock({ $0 }) else { throw QudoError(.cannotOpen, "no such folder") }
      return a
    }
    let queue = Queue(try databases(clock, [source, .init(MemoryDriver(name: "b", clock: clock))]))
    #expect(try await queue.enqueue(NewJob("a")).id.database == "b")
    isThere.withLock { $0 = true }
    #expect(try await queue.enqueue(NewJob("a")).id.database == "b", "its time has not come")
    clock.advance(by: .seconds(30))
    _ = await queue.databases.count()
    #expect(try await queue.enqueue(NewJob("a")).id.database == "a")
  }

  @Test("A database that hangs while it is opened takes only its share of the time")
  func hangingOpeningTakesOnlyItsShare() async throws {
    let clock = ManualClock()
    let gate = FaultyDriver("a", clock: clock)
    gate.fault = .hangs
    let source = Databases.Source("a") { () async throws(QudoError) in
      _ = try await gate.promote(limit: 1)
      return gate
    }
    let queue = Queue(try databases(clock, [source, .init(MemoryDriver(name: "b", clock: clock))]))
    let enqueue = Task { try await queue.enqueue(NewJob("a")) }
    await gate.arrived(1)
    await clock.sleepers(atLeast: 2)
    clock.advance(by: .seconds(5))
    #expect(try await enqueue.value.id.database == "b", "nothing had been sent to the other")
    gate.fault = .none
  }

  @Test("A database with the name of another one is refused when it is opened")
  func duplicateNameIsFoundWhenOpened() async throws {
    let clock = ManualClock()
    let other = MemoryDriver(name: "a", clock: clock)
    let source = Databases.Source("second") { () async throws(QudoError) in other }
    let databases = try databases(clock, [source, .init(MemoryDriver(name: "a", clock: clock))])
    let queue = Queue(databases)
    #expect(try await queue.enqueue(NewJob("k")).id == JobID(database: "a", number: 1))
    #expect(databases.states[0].failure?.message.contains("two databases have the name a") == true)
  }
}
