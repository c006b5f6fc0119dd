import Foundation
import Logging
import Qudo
import QudoSQLite
import QudoTesting

/// Jobs whose kinds and concurrency keys have limits and rates: `TortureProcess limit-enqueue|limit-work|limit-drain DATABASE LOG SEED`.
///
/// A job's payload is the name of what limits it, and a name of its own: `key-3:17-4-0`.
enum LimitRoles {
  /// Of kind `limited`, 3 run at once over all processes; of kind `rated`, 50 begin in a second. Jobs of kind `keyed` have one of nine
  /// keys, which admit 1, 2 or 3, or one of three with a limit of 2 and a rate of 20 in a second.
  static let (maxRunning, kindRate) = (3, RateLimit(50, per: .seconds(1), burst: 4))
  private static let keyRate = RateLimit(20, per: .seconds(1), burst: 2)
  /// The maximum number of waiting jobs of a kind.
  private static let mostWaiting = 200
  private static let lease = Duration.seconds(60)

  /// Enqueues forever, a few jobs at a time.
  static func enqueue(_ driver: SQLiteDriver, _ log: LineLog, _ random: inout Seeded, name: String)
    async throws
  {
    for round in 0... {
      let jobs = (0..<Int.random(in: 1...6, using: &random)).map {
        job("\(name)-\(round)-\($0)", &random)
      }
      if try await insert(jobs, driver) {
        log.write(jobs.map { "ack \(String(decoding: $0.payload.bytes, as: UTF8.self))\n" }.joined())
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 1...30, using: &random)))
    }
  }

  /// - Returns: False if the queue is full: the workers catch up.
  private static func insert(_ jobs: [NewJob], _ driver: SQLiteDriver) async throws(QudoError) -> Bool {
    do {
      _ = try await driver.insert(jobs)
      return true
    } catch {
      guard error.code == .queueFull else { throw error }
      return false
    }
  }

  private static func job(_ name: String, _ random: inout Seeded) -> NewJob {
    let due: Due =
      Int.random(in: 0..<4, using: &random) == 0
      ? .after(.milliseconds(Int.random(in: 0...50, using: &random))) : .now
    let full = MaxWaiting.refuse(mostWaiting)
    switch Int.random(in: 0..<16, using: &random) {
    case 0..<3: return NewJob("limited", payload: Payload("limited:\(name)"), due: due, maxWaiting: full)
    case 3: return NewJob("rated", payload: Payload("rated:\(name)"), due: due, maxWaiting: full)
    case 4..<13:
      let key = Int.random(in: 0..<9, using: &random)
      return NewJob(
        "keyed", payload: Payload("key-\(key):\(name)"),
        concurrencyKey: ConcurrencyKey("key-\(key)", limit: key % 3 + 1), due: due, maxWaiting: full)
    default:
      let key = "slow-\(Int.random(in: 0..<3, using: &random))"
      return NewJob(
        "keyed", payload: Payload("\(key):\(name)"),
        concurrencyKey: ConcurrencyKey(key, limit: 2, rate: keyRate), due: due, maxWaiting: full)
    }
  }

  /// The handlers of all kinds. Some runs fail and are retried; a job of a key keeps its place meanwhile.
  private static func handlers(_ log: LineLog) -> [JobHandler] {
    (["limited", "rated", "keyed"] as [Kind]).map { kind in
      var policy = JobPolicy()
      (policy.leaseDuration, policy.maxRetries, policy.maxExpiredLeases) = (lease, .max, .max)
      policy.retryDelay = .fixed(.milliseconds(5))
      policy.recordsStatus = true
      if kind == "limited" { policy.maxRunning = maxRunning }
      if kind == "rated" { policy.rate = kindRate }
      return JobHandler(kind, policy: policy) { context in
        let name = String(decoding: context.payload.bytes, as: UTF8.self)
        log.write("begin \(name) \(context.id.number) \(TortureProcess.nanoseconds())\n")
        defer { log.write("end \(name) \(context.id.number) \(TortureProcess.nanoseconds())\n") }
        if Bool.random() { try await Task.sleep(for: .milliseconds(Int.random(in: 0...30))) }
        if Int.random(in: 0..<12) == 0 { throw CancellationError() }
      }
    }
  }

  /// Works until it is killed, or, if it drains, until no job is left.
  static func work(_ driver: SQLiteDriver, _ log: LineLog, drains: Bool = false) async throws {
    var options = WorkerOptions(concurrency: 6, retention: nil)
    options.logger.logLevel = .critical
    // A job that is claimed begins at once.
    options.maxPrefetch = 0
    let queue = Queue(driver) { LimitLog(log: log, lease: lease) }
    let worker = try Worker(queue, handlers: handlers(log), options: options)
    if drains { try await worker.workUntilEmpty() } else { try await worker.work() }
  }
}

/// When which job was claimed, by the clock of the leases: `claim NAME MICROSECONDS`.
private struct LimitLog: Hook {
  static let points: HookPoints = .didClaim
  let log: LineLog
  let lease: Duration

  func didClaim(_ job: borrowing ClaimedJob) {
    let claimed = job.lease.expiresAt - lease.wholeMicroseconds
    log.write("claim \(String(decoding: job.payload.bytes, as: UTF8.self)) \(claimed)\n")
  }
}
