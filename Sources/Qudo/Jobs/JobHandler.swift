/// The code that a worker runs for jobs of one kind, and its policy.
public struct JobHandler: Sendable {
  /// The kind of jobs that it runs.
  public let kind: Kind
  /// The rules for running, retrying and giving up jobs.
  public let policy: JobPolicy
  /// The plugin types that the handler requires. ``Worker`` throws on creation if one is missing.
  public internal(set) var plugins: [any Plugin.Type] = []
  let perform: @Sendable (JobContext) async throws -> Void

  /// Creates a handler for a job type that performs itself.
  public init<J: Job>(_ type: J.Type) {
    self.init(type, policy: J.policy) { job, context in try await job.perform(context) }
  }

  /// Creates a handler that runs jobs of a type with a closure, which can capture what the job cannot store.
  ///
  /// - Parameters:
  ///   - type: The type that the payload is decoded as.
  ///   - policy: The policy to use instead of the type's own.
  ///   - perform: The work, instead of the type's own. See ``Job/perform(_:)``.
  public init<J: Job>(
    _ type: J.Type, policy: JobPolicy? = nil,
    perform: @escaping @Sendable (J, JobContext) async throws -> Void
  ) {
    self.init(J.kind, policy: policy ?? J.policy) { context in
      let job = try context.codecs.decode(J.self, from: context.payload, of: context.kind)
      do {
        try await perform(job, context)
      } catch  where !(error is Abort) && !(error is Snooze) {
        guard let delay = job.retryDelay(after: context.attempt, failure: error) else { throw error }
        throw Failure(error: error, retryDelay: delay)
      }
    }
    plugins = J.plugins
  }

  /// Creates a handler for jobs of a kind whose payload is raw bytes.
  ///
  /// - Parameters:
  ///   - kind: The kind of jobs to run.
  ///   - policy: The rules for running, retrying and giving up jobs.
  ///   - perform: The work. It returns when the job is complete and throws when the run failed. See
  ///     ``Job/perform(_:)``.
  public init(
    _ kind: Kind, policy: JobPolicy = JobPolicy(),
    perform: @escaping @Sendable (JobContext) async throws -> Void
  ) {
    self.kind = kind
    self.policy = policy
    self.perform = perform
  }

  /// A failure whose job chose its own retry delay.
  package struct Failure: Error {
    package let error: any Error
    let retryDelay: Duration
  }
}
