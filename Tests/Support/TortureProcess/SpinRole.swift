import Foundation
import Logging
import Qudo
import QudoSQLite

/// A worker whose jobs compute without ever suspending, on each thread of Swift's pool: `TortureProcess spin|spin-limited DATABASE LOG SEED`.
enum SpinRole {
  static let kind: Kind = "spin"
  static let concurrency = ProcessInfo.processInfo.activeProcessorCount

  static let lease = Duration.seconds(3)

  /// Each job takes more than three leases.
  static func work(_ driver: SQLiteDriver, _ log: LineLog) async throws {
    try await work(
      driver, log, policy: JobPolicy(leaseDuration: lease, maxExpiredLeases: 100), for: 9_500_000_000)
  }

  /// Each job has a time limit and does not notice that it was cancelled.
  static func limited(_ driver: SQLiteDriver, _ log: LineLog) async throws {
    try await work(driver, log, policy: JobPolicy(timeLimit: .milliseconds(50)), for: 60_000_000_000)
  }

  private static func work(_ driver: SQLiteDriver, _ log: LineLog, policy: JobPolicy, for length: UInt64)
    async throws
  {
    let handler = JobHandler(kind, policy: policy) { context in
      log.write("begin \(context.id.number)\n")
      let end = TortureProcess.nanoseconds() + length
      while TortureProcess.nanoseconds() < end {}
      log.write("end \(context.id.number)\n")
    }
    var options = WorkerOptions()
    options.concurrency = concurrency
    options.cancellationGracePeriod = .milliseconds(50)
    options.logger.logLevel = .critical
    try await Worker(Queue(driver), handlers: [handler], options: options).work()
  }
}
