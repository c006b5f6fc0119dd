import CSQLite
import Foundation
import Logging
import Qudo
import QudoSQLite
import QudoTesting

/// Opens a file and does with it all that can be done.
struct Work {
  let path: String
  /// What no error may be: `code: message`.
  private(set) var bad: [String] = []
  /// How often which code came.
  private(set) var codes: [String: Int] = [:]

  init(_ path: String) { self.path = path }

  /// - Returns: the code of the refusal, or nil if it was opened.
  mutating func run() async -> String? {
    let clock = ManualClock(sinceBoot: 3_000_000)
    let driver: SQLiteDriver
    do throws(QudoError) {
      driver = try SQLiteDriver(
        path: path, durability: .off, busyTimeout: .seconds(5), clock: clock, logger: quiet)
    } catch {
      judge(error, opening: true)
      return error.code.description
    }
    for round in 0..<2 {
      await use(driver, clock, round)
      await work(driver)
      clock.advance(by: .seconds(7200))
    }
    await attempt { _ = try await driver.compact() }
    await driver.close()
    return nil
  }

  private var quiet: Logger {
    var logger = Logger(label: "hostile")
    logger.logLevel = .critical
    return logger
  }

  private mutating func use(_ driver: SQLiteDriver, _ clock: ManualClock, _ round: Int) async {
    await attempt { _ = try await driver.count() }
    await attempt { _ = try await driver.jobs(matching: JobQuery()) }
    await attempt {
      _ = try await driver.jobs(matching: JobQuery(kinds: Healthy.kinds, states: [.running, .delayed]))
    }
    await attempt { _ = try await driver.jobs(matching: JobQuery(ids: Array(-2...50))) }
    await attempt { _ = try await driver.failures(LogQuery(limit: 1000)) }
    await attempt { _ = try await driver.statuses(LogQuery(oldestFirst: true, limit: 1000)) }
    var jobs = (0..<5).map { NewJob(Healthy.kinds[$0 % 3], payload: Payload("new \($0)"), priority: $0) }
    jobs[1].due = .after(.seconds(1))
    jobs[2].unique = UniqueKey("new", onConflict: .overwrite)
    jobs[3].idempotencyKey = IdempotencyKey("once 3")
    jobs[4].kind = "new.kind"
    await attempt { _ = try await driver.insert(jobs) }
    await attempt { _ = try await driver.insert([NewJob("a", unique: UniqueKey("key 0"))]) }
    let want = ClaimRequest(
      (Healthy.kinds + (0..<8).map { Kind("none \($0)") }).map { .init($0, leaseDuration: .seconds(30)) },
      limit: 20)
    var claimed: [ClaimedJob] = []
    await attempt { claimed += try await driver.claim(ClaimRequest([.init("a")], limit: 1)).jobs }
    await attempt {
      claimed += try await driver.claim(ClaimRequest([.init("b", leaseDuration: .seconds(1))], limit: .max))
        .jobs
    }
    await attempt { claimed += try await driver.claim(want).jobs }
    await attempt { _ = try await driver.renew(claimed.map(\.lease), for: .seconds(Int64.max)) }
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: "broke"), .retry(after: .seconds(Int64.max), message: "again"),
      .aborted(message: "no use"),
      .snoozed(.seconds(5), countsAttempt: true),
      .completed(replacements: [NewJob("b", unique: UniqueKey("key 4"))]), .released,
    ]
    let settlements = claimed.enumerated().map {
      Settlement($1.lease, outcomes[$0 % outcomes.count], recording: .milliseconds(1))
    }
    let old = Lease(job: 3, token: 77, holder: 1, expiresAt: 61_000_000)
    await attempt {
      _ = try await driver.settle(
        settlements + [Settlement(old, .completed())], claiming: round == 0 ? want : nil)
    }
    await attempt { _ = try await driver.promote(limit: 100) }
    await attempt { _ = try await driver.replay([1, 2, 3, .max, .min]) }
    await attempt { _ = try await driver.prune(PruneOptions(before: clock.now().wall, keep: 3)) }
  }

  /// The worker's own arithmetic, with attempts, times and kinds as they are in the file.
  private mutating func work(_ driver: SQLiteDriver) async {
    struct Broken: Error {}
    var policy = JobPolicy(
      maxRetries: 3, retryDelay: .exponential(base: .seconds(1), cap: .seconds(3600), jitter: 0.5))
    policy.recordsStatus = true
    var options = WorkerOptions()
    options.outageTimeout = .zero
    options.logger = quiet
    let handlers = Healthy.kinds.map { kind in
      JobHandler(kind, policy: policy) { context in if context.job.id % 2 == 0 { throw Broken() } }
    }
    await attempt {
      let worker = try Worker(Queue(driver), handlers: handlers, options: options)
      for _ in 0..<5 where try await worker.workOnce() {}
    }
  }

  private mutating func attempt(_ body: () async throws -> Void) async {
    do { try await body() } catch let error as QudoError { judge(error, opening: false) } catch {
      noteForeign(error)
    }
  }

  mutating func noteForeign(_ error: any Error) { bad.append("not a QudoError: \(error)") }

  /// Whether an error says what is wrong, and names the file where it is the file that is wrong.
  mutating func judge(_ error: QudoError, opening: Bool) {
    codes[error.code.description, default: 0] += 1
    let odd: [QudoError.Code] = [
      .outcomeUnknown, .busy, .closed, .cancelled, .diskFull, .outOfMemory, .invalidArgument, .database,
    ]
    if odd.contains(error.code) { bad.append("\(error.code): \(error)") }
    let names =
      opening
      || [.corrupt, .notADatabase, .unsupportedDatabase, .cannotOpen, .readOnly, .foreignSchema].contains(
        error.code)
    let file = URL(fileURLWithPath: path).lastPathComponent
    if names, !error.message.contains(file), error.code != .closed {
      bad.append("does not name the file: \(error)")
    }
    if !error.message.contains(":") && error.message.count < 20 {
      bad.append("does not say what to do: \(error)")
    }
  }
}

/// Whether what was planted has run. A pipe next to the file would keep SQLite waiting.
func isMarked(_ path: String) -> Bool {
  for ending in ["", "-wal", "-shm", "-journal"] {
    var info = stat()
    if lstat(path + ending, &info) == 0, info.st_mode & S_IFMT != S_IFREG { return false }
  }
  guard let raw = try? Raw(path), let rows = try? raw.column("SELECT what FROM qudo_mark LIMIT 1") else {
    return false
  }
  return !rows.isEmpty
}
