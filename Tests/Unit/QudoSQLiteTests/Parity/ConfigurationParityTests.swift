import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The defaults of the Perl original, but for those that are meant to differ.
@Suite(
  "Perl: Qudo->new(databases, manager_abilities, find_job_limit_size, retry_seconds, work_delay, default_hooks, default_plugins)"
)
struct ConfigurationParityTests {
  let my: Harness

  init() throws { my = try Harness() }

  @Test("An idle worker polls every five seconds and is woken before") func idleWorkerPollsAndIsWoken() {
    #expect(WorkerOptions().pollInterval == .seconds(5))
  }

  @Test func oneJobRunsAtATime() { #expect(WorkerOptions().concurrency == 1) }

  @Test("Several databases are shuffled, and an unavailable one is skipped for 30 seconds")
  func databasesAreShuffledAndSkippedFor30s() {
    #expect(DatabaseOptions().order == .shuffled && DatabaseOptions().probeInterval == .seconds(30))
  }

  @Test func listsHaveTenRowsFromTheFirstOn() {
    #expect(LogQuery().limit == 10 && LogQuery().offset == 0 && LogQuery().kinds == nil)
  }

  @Test func aJobIsNotTriedAgainAndHasNoStatusUnlessAsked() {
    #expect(JobPolicy().maxRetries == 0 && !JobPolicy().recordsStatus)
    guard case .fixed(.zero) = JobPolicy().retryDelay else {
      Issue.record("the retry delay is \(JobPolicy().retryDelay)")
      return
    }
  }

  /// The original's is an hour, since nothing renews it.
  @Test func aLeaseIsAMinuteAndIsRenewed() { #expect(JobPolicy().leaseDuration == .seconds(60)) }

  @Test func aJobHasNoPriorityAndIsDueAtOnce() {
    #expect(
      NewJob("a").priority == 0 && NewJob("a").due == .now && NewJob("a").unique == nil
        && NewJob("a").payload.bytes == [])
  }

  /// The driver, hooks, plugins and handlers that the original is made with are values here, one place each.
  @Test func whatTheOriginalIsMadeWithHasAPlace() async throws {
    let log = Log()
    let queue = Queue(try SQLiteDriver(path: my.file.path), codecs: Codecs()) { SpyHook() }
    let worker = try Worker(
      queue, handlers: [handler("a", log)], plugins: [Printer(log: log)], options: WorkerOptions())
    #expect(try await worker.workOnce() == false)
    await queue.close()
  }
}
