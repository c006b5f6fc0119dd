import Qudo
import QudoSQLite

/// At most 10 requests a second to a service, however many workers there are, and a pause if the service asks for one.
@main
struct RateLimited {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/requests.db"
    let queue = Queue(try SQLiteDriver(path: path))
    try await queue.enqueue([Notify(customer: "Ada"), Notify(customer: "Ben"), Notify(customer: "Cleo")])

    let worker = try Worker(Queue(try SQLiteDriver(path: path)), handlers: [Notify.self], concurrency: 1)
    print("notified \(try await worker.workUntilEmpty().completed)")
    await queue.close()
  }
}

struct Notify: Job {
  static let kind: Kind = "customer.notify"
  static let policy = JobPolicy(maxRetries: 3, rate: RateLimit(10, per: .seconds(1)))
  var customer: String

  func perform(_ context: JobContext) async throws {
    let response = await Service.shared.post("/notifications", to: customer)
    if response.status == 429 {
      print("asked to wait")
      // For all workers of this database; then one job tries, and the others follow at their rate.
      try await context.throttle(for: response.retryAfter)
      try context.snooze(for: response.retryAfter)
    }
    print("notified \(customer)")
  }
}

/// Stands for a service that has had enough of the first request.
actor Service {
  static let shared = Service()
  private var requests = 0

  func post(_ path: String, to customer: String) -> (status: Int, retryAfter: Duration) {
    requests += 1
    return (requests == 1 ? 429 : 200, .milliseconds(300))
  }
}

// Output:
// asked to wait
// notified Ben
// notified Cleo
// notified Ada
// notified 3
