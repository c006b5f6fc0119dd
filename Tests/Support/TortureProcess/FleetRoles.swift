#if MySQL
import Foundation
import Logging
import Qudo
import QudoMySQL
import QudoSQLite
import QudoTesting

/// What a process does with several databases, which are killed, stopped, held, filled up and brought back meanwhile: `TortureProcess
/// fleet-enqueue|fleet-work|fleet-stale DATABASE,DATABASE,... LOG SEED`. Jobs are named `DATABASE/ID` in its log.
struct FleetRoles {
  let databases: Databases
  let log: LineLog
  let urls: [DatabaseURL]

  /// - Parameter retry: how long a database is set aside.
  init(_ list: String, _ log: LineLog, retry: Duration = .seconds(1)) throws {
    self.log = log
    urls = try list.split(separator: ",").map { try DatabaseURL(parsing: String($0)) }
    var options = DatabaseOptions()
    options.probeInterval = retry
    options.callTimeout = .seconds(3)
    options.logger.logLevel = .critical
    databases = try Databases(
      urls.map { url in Databases.Source("\(url)") { () async throws(QudoError) in try await Self.open(url) }
      }, options: options)
  }

  private static func open(_ url: DatabaseURL) async throws(QudoError) -> any Driver {
    switch url.place {
    case .sqlite(let path): return try SQLiteDriver(path: path, durability: .normal, busyTimeout: .seconds(1))
    case .mysql(let server):
      let driver = try MySQLDriver(server)
      try await driver.connect()
      return driver
    }
  }

  /// Enqueues forever, some jobs under idempotency keys. An enqueue that fails is reported, and nothing is expected of
  /// it.
  func enqueue(_ random: inout Seeded, name: String) async throws {
    let queue = Queue(databases)
    for round in 0... {
      let jobs = (0..<Int.random(in: 1...3, using: &random)).map { number in
        let text = "\(name)-\(round)-\(number)"
        return NewJob(
          "torture", payload: Payload(text), idempotencyKey: round % 2 == 0 ? IdempotencyKey(text) : nil)
      }
      let start = TortureProcess.nanoseconds()
      let names = jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
      do {
        let results = try await queue.enqueue(jobs)
        let end = TortureProcess.nanoseconds()
        log.write(zip(names, results).map { "ack \($0) \(end) \(end - start) \($1.id.database)\n" }.joined())
      } catch let error as QudoError {
        let end = TortureProcess.nanoseconds()
        log.write("refused \(error.code) \(end) \(end - start)\n")
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...10, using: &random)))
    }
  }

  /// Works forever; some runs fail and are retried.
  func work() async throws {
    var policy = JobPolicy()
    policy.leaseDuration = .seconds(2)
    policy.maxRetries = .max
    policy.maxExpiredLeases = .max
    let handler = JobHandler("torture", policy: policy) { [log] context in
      if Int.random(in: 0..<10) == 0 { throw CancellationError() }
      log.write(
        "run \(String(decoding: context.payload.bytes, as: UTF8.self)) \(TortureProcess.nanoseconds()) \(context.database)\n"
      )
    }
    var options = WorkerOptions()
    options.concurrency = 4
    options.pollInterval = .milliseconds(500)
    options.logger.logLevel = .critical
    try await Worker(Queue(databases) { FleetClaimLog(log: log) }, handlers: [handler], options: options)
      .work()
  }

  /// Claims under leases that are too short and settles too late, wherever that is possible.
  func stale(_ random: inout Seeded) async throws {
    while true {
      let pause = Int.random(in: 0...60, using: &random)
      _ = await databases.forEachDriver { [log] driver throws(QudoError) in
        let request = ClaimRequest(
          [.init("torture", leaseDuration: .milliseconds(20), maxExpiredLeases: .max)], limit: 3)
        let jobs = try await driver.claim(request).jobs
        log.write(
          jobs.map { "claim \(driver.name)/\($0.id) \($0.lease.token) \(TortureProcess.nanoseconds())\n" }
            .joined())
        _ = try? await Task.sleep(for: .milliseconds(pause))
        for job in jobs {
          log.write(
            "run \(String(decoding: job.payload.bytes, as: UTF8.self)) \(TortureProcess.nanoseconds()) \(driver.name)\n"
          )
        }
        let start = TortureProcess.nanoseconds()
        let results = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
          .results
        log.write(
          zip(jobs, results).map { job, result in
            "settle \(driver.name)/\(job.id) \(job.lease.token) \(start) \(result == .leaseLost ? "lost" : "settled")\n"
          }.joined())
      }
      try await Task.sleep(for: .milliseconds(200))
    }
  }
}

/// Who had which job when. A claim is told of when it was answered.
private struct FleetClaimLog: Hook {
  static let points: HookPoints = [.willWork]
  let log: LineLog

  func willWork(_ context: JobContext) async throws {
    log.write("claim \(context.id) \(context.job.lease.token) \(TortureProcess.nanoseconds())\n")
  }
}
#endif
