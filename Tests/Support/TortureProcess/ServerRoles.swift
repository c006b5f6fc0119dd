#if MySQL
import Foundation
import Logging
import Qudo
import QudoMySQL
import QudoTesting

/// What the processes of the torture of servers do: `TortureProcess server-enqueue|server-work|server-work-each URL,URL,... LOG SEED`.
///
/// A payload is `NAME:WHAT`, and `NAME:WHAT:changed` if it was changed; what says how the job's run ends.
extension FleetRoles {
  static let kinds: [Kind] = ["torture", "other"]
  /// Of ``ServerControl``.
  static let pausedKinds = (0..<8).map { Kind("paused\($0)") }
  static let ways = [
    "runs", "runs", "runs", "runs", "waits", "waits", "fails", "snoozes", "aborts", "replaces",
  ]

  private struct Failure: Error {}

  /// Enqueues forever, jobs of every sort.
  func produce(_ random: inout Seeded, name: String) async throws {
    let queue = Queue(databases)
    for round in 0... {
      let hasKeys = Bool.random(using: &random)
      let jobs =
        (0..<Int.random(in: Int.random(in: 0..<16, using: &random) == 0 ? 10...60 : 1...3, using: &random))
        .map { number in
          let text = "\(name)-\(round)-\(number)"
          return NewJob(
            Self.kinds.randomElement(using: &random) ?? "torture",
            payload: Payload("\(text):\(Self.ways.randomElement(using: &random) ?? "runs")"),
            unique: Int.random(in: 0..<8, using: &random) == 0
              ? UniqueKey("key\(Int.random(in: 0..<4, using: &random))", onConflict: .keep) : nil,
            // A few jobs of each key, so that one that waits holds up few.
            concurrencyKey: Int.random(in: 0..<6, using: &random) == 0
              ? ConcurrencyKey(
                "\(round / 8)", limit: Int.random(in: 1...2, using: &random),
                rate: Int.random(in: 0..<3, using: &random) == 0
                  ? RateLimit(50, per: .seconds(1), burst: 2) : nil) : nil,
            priority: Int.random(in: -1...1, using: &random),
            due: Int.random(in: 0..<5, using: &random) == 0
              ? .after(.milliseconds(Int.random(in: 1...400, using: &random))) : .now,
            idempotencyKey: hasKeys ? IdempotencyKey(text) : nil)
        }
      do {
        _ = try await Self.enqueue(jobs, queue, log)
      } catch is QudoError {
        // It is written down.
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 10...60, using: &random)))
    }
  }

  /// Enqueues jobs, and writes down how that ends.
  ///
  /// - Returns: the jobs that are new.
  static func enqueue(_ jobs: [NewJob], _ queue: Queue<NoHooks>, _ log: LineLog) async throws -> [JobID] {
    let start = TortureProcess.nanoseconds()
    do {
      let results = try await queue.enqueue(jobs)
      let end = TortureProcess.nanoseconds()
      let new = zip(jobs, results).filter { job, result in
        // The job that had the unique key belongs to another process.
        if job.unique != nil, case .existing = result { false } else { true }
      }
      let lines = new.map { job, result in
        "ack \(Self.name(job.payload)) \(end) \(end - start) \(result.id.database) \(result.id.number)\n"
      }
      log.write(lines.joined() + "answered \(end) \(end - start)\n")
      return new.map(\.1.id)
    } catch let error as QudoError {
      let end = TortureProcess.nanoseconds()
      log.write("refused \(error.code) \(end) \(end - start)\n")
      throw error
    }
  }

  /// Works forever, and writes down each run that comes to its end.
  func serve() async throws { try await serve(Queue(databases)) }

  /// Likewise, with a worker for each database, which nothing watches. One that ends begins again.
  func serveEach() async throws {
    try await withThrowingTaskGroup { group in
      for url in urls {
        guard case .mysql(let server) = url.place else { continue }
        group.addTask {
          while true {
            let driver = try MySQLDriver(server)
            do {
              try await serve(Queue(driver))
            } catch let error as QudoError {
              log.write("ended \(error.code) \(TortureProcess.nanoseconds()) \(driver.name)\n")
            }
            await driver.close()
            try await Task.sleep(for: .milliseconds(100))
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func serve(_ queue: Queue<some HookSet>) async throws {
    let policy = JobPolicy(
      maxRetries: .max, leaseDuration: Self.lease, maxExpiredLeases: .max, recordsStatus: true)
    let handlers = (Self.kinds + Self.pausedKinds).map { kind in
      JobHandler(kind, policy: policy) { [log] context in try await Self.perform(context, log) }
    }
    var options = WorkerOptions()
    options.concurrency = 8
    options.pollInterval = .milliseconds(500)
    options.logger.logLevel = .critical
    // The logs are to show how each job has ended.
    options.retention = nil
    try await Worker(queue, handlers: handlers, options: options).work()
  }

  private static func name(_ payload: Payload) -> Substring {
    Substring(String(decoding: payload.bytes, as: UTF8.self)).prefix { $0 != ":" }
  }

  private static let lease = Duration.seconds(2)

  private static func perform(_ context: JobContext, _ log: LineLog) async throws {
    let name = name(context.payload)
    let words = String(decoding: context.payload.bytes, as: UTF8.self).split(separator: ":")
    let what = words.count > 1 ? words[1] : ""
    let place = "\(context.database) \(context.id.number) \(context.job.lease.token)"
    // When it was claimed, by the server's clock.
    let claimed = context.job.lease.expiresAt - lease.wholeMicroseconds
    log.write(
      "begin \(name) \(TortureProcess.nanoseconds()) \(place) \(claimed) \(context.kind) \(words.count > 2 ? "changed" : "same")\n"
    )
    func tell(_ outcome: String) {
      log.write("run \(name) \(TortureProcess.nanoseconds()) \(place) \(outcome)\n")
    }
    switch what {
    case "waits":
      try await Task.sleep(for: .milliseconds(20))
    case "fills":
      try await Task.sleep(for: .milliseconds(50))
    case "fails" where context.attempt == 1:
      tell("again")
      throw Failure()
    case "snoozes" where context.attempt == 1:
      tell("again")
      try context.snooze(for: .milliseconds(100), countsAttempt: true)
    case "aborts":
      tell("last")
      try context.abort("as it was told to")
    case "replaces":
      context.replace(with: [NewJob(context.kind, payload: Payload("\(name)-next:runs"))])
    default: break
    }
    tell(what == "replaces" ? "replaced" : "last")
  }
}
#endif
