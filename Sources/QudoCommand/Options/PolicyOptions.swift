internal import ArgumentParser
internal import Qudo

/// The options for running and retrying a worker's jobs.
struct PolicyOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How often a failed job is retried, 0 or more.", valueName: "number"))
  var maxRetries = 0
  @Option(
    help: ArgumentHelp(
      """
      How long a failed job waits before its retry: a fixed delay such as 30s, or a range such as 1s..5m, which doubles from the \
      first value up to the last; each delay of a range is shortened at random by up to half. Default: 1s..5m.
      """, valueName: "duration"),
    transform: Self.delay)
  var retryDelay: RetryDelay?
  @Option(
    help: ArgumentHelp(
      """
      How long this process may stall before another worker recovers its jobs; at least 100ms, renewed while they run. If the \
      process dies, jobs in a SQLite file are recovered immediately, jobs on a server after this time. Default: 60s.
      """, valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var lease: Duration?
  @Option(
    help: ArgumentHelp(
      "How long a command may run. After that it gets SIGTERM, then SIGKILL 5 s later, and the run fails. Default: no limit.",
      valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var timeLimit: Duration?
  @Option(
    help: ArgumentHelp(
      """
      If a job fails for good, enqueue another one of this kind with its payload and priority, in the same transaction. Default: \
      none.
      """, valueName: "kind"))
  var onFinalFailure: String?
  @Flag(help: "Record finished runs in the status log, which statuses lists.") var record = false

  private static let jitter = 0.5

  private static func delay(_ text: String) throws -> RetryDelay {
    // Jitter spreads the retries of jobs that failed together.
    guard let dots = text.firstRange(of: "..") else { return .fixed(try Duration(parsing: text)) }
    let (base, cap) = (
      try Duration(parsing: String(text[..<dots.lowerBound])),
      try Duration(parsing: String(text[dots.upperBound...]))
    )
    guard base > .zero, cap >= base else {
      throw ValidationError("--retry-delay \(SafeText.terminalSafe(text)) must rise from a delay above 0")
    }
    return .exponential(base: base, cap: cap, jitter: jitter)
  }

  func validate() throws {
    guard maxRetries >= 0 else { throw ValidationError("--max-retries must not be negative") }
    guard lease ?? .seconds(60) >= .milliseconds(100) else {
      throw ValidationError("--lease must be at least 100ms")
    }
    guard timeLimit ?? .seconds(1) > .zero else { throw ValidationError("--time-limit must be above 0") }
  }

  /// The policy for jobs of a kind.
  func policy(for kind: Kind) -> JobPolicy {
    var policy = JobPolicy()
    policy.maxRetries = maxRetries
    policy.retryDelay = retryDelay ?? .exponential(base: .seconds(1), cap: .seconds(300), jitter: Self.jitter)
    if let lease { policy.leaseDuration = lease }
    policy.timeLimit = timeLimit
    policy.recordsStatus = record
    // The jobs of final failures may run in the same worker. Their own failures enqueue nothing.
    policy.onFinalFailure = onFinalFailure.flatMap { Kind($0) == kind ? nil : Kind($0) }
    return policy
  }
}
