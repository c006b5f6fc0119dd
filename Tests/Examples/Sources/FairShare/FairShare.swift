import Qudo
import QudoSQLite

/// Customers share a worker fairly: one that enqueues many jobs does not hold up another that enqueues few.
@main
struct FairShare {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/images.db"
    let queue = Queue(try SQLiteDriver(path: path))
    let resizes =
      (1...4).map { Resize(customer: "Ada", image: $0) } + [Resize(customer: "Ben", image: 1)]
      + (1...2).map { Resize(customer: "Cai", image: $0) }
    for resize in resizes {
      try await queue.enqueue(resize, options: EnqueueOptions(group: "customer-\(resize.customer)"))
    }
    _ = try await Worker(queue, handlers: [Resize.self], concurrency: 1).workUntilEmpty()
    await queue.close()
  }
}

struct Resize: Job {
  static let kind: Kind = "image.resize"
  var customer: String
  var image: Int

  func perform(_ context: JobContext) async throws { print("\(customer) \(image)") }
}

// Output:
// Ada 1
// Ben 1
// Cai 1
// Ada 2
// Cai 2
// Ada 3
// Ada 4
