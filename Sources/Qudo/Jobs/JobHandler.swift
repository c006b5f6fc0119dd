/// The code that a worker runs for jobs of one kind, and its policy.
public struct JobHandler: Sendable {
  /// The kind of jobs that it runs.
  public var kind: Kind { content.kind }
  /// The rules for running, retrying and giving up jobs.
  public var policy: JobPolicy { content.policy }
  /// The plugin types that the handler requires. ``Worker`` throws on creation if one is missing.
  public var plugins: [any Plugin.Type] { content.plugins }
  var perform: @Sendable (JobContext) async throws -> Void { content.perform }

  /// By reference: each run copies its handler.
  private let content: Content

  private final class Content: Sendable {
    let kind: Kind
    let policy: JobPolicy
    let plugins: [any Plugin.Type]
    let perform: @Sendable (JobContext) async throws -> Void

    init(
      _ kind: Kind, _ policy: JobPolicy, _ plugins: [any Plugin.Type],
      _ perform: @escaping @Sendable (JobContext) async throws -> Void
    ) {
      (self.kind, self.policy, self.plugins, self.perform) = (kind, policy, plugins, perform)
    }
  }

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
    self.init(type, policy, requiring: J.plugins, perform: perform)
  }

  init<J: Job>(
    _ type: J.Type, _ policy: JobPolicy?, requiring plugins: [any Plugin.Type],
    perform: @escaping @Sendable (J, JobContext) async throws -> Void
  ) {
    content = Content(J.kind, policy ?? J.policy, plugins) { context in
      let job = try context.codecs.decode(J.self, from: context.payload, of: context.kind)
      do {
        try await perform(job, context)
      } catch  where !(error is Abort) && !(error is Snooze) {
        guard let delay = job.retryDelay(after: context.attempt, failure: error) else { throw error }
        throw Failure(error: error, retryDelay: delay)
      }
    }
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
    content = Content(kind, policy, [], perform)
  }

  /// A failure whose job chose its own retry delay.
  package struct Failure: Error {
    package let error: any Error
    let retryDelay: Duration
  }
}
