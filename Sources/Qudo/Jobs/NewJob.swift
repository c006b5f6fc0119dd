/// The bytes of a job's argument and the codec that wrote them.
public struct Payload: Hashable, Sendable {
  /// Any bytes; an insert refuses more than ``Limits/payloadBytes``.
  public var bytes: [UInt8]
  /// What the bytes are.
  public var codec: CodecID

  /// Bytes, raw unless a codec wrote them.
  public init(_ bytes: [UInt8], codec: CodecID = .raw) {
    self.bytes = bytes
    self.codec = codec
  }

  /// A text's UTF-8 as raw bytes.
  public init(_ text: String) { self.init(Array(text.utf8)) }
}

extension Payload: CustomStringConvertible, CustomDebugStringConvertible {
  /// Not the bytes: they may be long, or a secret.
  public var description: String { "\(bytes.count) bytes, codec \(codec)" }
  public var debugDescription: String { description }
}

/// When a job may first run, by the database's clock.
public enum Due: Hashable, Sendable {
  /// At once.
  case now
  /// After this time, which is not negative. With a driver on the callers' own machine (``Capabilities/monotonicLeases``) the delay begins anew
  /// if the wall clock is set back meanwhile.
  case after(Duration)
  /// A time in the past counts as due, and before later ones.
  case at(Timestamp)
}

/// At most one live job per kind and key.
public struct UniqueKey: Hashable, Sendable {
  /// How long the key is held.
  public enum Scope: Int64, Sendable {
    /// Until the job is completed, failed for good, or replaced.
    case untilFinished = 0
    /// Until the job is first claimed. A retry does not take the key again.
    case untilStarted = 1
  }
  /// What an enqueue does when another live job has the key.
  public enum Conflict: Sendable {
    /// The enqueue reports ``InsertResult/conflict(_:)``.
    case reject
    /// The enqueue reports ``InsertResult/existing(_:)``; the job that is there stays as it is.
    case keep
    /// Payload, priority and due time of a job that waits are overwritten, and it begins anew with its first attempt and without lost
    /// leases: another payload is another piece of work. It keeps its id and the time of its enqueue. A running one is left alone and
    /// reported.
    case overwrite
  }
  /// 1 to 255 bytes of UTF-8 without NUL, compared as bytes.
  public var key: String
  /// How long it is held. Default: until the job is finished.
  public var scope: Scope
  /// What becomes of a second job with it. Default: it is rejected.
  public var onConflict: Conflict

  /// Each with its default.
  public init(_ key: String, scope: Scope = .untilFinished, onConflict: Conflict = .reject) {
    self.key = key
    self.scope = scope
    self.onConflict = onConflict
  }
}

/// A job on its way to the database.
public struct NewJob: Sendable {
  /// What sort of job it is.
  public var kind: Kind
  /// Its argument, encoded.
  public var payload: Payload
  /// At most one live job per kind and key. Default: none.
  public var unique: UniqueKey?
  /// Higher runs first. Default 0.
  public var priority: Int
  /// When it may first run. Default: now.
  public var due: Due
  /// What travels beside the payload, for hooks. Counts towards the payload's limit.
  public var metadata: JobMetadata
  /// What the enqueue can be repeated under without being done twice. Default: none, which costs nothing.
  public var idempotencyKey: IdempotencyKey?

  /// Each with its default. What is not allowed is refused when it is enqueued: ``Limits``.
  public init(
    _ kind: Kind, payload: Payload = Payload([]), unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now, metadata: JobMetadata = JobMetadata(),
    idempotencyKey: IdempotencyKey? = nil
  ) {
    self.kind = kind
    self.payload = payload
    self.unique = unique
    self.priority = priority
    self.due = due
    self.metadata = metadata
    self.idempotencyKey = idempotencyKey
  }
}

/// What became of one job of an insert.
public enum InsertResult: Hashable, Sendable {
  /// A new job with this id.
  case inserted(Int64)
  /// The job that had the unique key was kept; or the job of an enqueue under the same idempotency key, which may be gone.
  case existing(Int64)
  /// The job that had the unique key was waiting and was overwritten.
  case overwritten(Int64)
  /// Another live job has the unique key; nothing was written for this one.
  case conflict(Int64)

  /// The job that is there now: the new one, or the one that has the unique key.
  public var id: Int64 {
    switch self {
    case .inserted(let id), .existing(let id), .overwritten(let id), .conflict(let id): id
    }
  }
}
