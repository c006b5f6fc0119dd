import Qudo
import QudoSQLite
import QudoTesting

/// Retries with a growing delay, waits without a failure, gives up, and replays what failed.
@main
struct Retry {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let clock = ManualClock()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/retry.db", clock: clock))
    let start = clock.now().wall
    let fetch = JobHandler(Fetch.self) { page, context in
      let seconds = (clock.now().wall.microseconds - start.microseconds) / 1_000_000
      print("\(page.address), attempt \(context.attempt), after \(seconds) s")
      switch page.address {
      case "/flaky" where context.attempt < 3: throw TimedOut()
      case "/busy" where seconds < 60: try context.snooze(for: .seconds(60))
      case "/gone": try context.abort("there is no such page")
      default: break
      }
    }
    let worker = try Worker(queue, handlers: [fetch], options: WorkerOptions(clock: clock))

    try await queue.enqueue([Fetch(address: "/flaky"), Fetch(address: "/busy"), Fetch(address: "/gone")])
    // Moves the clock to the next due time whenever no job is ready.
    try await worker.drain(clock)

    let failures = try await queue.failures(LogQuery(oldestFirst: true))
    for failure in failures { print("\(failure.reason): \(failure.message)") }
    // The cause is repaired: enqueue again what was given up.
    let replayed = try await queue.replay(failures.filter(\.isFinal).map(\.id))
    print("replayed \(replayed.count)")
    await queue.close()
  }
}

struct Fetch: Job {
  static let kind: Kind = "page.fetch"
  static let policy = JobPolicy(
    maxRetries: 5, retryDelay: .exponential(base: .seconds(10), cap: .seconds(600)))
  var address: String
  func perform(_ context: JobContext) async throws {}
}

struct TimedOut: Error, CustomStringConvertible {
  var description: String { "timed out" }
}

// Output:
// /flaky, attempt 1, after 0 s
// /busy, attempt 1, after 0 s
// /gone, attempt 1, after 0 s
// /flaky, attempt 2, after 10 s
// /flaky, attempt 3, after 30 s
// /busy, attempt 1, after 60 s
// failed: timed out
// aborted: there is no such page
// failed: timed out
// replayed 1
