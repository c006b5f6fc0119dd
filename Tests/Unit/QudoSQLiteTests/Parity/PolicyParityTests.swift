import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

@Suite("Perl: max_retries 0, retry_delay(job) 0, grab_for, set_job_status 0")
struct PolicyParityTests {
  let my: Harness
  let log = Log()

  init() throws { my = try Harness() }

  @Test(arguments: [0, 1, 3]) func aJobIsTriedAgainSoOften(retries: Int) async throws {
    try await my.queue.enqueue(NewJob("a"))
    let summary = try await my.worker([
      handler("a", log, policy: policy { $0.maxRetries = retries }) { _ in throw Broken() }
    ]).workUntilEmpty()
    #expect(summary.retried == retries && summary.failed == 1 && log.entries.count == retries + 1)
    #expect(
      try await my.driver.failures(LogQuery(oldestFirst: true)).map(\.isFinal) == Array(
        repeating: false, count: retries) + [true])
  }

  @Test func theRetryDelayMayFollowFromTheJob() async throws {
    try await my.queue.enqueue(NewJob("a", payload: Payload("5")))
    let delay = RetryDelay.computed { job, _ in
      .seconds(Int(String(decoding: job.payload.bytes, as: UTF8.self)) ?? 0)
    }
    let retries = policy {
      $0.maxRetries = 1
      $0.retryDelay = delay
    }
    let worker = try my.worker([handler("a", log, policy: retries) { if $0.attempt == 1 { throw Broken() } }])
    #expect(try await worker.workOnce())
    my.clock.advance(by: .milliseconds(4999))
    #expect(try await worker.workOnce() == false)
    my.clock.advance(by: .milliseconds(1))
    #expect(try await worker.workOnce())
    #expect(try await my.driver.count() == [])
  }

  /// A job whose own value says how long to wait.
  struct Patient: Job {
    static let kind: Kind = "patient"
    static var policy: JobPolicy { JobPolicy(maxRetries: 1, retryDelay: .fixed(.seconds(1))) }
    var wait: Int?
    func perform(_ context: JobContext) async throws { throw Broken() }
    func retryDelay(after attempt: Int, failure: any Error) -> Duration? {
      wait.map { .seconds($0 * attempt) }
    }
  }

  @Test(arguments: [(7, 7), (nil, 1)] as [(Int?, Int)]) func orFromItsValueAndFailure(
    wait: Int?, seconds: Int
  ) async throws {
    let id = try await my.queue.enqueue(Patient(wait: wait)).id
    #expect(try await my.worker([JobHandler(Patient.self)]).workOnce())
    #expect(try await my.queue.job(id)?.dueAt == my.clock.now().wall.advanced(by: .seconds(seconds)))
  }

  /// `grab_for`: a worker that dies holds its job for so long.
  @Test func theJobOfADeadWorkerRunsAgainAfterItsLease() async throws {
    try await my.queue.enqueue(NewJob("a"))
    #expect(try await my.driver.claim(demand(leaseDuration: .seconds(10))).jobs.count == 1)
    let worker = try my.worker([handler("a", log, policy: policy { $0.leaseDuration = .seconds(10) })])
    my.clock.advance(by: .milliseconds(9999))
    #expect(try await worker.workOnce() == false)
    my.clock.advance(by: .milliseconds(1))
    #expect(try await worker.workOnce())
  }

  @Test func theStatusLogIsOnOrOffByKind() async throws {
    try await my.queue.enqueue([NewJob("a"), NewJob("b")])
    try await my.worker([handler("a", log), handler("b", log, policy: policy { $0.recordsStatus = true })])
      .workUntilEmpty()
    #expect(try await my.driver.statuses(LogQuery()).map(\.kind) == ["b"])
  }
}
