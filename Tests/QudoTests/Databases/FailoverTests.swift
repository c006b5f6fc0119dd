import Qudo
import QudoTesting
import Testing

@Suite struct FailoverTests {
  @Test func anEnqueueGoesOnToTheNextDatabaseWhenOneRefuses() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    let result = try await fleet.queue.enqueue(fleet.job("x"))
    #expect(result.id == JobID(database: "b", number: 1))
    #expect(fleet.log.lines == ["a database is set aside a"])
  }

  @Test func aDatabaseThatIsSetAsideIsNotAskedBeforeItsTime() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    for text in ["1", "2", "3"] { try await fleet.queue.enqueue(fleet.job(text)) }
    #expect(fleet["a"].calls == 1)
    #expect(try await fleet["b"].texts == ["1", "2", "3"])
    fleet.clock.advance(by: .seconds(29))
    try await fleet.queue.enqueue(fleet.job("4"))
    #expect(fleet["a"].calls == 1)
  }

  @Test func aDatabaseThatIsThereAgainIsUsedAgainAfterTheRetryTime() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .refuses(refused)
    try await fleet.queue.enqueue(fleet.job("1"))
    fleet["a"].fault = .hangs
    fleet.clock.advance(by: .seconds(30))
    try await fleet.queue.enqueue(fleet.job("2"))  // It goes to the other, while somebody finds out.
    fleet["a"].fault = .none
    await fleet.log.wait(for: "used again a")
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
    let troubles = try #require(error?.cause as? DatabasesDown).troubles
    #expect(troubles.map { "\($0.database) \($0.error.code)" } == ["a unreachable", "b diskFull", "c corrupt"])
    #expect("\(try #require(error))".contains("b: no room"))
  }

  @Test func whenAllAreSetAsideTheyAreAskedBeforeTheirTime() async throws {
    let fleet = try Fleet("a", "b")
    for driver in fleet.drivers { driver.fault = .refuses(refused) }
    await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    fleet["b"].fault = .none
    #expect(try await fleet.queue.enqueue(fleet.job("y")).id.database == "b")
  }

  @Test func whatTheCallerDidWrongFailsAtOnceAndSetsNothingAside() async throws {
    let fleet = try Fleet("a", "b")
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(NewJob("")) }
    #expect(error?.code == .invalidArgument)
    #expect(fleet["b"].calls == 0 && fleet.log.lines == [])
    #expect(fleet.databases.states.map(\.standing) == [.live, .live])
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

  @Test func whoChoseItFailsOverOnAnUnknownOutcomeAndHasTheJobTwice() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverUnknown = true }
    fleet["a"].fault = .doneUnknown
    #expect(try await fleet.queue.enqueue(fleet.job("x")).id.database == "b")
    #expect(try await fleet["a"].texts == ["x"])
    #expect(try await fleet["b"].texts == ["x"])
  }

  @Test func whoChoseItAndFindsNoOtherStillHearsThatItIsUnknown() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverUnknown = true }
    fleet["a"].fault = .doneUnknown
    fleet["b"].fault = .refuses(refused)
    let error = await #expect(throws: QudoError.self) { try await fleet.queue.enqueue(fleet.job("x")) }
    #expect(error?.code == .outcomeUnknown && (error?.cause as? DatabasesDown)?.troubles.count == 2)
  }

  @Test func whoChoseItAndIsCancelledMeanwhileStillHearsThatItIsUnknown() async throws {
    let fleet = try Fleet("a", "b") { $0.failsOverUnknown = true }
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
    #expect((error?.cause as? DatabasesDown)?.troubles.map(\.error.code) == [.closed, .closed])
  }

  @Test func twoDatabasesOfOneNameAreRefused() throws {
    #expect(throws: QudoError.self) { try Fleet("a", "a") }
    #expect(throws: QudoError.self) { try Databases([]) }
    #expect(throws: QudoError.self) { try Fleet("a") { $0.retry = .zero } }
    #expect(throws: QudoError.self) { try Fleet("a") { $0.deadline = .zero } }
  }
}

/// Enqueues under idempotency keys, which can be repeated.
@Suite struct RepeatedEnqueueTests {
  private func job(_ text: String) -> NewJob { NewJob("a", payload: Payload(text), idempotencyKey: IdempotencyKey(text)) }

  /// Moves the clock on until the task has ended.
  private func finish(_ fleet: Fleet, _ task: Task<EnqueueResult, any Error>) async throws -> EnqueueResult {
    let isOver = Locked(false)
    let watch = Task {
      defer { isOver.withLock { $0 = true } }
      return try await task.value
    }
    while !isOver.withLock({ $0 }) {
      fleet.clock.advance(by: .milliseconds(10))
      await Task.yield()
    }
    return try await watch.value
  }

  @Test func whatIsNotKnownIsAskedAgainInTheSameDatabaseAndDoneOnce() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let task = Task { try await fleet.queue.enqueue(job("x")) }
    await fleet["a"].arrived(1)
    await fleet.log.wait(for: "set aside a")
    fleet["a"].fault = .none
    #expect(try await finish(fleet, task) == .existing(JobID(database: "a", number: 1)))
    #expect(try await fleet["a"].texts == ["x"])
    #expect(fleet["b"].calls == 0)
  }

  @Test func aDatabaseThatThenRefusesDoesNotMakeItGoElsewhere() async throws {
    let fleet = try Fleet("a", "b")
    fleet["a"].fault = .doneUnknown
    let task = Task { try await fleet.queue.enqueue(job("x")) }
    await fleet["a"].arrived(1)
    fleet["a"].fault = .refuses(refused)
    let error = await #expect(throws: QudoError.self) { try await finish(fleet, task) }
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
