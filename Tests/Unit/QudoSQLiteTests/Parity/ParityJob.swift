import Qudo

/// A job with an argument, as most of the original's tests have one.
struct Note: Job {
  static let kind: Kind = "note"
  var text: String

  func perform(_ context: JobContext) async throws {}
}

/// Does what the test says, and writes down that it ran.
func handler(
  _ kind: Kind, _ log: Log, policy: JobPolicy = JobPolicy(),
  _ run: @escaping @Sendable (JobContext) async throws -> Void = { _ in }
) -> JobHandler {
  JobHandler(kind, policy: policy) { context in
    log.add("\(kind) \(context.text)")
    try await run(context)
  }
}

extension EnqueueResult {
  /// The number of the job that is there now.
  var number: Int64 { id.number }
}
