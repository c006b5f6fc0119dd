import Qudo
import QudoSQLite

/// The changes of each customer are applied one after the other, in their order, while several workers run.
@main
struct Ordered {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/changes.db"
    let queue = Queue(try SQLiteDriver(path: path))
    for change in [
      Apply(customer: "Ada", change: "opened"), Apply(customer: "Ada", change: "moved"),
      Apply(customer: "Ada", change: "closed"),
    ] {
      try await queue.enqueue(
        change, options: EnqueueOptions(concurrencyKey: ConcurrencyKey("customer-\(change.customer)")))
    }
    let held = try await queue.jobs(matching: JobQuery(states: [.held]))
    print("held: \(held.count)")

    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<3 {
        let worker = try Worker(Queue(try SQLiteDriver(path: path)), handlers: [Apply.self], concurrency: 4)
        group.addTask { _ = try await worker.workUntilEmpty() }
      }
      try await group.waitForAll()
    }
    await queue.close()
  }
}

struct Apply: Job {
  static let kind: Kind = "customer.apply"
  static let policy = JobPolicy(maxRetries: 3, retryDelay: .fixed(.milliseconds(50)))
  var customer: String
  var change: String

  func perform(_ context: JobContext) async throws {
    // The first attempt of each fails: those behind it wait for its retry.
    guard context.attempt > 1 else { throw Unreachable() }
    print("\(customer) \(change)")
  }
}

struct Unreachable: Error {}

// Output:
// held: 2
// Ada opened
// Ada moved
// Ada closed
