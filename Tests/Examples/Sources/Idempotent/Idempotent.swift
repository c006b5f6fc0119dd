import Qudo
import QudoSQLite

/// Repeats an enqueue safely, and makes a job's effect on another service idempotent.
@main
struct Idempotent {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/idempotent.db"))
    let worker = try Worker(queue, handlers: [ChargeCard.self])

    // The same message arrives twice, the second time after the job is done. By then a unique key would be free.
    for _ in 1...2 {
      let key = IdempotencyKey("message 4711")
      switch try await queue.enqueue(ChargeCard(cents: 500), idempotencyKey: key) {
      case .existing(let id): print("\(id) was enqueued before")
      case let result: print("\(result.id) is enqueued")
      }
      try await worker.workUntilEmpty()
    }
    await queue.close()
  }
}

struct ChargeCard: Job {
  static let kind: Kind = "card.charge"
  static let policy = JobPolicy(maxRetries: 1)
  var cents: Int

  func perform(_ context: JobContext) async throws {
    // A payment service that gets this key a second time does not charge again. It is the same in every run of the job.
    let key = "\(context.idempotencyKey)"
    print("run \(context.attempt) charges \(cents) cents under a key of \(key.count) digits")
    if context.attempt == 1 { throw NoAnswer() }
  }
}

struct NoAnswer: Error {}

// Output:
// idempotent/1 is enqueued
// run 1 charges 500 cents under a key of 32 digits
// run 2 charges 500 cents under a key of 32 digits
// idempotent/1 was enqueued before
