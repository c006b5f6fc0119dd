import Qudo
import QudoSQLite
import QudoTesting
import Synchronization
import Testing

@Suite struct WorkerTests {
  let file: TemporaryFile
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
  }

  final class Log: Sendable {
    let entries = Mutex<[String]>([])
    func add(_ text: String) { entries.withLock { $0.append(text) } }
    var sorted: [String] { entries.withLock { $0.sorted() } }
  }
  struct Broken: Error {}

  @Test(arguments: [1, 7]) func eachJobRunsOnceAndNothingIsLeft(concurrency: Int) async throws {
    let log = Log()
    _ = try await driver.insert((0..<50).map { job("\($0)") } + [job("not mine", kind: "b")])
    let worker = try Worker(Queue(driver), [Ability("a") { log.add(String(decoding: $0.payload.bytes, as: UTF8.self)) }], concurrency: concurrency)
    #expect(try await worker.workUntilEmpty() .completed == 50)
    #expect(log.sorted == (0..<50).map { "\($0)" }.sorted())
    #expect(try await driver.count().map(\.kind) == ["b"])
  }

  @Test func aFailedJobIsRetriedAsOftenAsThePolicySays() async throws {
    let log = Log()
    var policy = JobPolicy()
    policy.maxRetries = 2
    _ = try await driver.insert([job()])
    let worker = try Worker(Queue(driver), [Ability("a", policy: policy) { log.add("\($0.attempt)"); throw Broken() }])
    let summary = try await worker.workUntilEmpty()
    #expect(summary.retried == 2 && summary.failed == 1)
    #expect(log.sorted == ["1", "2", "3"])
    #expect(try await driver.count() == [])
  }

  @Test func anAbortedJobIsNotRetried() async throws {
    var policy = JobPolicy()
    policy.maxRetries = 9
    _ = try await driver.insert([job()])
    #expect(try await Worker(Queue(driver), [Ability("a", policy: policy) { _ in throw Abort("no use") }]).workUntilEmpty().failed == 1)
  }

  @Test func aCancelledWorkerGivesItsJobsBackUncounted() async throws {
    _ = try await driver.insert([job()])
    let (started, signal) = AsyncStream<Void>.makeStream()
    var options = WorkerOptions()
    options.grace = .zero
    let worker = try Worker(Queue(driver), [Ability("a") { _ in signal.yield(); try await Task.sleep(for: .seconds(3600)) }], options: options)
    let work = Task { try await worker.workUntilEmpty() }
    for await _ in started { break }
    work.cancel()
    #expect(try await work.value.released == 1)
    #expect(try await driver.claim(want()).jobs.map(\.attempt) == [1])
  }

  @Test func aWorkerThatLostItsLeaseIsCancelledAndChangesNothing() async throws {
    let clock = ManualClock()
    let own = try file.open(clock: clock)
    let other = try file.open(clock: clock)
    _ = try await own.insert([job()])
    var policy = JobPolicy()
    policy.lease = .milliseconds(150)
    let (started, signal) = AsyncStream<Void>.makeStream()
    let worker = try Worker(Queue(own), [Ability("a", policy: policy) { _ in signal.yield(); try await Task.sleep(for: .seconds(3600)) }])
    let work = Task { try await worker.workUntilEmpty() }
    for await _ in started { break }
    clock.advance(by: .seconds(1))
    let taken = try await other.claim(want()).jobs
    #expect(taken.count == 1)
    _ = try await other.settle(taken.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(try await work.value.leaseLost == 1)
  }

  @Test func whatAWorkerCannotBeIsRefused() throws {
    let ability = Ability("a") { _ in }
    #expect(throws: QudoError.self) { try Worker(Queue(driver), []) }
    #expect(throws: QudoError.self) { try Worker(Queue(driver), [ability, ability]) }
    #expect(throws: QudoError.self) { try Worker(Queue(driver), [ability], concurrency: 0) }
  }
}
