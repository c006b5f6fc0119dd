#if MySQL
import Foundation
import Logging
import Qudo
import QudoMySQL
import QudoTesting

/// What the processes of the torture of servers do: `TortureProcess server-enqueue|server-work|server-work-each URL,URL,... LOG SEED`.
///
/// A payload is `NAME:WHAT`; what says how the job's run ends.
extension FleetRoles {
  private static let kinds: [Kind] = ["torture", "other"]
  private static let ways = [
    "runs", "runs", "runs", "runs", "waits", "waits", "fails", "snoozes", "aborts", "replaces",
  ]

  private struct Failure: Error {}

  /// Enqueues for ever, jobs of every sort.
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
              ? ConcurrencyKey("\(round / 8)", limit: Int.random(in: 1...2, using: &random)) : nil,
            priority: Int.random(in: -1...1, using: &random),
            due: Int.random(in: 0..<5, using: &random) == 0
              ? .after(.milliseconds(Int.random(in: 1...400, using: &random))) : .now,
            idempotencyKey: hasKeys ? IdempotencyKey(text) : nil)
        }
      let start = TortureProcess.nanoseconds()
      do {
        let results = try await queue.enqueue(jobs)
        let end = TortureProcess.nanoseconds()
        let lines = zip(jobs, results).compactMap { job, result -> String? in
          // The job that had the unique key is somebody else's.
          if job.unique != nil, case .existing = result { return nil }
          return
            "ack \(Self.name(job.payload)) \(end) \(end - start) \(result.id.database) \(result.id.number)\n"
        }
        log.write(lines.joined() + "answered \(end) \(end - start)\n")
      } catch let error as QudoError {
        let end = TortureProcess.nanoseconds()
        log.write("refused \(error.code) \(end) \(end - start)\n")
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 10...60, using: &random)))
    }
  }

  /// Works for ever, and writes down each run that comes to its end.
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
    let policy = JobPolicy(maxRetries: .max, leaseDuration: .seconds(2), maxExpiredLeases: .max)
    let handlers = Self.kinds.map { kind in
      JobHandler(kind, policy: policy) { [log] context in try await Self.perform(context, log) }
    }
    var options = WorkerOptions()
    options.concurrency = 8
    options.pollInterval = .milliseconds(500)
    options.logger.logLevel = .critical
    try await Worker(queue, handlers: handlers, options: options).work()
  }

  private static func name(_ payload: Payload) -> Substring {
    Substring(String(decoding: payload.bytes, as: UTF8.self)).prefix { $0 != ":" }
  }

  private static func perform(_ context: JobContext, _ log: LineLog) async throws {
    let name = name(context.payload)
    let what = String(decoding: context.payload.bytes, as: UTF8.self).dropFirst(name.count + 1)
    func tell(_ outcome: String) {
      let place = "\(context.database) \(context.id.number) \(context.job.lease.token)"
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
