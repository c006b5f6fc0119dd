/// The limits that Qudo checks before it stores anything. Texts are measured in bytes of UTF-8.
public struct Limits: Sendable {
  /// The maximum size of a payload with its metadata, in bytes. Default 1 MiB.
  public var payloadBytes: Int = 1 << 20
  /// The maximum length of a kind, in bytes.
  public static let kindBytes = 255
  /// The maximum length of a unique key, in bytes.
  public static let uniqueKeyBytes = 255
  /// The maximum length of a concurrency key, in bytes.
  public static let concurrencyKeyBytes = 255
  /// The maximum length of a group's name, in bytes.
  public static let groupBytes = 255
  /// The priorities that can be stored: a 32-bit integer without its smallest value.
  public static let priorities = -Int(Int32.max)...Int(Int32.max)

  /// Creates limits with the default values.
  public init() {}

  /// Checks a job before it is stored.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` with the limit that the job exceeds.
  public func check(_ job: NewJob) throws(QudoError) {
    try Self.check("kind", job.kind.name, atMost: Self.kindBytes)
    if let unique = job.unique { try unique.check(due: job.due) }
    if let key = job.concurrencyKey { try key.check() }
    if let group = job.group { try Self.check("group", group, atMost: Self.groupBytes) }
    let bytes = job.payload.bytes.count + job.metadata.bytes.count
    guard bytes <= payloadBytes else {
      throw QudoError(
        .invalidArgument,
        "the payload has \(bytes) bytes, the limit is \(payloadBytes): store large data elsewhere and enqueue a reference"
      )
    }
    guard Self.priorities.contains(job.priority) else {
      throw QudoError(
        .invalidArgument, "the priority \(job.priority) is outside \(Self.priorities): give one inside")
    }
    switch job.due {
    case .now: break
    case .after(let delay) where delay < .zero:
      throw QudoError(.invalidArgument, "the delay \(delay) is negative: give 0 or more, or a due time")
    case .after: break
    case .at(let time):
      guard (Timestamp.earliest...Timestamp.latest).contains(time) else {
        throw QudoError(.invalidArgument, "the due time is outside the years 1 to 9999: give one inside")
      }
    }
    if let bound = job.maxWaiting { try bound.check() }
    if job.expires != .never { try job.expires.check(due: job.due) }
  }

  package static func check(_ what: String, _ text: String, atMost limit: Int) throws(QudoError) {
    guard !text.isEmpty else { throw QudoError(.invalidArgument, "the \(what) is empty") }
    guard text.utf8.count <= limit else {
      throw QudoError(
        .invalidArgument,
        "the \(what) has \(text.utf8.count) bytes, the limit is \(limit): give a shorter one")
    }
    guard !text.utf8.contains(0) else { throw QudoError(.invalidArgument, "the \(what) has a NUL byte") }
  }
}
