import Qudo

/// A small application with jobs, as a user of Qudo may have one.
struct Shop: Sendable {
  let queue: Queue<NoHooks>

  func order(_ item: String, by customer: String) async throws {
    try await queue.enqueue(SendReceipt(to: customer, item: item), priority: 1)
    try await queue.enqueue(
      AskForReview(customer: customer), unique: UniqueKey(customer, onConflict: .keep),
      due: .after(.seconds(86_400)))
  }
}

struct SendReceipt: Job {
  static let kind: Kind = "shop.receipt"
  static var policy: JobPolicy {
    var policy = JobPolicy()
    policy.maxRetries = 3
    policy.retryDelay = .exponential(base: .seconds(60), cap: .seconds(3600))
    return policy
  }
  var to: String
  var item: String

  func perform(_ context: JobContext) async throws {
    // The mail server is back at the third attempt.
    if context.attempt < 3 { throw ServerIsAway() }
  }

  struct ServerIsAway: Error {}
}

struct AskForReview: Job {
  static let kind: Kind = "shop.review"
  var customer: String
  func perform(_ context: JobContext) async throws {}
}
