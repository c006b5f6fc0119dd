/// One kind that a worker can perform, and how.
public struct JobHandler: Sendable {
  /// Whose jobs these are.
  public let kind: Kind
  /// How they are run, retried and given up.
  public let policy: JobPolicy
  /// The types of the plugins without which a worker with this handler is not made.
  public internal(set) var plugins: [any Plugin.Type] = []
  let perform: @Sendable (JobContext) async throws -> Void

  /// Jobs of a type that performs itself.
  public init<J: Job>(_ type: J.Type) {
    self.init(type, policy: J.policy) { job, context in try await job.perform(context) }
  }

  /// Jobs of a type, performed by a closure, which may hold what the type itself cannot.
  ///
  /// - Parameters:
  ///   - type: what the payload is decoded as.
  ///   - policy: the type's own by default.
  ///   - perform: in place of the type's own; see ``Job/perform(_:)``.
  public init<J: Job>(
    _ type: J.Type, policy: JobPolicy? = nil, perform: @escaping @Sendable (J, JobContext) async throws -> Void
  ) {
    self.init(J.kind, policy: policy ?? J.policy) { context in
      let job = try context.codecs.decode(J.self, from: context.payload, of: context.kind)
      do {
        try await perform(job, context)
      } catch where !(error is Abort) && !(error is Snooze) {
        guard let delay = job.retryDelay(after: context.attempt, failure: error) else { throw error }
        throw Failure(error: error, retryDelay: delay)
      }
    }
    plugins = J.plugins
  }

  /// Jobs of a kind as bytes.
  ///
  /// - Parameters:
  ///   - kind: whose jobs these are.
  ///   - policy: how they are run, retried and given up.
  ///   - perform: returns when the job is completed and throws when this run failed; see ``Job/perform(_:)``.
  public init(_ kind: Kind, policy: JobPolicy = JobPolicy(), perform: @escaping @Sendable (JobContext) async throws -> Void) {
    self.kind = kind
    self.policy = policy
    self.perform = perform
  }

  /// A failure whose job knows how long to wait.
  package struct Failure: Error {
    package let error: any Error
    let retryDelay: Duration
  }
}
