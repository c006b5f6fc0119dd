import Qudo
import QudoSQLite

/// A change that fails for good stops the later ones of its customer, until it is replayed.
@main
struct StopAfterFailure {
  static func main() async throws {
    let queue = Queue(try SQLiteDriver(path: "\(CommandLine.arguments.dropFirst().first ?? ".")/changes.db"))
    for change in [
      Apply(customer: "Ada", change: ""), Apply(customer: "Ada", change: "moved"),
      Apply(customer: "Ada", change: "closed"), Apply(customer: "Bob", change: "opened"),
    ] {
      let key = ConcurrencyKey("customer-\(change.customer)", afterFailure: .stop)
      try await queue.enqueue(change, options: EnqueueOptions(concurrencyKey: key))
    }
    let worker = try Worker(queue, handlers: [Apply.self], concurrency: 1)
    try await worker.workUntilEmpty()

    for stop in try await queue.keyStops() {
      print("stopped: \(stop.key)")
      // The corrected job runs before those that are held.
      let payload = Payload(Array(#"{"customer":"Ada","change":"opened"}"#.utf8), codec: .json)
      try await queue.replay([stop.failure], changing: JobChange(payload: payload))
    }
    try await Worker(queue, handlers: [Apply.self], concurrency: 1).workUntilEmpty()
    await queue.close()
  }
}

struct Apply: Job {
  static let kind: Kind = "customer.apply"
  static let policy = JobPolicy(maxRetries: 0)
  var customer: String
  var change: String

  func perform(_ context: JobContext) async throws {
    guard !change.isEmpty else { throw NoChange() }
    print("\(customer) \(change)")
  }
}

struct NoChange: Error {}

// Output:
// Bob opened
// stopped: customer-Ada
// Ada opened
// Ada moved
// Ada closed
