import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// Makes a report each night at two: each run enqueues the next one. A clock that the program moves lets days pass.
@main
struct Nightly {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let clock = ManualClock()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/nightly.db", clock: clock))

    // Do this on each start of the program, here twice. If a report is enqueued already, that one is kept.
    for _ in 1...2 {
      let due = try NightlyReport.next(after: clock.now().wall.date)
      let nightly = UniqueKey("nightly", onConflict: .keep)
      try await queue.enqueue(NightlyReport(), unique: nightly, due: .at(due))
    }

    let worker = try Worker(queue, handlers: [NightlyReport.self], options: WorkerOptions(clock: clock))
    try await worker.drain(clock, for: .seconds(3 * 86_400))
    print("enqueued: \(try await queue.count().map(\.delayed))")
    await queue.close()
  }
}

struct NightlyReport: Job {
  static let kind: Kind = "report.nightly"

  func perform(_ context: JobContext) async throws {
    print("report of \(context.job.dueAt)")
    // Stored in the transaction that completes this job, so that the chain does not break between the two.
    let due = try Self.next(after: context.job.dueAt.date)
    try context.enqueueOnCompletion(Self(), options: EnqueueOptions(unique: "nightly", due: .at(due)))
  }

  static func next(after date: Date) throws -> Date {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = .gmt
    let two = DateComponents(hour: 2)
    guard let next = calendar.nextDate(after: date, matching: two, matchingPolicy: .nextTime) else {
      throw Abort("no night follows \(date)")
    }
    return next
  }
}

// Output:
// report of 2023-11-15T02:00:00.000000Z
// report of 2023-11-16T02:00:00.000000Z
// report of 2023-11-17T02:00:00.000000Z
// enqueued: [1]
