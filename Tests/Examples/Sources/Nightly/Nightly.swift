import Qudo
import QudoSQLite
import QudoSchedules
import QudoTesting

/// Makes a report each night at two in Berlin. A clock that the program moves lets days pass.
@main
struct Nightly {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let clock = ManualClock()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/nightly.db", clock: clock))

    let nightly = Schedule("nightly", try .cron("0 2 * * *", in: "Europe/Berlin"), NightlyReport())
    let worker = try Worker(
      queue, handlers: [NightlyReport.self], plugins: [Schedules([nightly])],
      options: WorkerOptions(clock: clock))
    // A program that runs all the time calls `work()` once, and this one each morning.
    for _ in 1...3 {
      try await worker.workUntilEmpty()
      clock.advance(by: .seconds(86_400))
    }

    // Three nights without a worker: by default, it catches up on the latest one.
    clock.advance(by: .seconds(3 * 86_400))
    try await worker.workUntilEmpty()

    let stored = try await queue.schedules.schedule(named: "nightly")
    print("next: \(stored?.schedule.nextTick?.description ?? "none")")
    await queue.close()
  }
}

struct NightlyReport: Job {
  static let kind: Kind = "report.nightly"

  func perform(_ context: JobContext) async throws {
    // The tick, also if the job runs late or again.
    print("report of \(context.scheduledFor ?? context.enqueuedAt)")
  }
}

// Output:
// report of 2023-11-15T01:00:00.000000Z
// report of 2023-11-16T01:00:00.000000Z
// report of 2023-11-20T01:00:00.000000Z
// next: 2023-11-21T01:00:00.000000Z
