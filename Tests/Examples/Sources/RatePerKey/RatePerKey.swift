import Qudo
import QudoSQLite

/// A rate for each customer: the many requests of one do not use up the rate of another.
@main
struct RatePerKey {
  static func main() async throws {
    let queue = Queue(try SQLiteDriver(path: "\(CommandLine.arguments.dropFirst().first ?? ".")/calls.db"))
    for call in ["Ada 1", "Ada 2", "Ada 3", "Bob 1"].map({ Call(customer: String($0.prefix(3)), text: $0) }) {
      let rate = RateLimit(2, per: .seconds(1))
      let key = ConcurrencyKey("customer-\(call.customer)", limit: 4, rate: rate)
      try await queue.enqueue(call, options: EnqueueOptions(concurrencyKey: key))
    }
    let worker = try Worker(queue, handlers: [Call.self], concurrency: 1)
    print("called \(try await worker.workUntilEmpty().completed)")
    await queue.close()
  }
}

struct Call: Job {
  static let kind: Kind = "customer.call"
  var customer: String
  var text: String

  func perform(_ context: JobContext) async throws { print(text) }
}

// Output:
// Ada 1
// Ada 2
// Bob 1
// Ada 3
// called 4
