import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

@Suite("Perl: work(delay), work_once; manager_abilities, can_do, has_abilities")
struct WorkParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  @Test func workOnceTellsWhetherThereWasAJob() async throws {
    let worker = try my.worker([handler("a", log)])
    #expect(try await worker.workOnce() == false)
    try await my.queue.enqueue([NewJob("a", payload: Payload("1")), NewJob("a", payload: Payload("2"))])
    #expect(try await worker.workOnce())
    #expect(log.entries == ["a 1"])
    #expect(try await worker.workOnce())
    #expect(try await worker.workOnce() == false)
  }

  @Test func aJobThatFailsWasAJobToo() async throws {
    try await my.queue.enqueue(NewJob("a"))
    let worker = try my.worker([handler("a", log) { _ in throw Broken() }])
    #expect(try await worker.workOnce())
    #expect(try await worker.workOnce() == false)
  }

  /// The original sleeps between two looks.
  @Test("The worker runs until it is cancelled, and an enqueue wakes it")
  func workEndsOnlyByCancellation() async throws {
    let worker = try my.worker([handler("a", log)])
    let work = Task { try await worker.work() }
    for number in 1...3 {
      try await my.queue.enqueue(NewJob("a", payload: Payload("\(number)")))
      await log.count(number)
    }
    work.cancel()
    #expect(try await work.value.completed == 3)
    #expect(log.entries == ["a 1", "a 2", "a 3"])
  }

  @Test func jobsOfOtherKindsAreLeftAsTheyAre() async throws {
    try await my.queue.enqueue([NewJob("a", payload: Payload("1")), NewJob("b", payload: Payload("2"))])
    let before = try await my.driver.jobs(matching: JobQuery(kinds: ["b"]))
    let worker = try my.worker([handler("a", log)])
    #expect(try await worker.workUntilEmpty().completed == 1)
    #expect(try await my.driver.jobs(matching: JobQuery()) == before)
    #expect(try await my.driver.failures(LogQuery()) == [])
  }

  @Test func aWorkerWithoutAbilitiesIsRefused() throws {
    let error = #expect(throws: QudoError.self) { try my.worker([]) }
    #expect(error?.code == .invalidArgument && error?.message.contains("no handlers") == true)
  }

  @Test func theHighestPriorityRunsFirst() async throws {
    for priority in [3, 9, 1, 10, 5, 7, 2, 8, 4, 6] {
      try await my.queue.enqueue(NewJob("a", payload: Payload("\(priority)"), priority: priority))
    }
    let worker = try my.worker([handler("a", log)])
    for _ in 0..<10 { #expect(try await worker.workOnce()) }
    #expect(log.entries == (1...10).reversed().map { "a \($0)" })
  }

  @Test func aJobThatRunsIsNotFoundASecondTime() async throws {
    try await my.queue.enqueue(NewJob("a"))
    let other = try Worker(
      Queue(try my.file.open(clock: my.clock)), handlers: [handler("a", log)], options: my.options())
    let worker = try my.worker([
      handler("a", log) { [log] _ in log.add("other: \(try await other.workOnce())") }
    ])
    #expect(try await worker.workOnce())
    #expect(log.entries == ["a ", "other: false"])
  }
}
