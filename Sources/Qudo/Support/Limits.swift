/// What Qudo refuses, in bytes of UTF-8. Checked before anything is written.
public struct Limits: Sendable {
  /// The longest payload in bytes, what travels beside it included. Default 1 MiB.
  public var payloadBytes: Int = 1 << 20
  /// The longest kind in bytes.
  public static let kindBytes = 255
  /// The longest unique key in bytes.
  public static let uniqueKeyBytes = 255
  /// The priorities that can be stored: those of a 32-bit integer, symmetric.
  public static let priorities = -Int(Int32.max)...Int(Int32.max)

  /// The defaults.
  public init() {}

  /// - Throws: ``QudoError/Code/invalidArgument`` with what is wrong.
  public func check(_ job: NewJob) throws(QudoError) {
    try Self.check("kind", job.kind.name, atMost: Self.kindBytes)
    if let unique = job.unique { try Self.check("unique key", unique.key, atMost: Self.uniqueKeyBytes) }
    let bytes = job.payload.bytes.count + job.metadata.bytes.count
    guard bytes <= payloadBytes else {
      throw QudoError(.invalidArgument, "the payload has \(bytes) bytes, the limit is \(payloadBytes): keep large data elsewhere and enqueue its name")
    }
    guard Self.priorities.contains(job.priority) else {
      throw QudoError(.invalidArgument, "the priority \(job.priority) is outside \(Self.priorities)")
    }
    switch job.due {
    case .now: break
    case .after(let delay) where delay < .zero:
      throw QudoError(.invalidArgument, "the delay \(delay) is negative: give no delay for now, or a time in the past as a time")
    case .after: break
    case .at(let time):
      guard (Timestamp.earliest...Timestamp.latest).contains(time) else {
        throw QudoError(.invalidArgument, "the due time is outside the years 1 to 9999")
      }
    }
  }

  package static func check(_ what: String, _ text: String, atMost limit: Int) throws(QudoError) {
    guard !text.isEmpty else { throw QudoError(.invalidArgument, "the \(what) is empty") }
    guard text.utf8.count <= limit else {
      throw QudoError(.invalidArgument, "the \(what) has \(text.utf8.count) bytes, the limit is \(limit)")
    }
    guard !text.utf8.contains(0) else { throw QudoError(.invalidArgument, "the \(what) has a NUL byte") }
  }
}
