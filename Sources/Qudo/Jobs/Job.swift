/// One piece of work: what is to be done, and how.
///
/// Its stored properties are the payload. They are coded, as JSON by default, when it is enqueued, and decoded when a
/// worker has claimed it; keep that in mind when you change them while old jobs wait.
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
  /// The name under which jobs of this type are stored. Never change it while jobs wait.
  static var kind: Kind { get }

  /// How jobs of this type are run, retried and given up. Default: no retry, a lease of 60 s that is renewed.
  static var policy: JobPolicy { get }

  /// The types of the plugins without which a worker for these jobs is not made. Default: none; a ``PluginJob`` names its
  /// own by the type of its function.
  static var plugins: [any Plugin.Type] { get }

  /// Does the work. It may be called more than once for one job, after a crash for instance.
  ///
  /// Returning completes the job. Throwing fails this run, unless it throws ``Abort`` or ``Snooze``. A job that stops
  /// early because its task was cancelled must throw; else it is taken for completed.
  func perform(_ context: JobContext) async throws

  /// How long the job waits before its next attempt. Default: nil, as the policy says.
  func retryDelay(after attempt: Int, failure: any Error) -> Duration?
}

extension Job {
  public static var policy: JobPolicy { JobPolicy() }
  public static var plugins: [any Plugin.Type] { [] }
  public func retryDelay(after attempt: Int, failure: any Error) -> Duration? { nil }
}
