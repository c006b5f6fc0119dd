import Logging
import Metrics
import MetricsTestKit
import Qudo
import QudoMetrics
import QudoServiceLifecycle
import QudoSQLite
import ServiceLifecycle

/// A daemon: one service asks for a report each second, another one writes the reports. SIGTERM ends both in order.
///
///     reports [DATABASE]
@main
struct Reports {
  static func main() async throws {
    // One that prints. A server takes swift-prometheus or swift-otel here.
    MetricsSystem.bootstrap(StreamMetricsFactory.standardOutput())
    let logger = Logger(label: "reports")

    let driver = try SQLiteDriver(path: CommandLine.arguments.dropFirst().first ?? "reports.db")
    let queue = Queue(driver) { MetricsHook() }

    var options = WorkerOptions()
    options.concurrency = 4
    options.shutdownGracePeriod = .seconds(5)
    options.retention = Retention(maxAge: .seconds(7 * 86_400), maxRows: 10_000)
    options.logger = logger
    let worker = try Worker(
      queue, handlers: [JobHandler(WriteReport.self)],
      plugins: [DepthGauge(interval: .seconds(5))],
      options: options)

    let group = ServiceGroup(
      services: [WorkerService(worker), Timetable(queue: queue)],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    try await group.run()
    await driver.close()
    print("ended in order")
  }
}

struct WriteReport: Job {
  static let kind: Kind = "report.write"
  static let policy: JobPolicy = {
    var policy = JobPolicy()
    policy.maxRetries = 3
    policy.recordsStatus = true
    return policy
  }()
  var number: Int

  func perform(_ context: JobContext) async throws {
    context.logger.info("report \(number) is written")
  }
}

/// Enqueues at once, and then each second.
struct Timetable: Service {
  let queue: any Enqueuer

  func run() async throws {
    var number = 1
    while !Task.isShuttingDownGracefully && !Task.isCancelled {
      // Should a report take long, the next one waits for it and no more come together: one at a time has the key.
      try await queue.enqueue(WriteReport(number: number), unique: UniqueKey("report", onConflict: .keep))
      number += 1
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: .seconds(1)) }
    }
  }
}
