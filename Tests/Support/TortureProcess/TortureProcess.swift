import Foundation
import Logging
import Qudo
import QudoSQLite
import QudoTesting

/// A process that is meant to be killed: `TortureProcess ROLE DATABASE LOG SEED`.
///
/// What it has done it writes to its log, a line at a time, each with one write: what stands there has happened.
@main
struct TortureProcess {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 5, let seed = UInt64(arguments[4]) else {
      FileHandle.standardError.write(
        Data(
          "usage: TortureProcess enqueue|work|control|hold|spin|spin-limited|limit-enqueue|limit-work|limit-drain|stale|hold-turn|hold-transaction|backup|restore DATABASE LOG SEED\n"
            .utf8))
      exit(64)
    }
    let log = try LineLog(arguments[3])
    var random = Seeded(seed: seed)
    switch arguments[1] {
    case "hold-turn": try Holder.turn(arguments[2], log)
    case "hold-transaction": try Holder.transaction(arguments[2], log)
    case "backup": return try await BackupRoles.backup(arguments[2], log, step: Int(seed))
    case "restore": return try await BackupRoles.restore(arguments[2], log, step: Int(seed))
    default: break
    }
    #if MySQL
    switch arguments[1] {
    case "fleet-enqueue": return try await FleetRoles(arguments[2], log).enqueue(&random, name: "\(seed)")
    case "fleet-work": return try await FleetRoles(arguments[2], log).work()
    case "fleet-stale": return try await FleetRoles(arguments[2], log).stale(&random)
    case "server-enqueue", "server-work", "server-work-each", "server-control":
      // Where a database is set aside for long, little happens to it meanwhile.
      let roles = try FleetRoles(
        arguments[2], log, retry: [.milliseconds(50), .milliseconds(200), .seconds(1)][Int(seed % 3)])
      if arguments[1] == "server-enqueue" { return try await roles.produce(&random, name: "\(seed)") }
      if arguments[1] == "server-control" {
        var control = ServerControl(roles, log, random, name: "\(seed)", number: seed)
        return try await control.run()
      }
      return try await arguments[1] == "server-work" ? roles.serve() : roles.serveEach()
    default: break
    }
    #endif
    let driver = try SQLiteDriver(
      path: arguments[2], durability: Bool.random(using: &random) ? .full : .normal)
    switch arguments[1] {
    case "enqueue": try await enqueue(driver, log, &random, name: "\(seed)")
    case "work": try await work(driver, log)
    case "control":
      var control = FileControl(driver, log, random, name: "\(seed)")
      try await control.run()
    case "hold": try await hold(driver, log)
    case "spin": try await SpinRole.work(driver, log)
    case "spin-limited": try await SpinRole.limited(driver, log)
    case "limit-enqueue": try await LimitRoles.enqueue(driver, log, &random, name: "\(seed)")
    case "limit-work": try await LimitRoles.work(driver, log)
    case "limit-drain": try await LimitRoles.work(driver, log, drains: true)
    default: try await stale(driver, log, &random)
    }
  }

  /// Enqueues forever: single jobs of several callers at once, and batches; some delayed, some urgent.
  private static func enqueue(_ driver: SQLiteDriver, _ log: LineLog, _ random: inout Seeded, name: String)
    async throws
  {
    for round in 0... {
      let callers = Int.random(in: 1...4, using: &random)
      let batches = (0..<callers).map { caller in
        (0..<Int.random(in: 1...5, using: &random)).map { number in
          NewJob(
            "torture", payload: Payload("\(name)-\(round)-\(caller)-\(number)"),
            priority: Int.random(in: -2...2, using: &random),
            due: Bool.random(using: &random)
              ? .now : .after(.milliseconds(Int.random(in: 0...50, using: &random))))
        }
      }
      try await withThrowingTaskGroup { group in
        for batch in batches {
          group.addTask {
            _ = try await driver.insert(batch)
            log.write(batch.map { "ack \(String(decoding: $0.payload.bytes, as: UTF8.self))\n" }.joined())
          }
        }
        try await group.waitForAll()
      }
    }
  }

  /// Works forever; some runs fail and are retried.
  private static func work(_ driver: SQLiteDriver, _ log: LineLog) async throws {
    var policy = JobPolicy()
    policy.leaseDuration = ClaimLog.lease
    policy.maxRetries = .max
    policy.maxExpiredLeases = .max
    policy.recordsStatus = true
    let perform: @Sendable (JobContext) async throws -> Void = { context in
      if Int.random(in: 0..<10) == 0 { throw CancellationError() }
      if Int.random(in: 0..<50) == 0 { try await Task.sleep(for: .milliseconds(Int.random(in: 0...20))) }
      log.write("run \(String(decoding: context.payload.bytes, as: UTF8.self))\n")
    }
    var options = WorkerOptions()
    options.concurrency = 4
    options.logger.logLevel = .critical
    // The logs are to show how each job has ended.
    options.retention = nil
    let handlers = FileControl.kinds.map { JobHandler($0, policy: policy, perform: perform) }
    try await Worker(Queue(driver) { ClaimLog(log: log) }, handlers: handlers, options: options).work()
  }

  /// Holds what it claims, under leases that outlive the torture, until it is killed.
  private static func hold(_ driver: SQLiteDriver, _ log: LineLog) async throws {
    var policy = JobPolicy()
    policy.leaseDuration = .seconds(86_400)
    policy.maxExpiredLeases = .max
    let handler = JobHandler("held", policy: policy) { context in
      log.write("begin \(String(decoding: context.payload.bytes, as: UTF8.self)) \(nanoseconds())\n")
      try await Task.sleep(for: .seconds(86_400))
    }
    try await Worker(Queue(driver), handlers: [handler], concurrency: 4).work()
  }

  /// Claims under leases that are too short and settles too late.
  private static func stale(_ driver: SQLiteDriver, _ log: LineLog, _ random: inout Seeded) async throws {
    while true {
      let request = ClaimRequest(
        [.init("torture", leaseDuration: .milliseconds(20), maxExpiredLeases: .max)], limit: 5)
      let jobs = try await driver.claim(request).jobs
      log.write(jobs.map { ClaimLog.line($0, lease: .milliseconds(20)) }.joined())
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...40, using: &random)))
      for job in jobs { log.write("run \(String(decoding: job.payload.bytes, as: UTF8.self))\n") }
      let start = nanoseconds()
      let results = try await driver.settle(
        jobs.map { Settlement($0.lease, .completed(), recording: .zero) }, claiming: nil
      ).results
      let lines = zip(jobs, results).map { job, result in
        "settle \(job.id) \(job.lease.token) \(start) \(result == .leaseLost ? "lost" : "settled")\n"
      }
      log.write(lines.joined())
    }
  }

  static func nanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }
}

/// Who had which job when, so that a stale settle which is accepted shows.
private struct ClaimLog: Hook {
  static let points: HookPoints = .didClaim
  static let lease = Duration.milliseconds(300)
  let log: LineLog

  func didClaim(_ job: borrowing ClaimedJob) { log.write(Self.line(job, lease: Self.lease)) }

  /// Who has it, since when it is known, and when it was claimed, by the clock of the leases.
  static func line(_ job: borrowing ClaimedJob, lease: Duration) -> String {
    let claimed = job.lease.expiresAt - lease.wholeMicroseconds
    return
      "claim \(job.id) \(job.lease.token) \(TortureProcess.nanoseconds()) \(claimed) \(job.kind)\n"
  }
}

/// A file that lines are appended to.
final class LineLog: Sendable {
  private let file: Int32

  init(_ path: String) throws {
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw CocoaError(.fileWriteUnknown) }
  }

  func write(_ lines: String) {
    var lines = lines
    lines.withUTF8 { bytes in
      let written = Foundation.write(file, bytes.baseAddress, bytes.count)
      if written != bytes.count { exit(70) }
    }
  }
}
