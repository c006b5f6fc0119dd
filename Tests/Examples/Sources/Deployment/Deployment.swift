import Qudo
import QudoSQLite

/// Pauses a kind while a new version is deployed, cancels the jobs of a customer who left, and replays what the old version failed.
@main
struct Deployment {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/deployment.db"))
    try await enqueue(["ada"], on: queue)
    let old = JobHandler(Invoice.self) { _, _ in throw NoTemplate() }
    try await Worker(queue, handlers: [old], concurrency: 1).workUntilEmpty()
    print("failed: \(try await queue.failures().count)")

    try await queue.pause(
      [Invoice.kind], until: .after(.seconds(3600)), reason: "version 2 is being deployed")
    try await enqueue(["alan", "bob"], on: queue)
    let worker = try Worker(queue, handlers: [Invoice.self], concurrency: 1)
    let summary = try await worker.workUntilEmpty(skipDelayed: true)
    print("completed during the pause: \(summary.completed)")

    let ofCustomer = JobFilter(kinds: [Invoice.kind], metadata: ["customer": "bob"])
    let cancelled = try await queue.cancel(matching: ofCustomer, reason: "the customer has left")
    print("cancelled: \(cancelled)")
    try await queue.resume([Invoice.kind])

    let repaired = FailureFilter(reasons: [.failed], messageContains: "no template")
    let replayed = try await queue.replay(matching: repaired, kinds: [Invoice.kind])
    print("replayed: \(replayed)")
    try await worker.workUntilEmpty()
    await queue.close()
  }

  static func enqueue(_ customers: [String], on queue: some Enqueuer) async throws {
    for customer in customers {
      try await queue.enqueue(
        Invoice(customer: customer), options: EnqueueOptions(metadata: ["customer": customer]))
    }
  }
}

struct Invoice: Job {
  static let kind: Kind = "invoice.send"
  var customer: String

  func perform(_ context: JobContext) async throws { print("invoice for \(customer)") }
}

struct NoTemplate: Error, CustomStringConvertible {
  var description: String { "no template" }
}

// Output:
// failed: 1
// completed during the pause: 0
// cancelled: 1
// replayed: 1
// invoice for alan
// invoice for ada
