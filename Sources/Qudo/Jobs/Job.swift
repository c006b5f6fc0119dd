/// A unit of work: its data, and the code that does it.
///
/// The stored properties are the payload. The queue encodes them on enqueue, as JSON by default, and the
/// worker decodes them for the run. If you change them, jobs that are already stored must still decode.
///
///     struct SendMail: Job {
///       static let kind: Kind = "mail.send"
///       var to: String
///
///       func perform(_ context: JobContext) async throws {
///         try await mailer.send(to)
///       }
///     }
public protocol Job: Codable, Sendable {
  /// The name that jobs of this type are stored under. Do not change it while jobs are stored.
  static var kind: Kind { get }

  /// The rules for running, retrying and giving up jobs. Default: no retries, and a renewed lease of 60 s.
  static var policy: JobPolicy { get }

  /// The plugin types that this job requires; ``Worker`` throws on creation if one is missing. Default: none.
  ///
  /// A ``PluginJob`` derives them from the type of its function.
  static var plugins: [any Plugin.Type] { get }

  /// Does the work. It must be idempotent: it can run more than once for one job, for example after a crash.
  ///
  /// Returning completes the job. Throwing fails the run, except for ``Abort`` and ``Snooze``. If the task is
  /// cancelled and the job stops early, it must throw; a return would count as completed.
  func perform(_ context: JobContext) async throws

  /// Returns the delay before the next attempt, or nil to use the policy's. Default: nil.
  func retryDelay(after attempt: Int, failure: any Error) -> Duration?
}

extension Job {
  public static var policy: JobPolicy { JobPolicy() }
  public static var plugins: [any Plugin.Type] { [] }
  public func retryDelay(after attempt: Int, failure: any Error) -> Duration? { nil }
}
