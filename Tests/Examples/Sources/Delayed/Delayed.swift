import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// Enqueues jobs that run later. A clock that the program moves stands in for the hours that pass.
@main
struct Delayed {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    // Leave out the clock, and the machine's is used.
    let clock = ManualClock()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/delayed.db", clock: clock))
    let start = clock.now().wall.date

    try await queue.enqueue(Remind(text: "now"))
    try await queue.enqueue(Remind(text: "in an hour"), due: .after(.seconds(3600)))
    try await queue.enqueue(Remind(text: "tomorrow"), due: .at(start.addingTimeInterval(86_400)))

    let worker = try Worker(queue, handlers: [Remind.self], options: WorkerOptions(clock: clock))
    for hours in [0, 1, 23] {
      clock.advance(by: .seconds(hours * 3600))
      // Without `skipDelayed`, the worker waits for the delayed jobs.
      try await worker.workUntilEmpty(skipDelayed: true)
      let delayed = try await queue.count().reduce(0) { $0 + $1.delayed }
      print("\(hours) h later, \(delayed) delayed")
    }
    await queue.close()
  }
}

struct Remind: Job {
  static let kind: Kind = "remind"
  var text: String

  func perform(_ context: JobContext) async throws { print("reminder: \(text)") }
}

// Output:
// reminder: now
// 0 h later, 2 delayed
// reminder: in an hour
// 1 h later, 1 delayed
// reminder: tomorrow
// 23 h later, 0 delayed
