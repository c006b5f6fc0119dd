/// A job's encoded argument: bytes, and the codec that wrote them.
public struct Payload: Hashable, Sendable {
  /// The bytes. Enqueues refuse more than ``Limits/payloadBytes``.
  public var bytes: [UInt8]
  /// The codec that wrote the bytes.
  public var codec: CodecID

  /// Creates a payload from bytes, which are raw unless a codec is given.
  public init(_ bytes: [UInt8], codec: CodecID = .raw) {
    self.bytes = bytes
    self.codec = codec
  }

  /// Creates a payload from a text: its UTF-8 as raw bytes.
  public init(_ text: String) { self.init(Array(text.utf8)) }
}

extension Payload: CustomStringConvertible, CustomDebugStringConvertible {
  /// The size and the codec. The bytes are left out: they may be long, or a secret.
  public var description: String { "\(bytes.count) bytes, codec \(codec)" }
  public var debugDescription: String { description }
}

/// The time at which a job may first run, by the database's clock.
public enum Due: Hashable, Sendable {
  /// As soon as a worker is free.
  case now
  /// After a delay, which is not negative. If the wall clock is set back meanwhile, the delay starts again, with drivers that run on the
  /// caller's machine (``Capabilities/monotonicLeases``).
  case after(Duration)
  /// At a time. A time in the past is due now, and before jobs that became due later.
  case at(Timestamp)
}

/// A key that at most one live job of a kind can hold.
///
/// See the example `Tests/Examples/Sources/Unique`.
public struct UniqueKey: Hashable, Sendable {
  /// How long a job holds its key.
  public enum Scope: Int64, Sendable {
    /// Until the job completes, or fails for good.
    case untilFinished = 0
    /// Until a worker first claims the job. A retry does not hold the key again.
    case untilStarted = 1
  }
  /// The effect of an enqueue if another live job holds the key.
  public enum Conflict: Sendable {
    /// The enqueue stores nothing and returns ``EnqueueResult/conflict(_:)``.
    case reject
    /// The enqueue stores nothing and returns ``EnqueueResult/existing(_:)``.
    case keep
    /// The enqueue overwrites payload, metadata, priority, due time and expiry of the other job, and returns ``EnqueueResult/overwritten(_:)``. The
    /// job keeps its id and ``StoredJob/enqueuedAt``, and starts again with its first attempt. A running job is left as it is: the enqueue
    /// returns ``EnqueueResult/conflict(_:)``.
    case overwrite
  }
  /// The key: 1 to 255 bytes of UTF-8 without NUL, compared as bytes.
  public var key: String
  /// How long the job holds the key. Default: until it is finished.
  public var scope: Scope
  /// The effect of an enqueue with this key if another live job holds it. Default: ``Conflict/reject``.
  public var onConflict: Conflict

  /// Creates a key.
  ///
  /// - Parameters:
  ///   - key: 1 to 255 bytes of UTF-8 without NUL.
  ///   - scope: how long the job holds the key. Default: until it is finished.
  ///   - onConflict: the effect of an enqueue if another live job holds the key. Default: it is rejected.
  public init(_ key: String, scope: Scope = .untilFinished, onConflict: Conflict = .reject) {
    self.key = key
    self.scope = scope
    self.onConflict = onConflict
  }
}

extension UniqueKey: ExpressibleByStringLiteral {
  /// Creates a key that is held until the job is finished, and that rejects a second job: `unique: "order-1"`.
  public init(stringLiteral value: String) { self.init(value) }
}

/// A job that is not stored yet.
public struct NewJob: Sendable {
  /// The job's kind.
  public var kind: Kind
  /// The job's argument, encoded.
  public var payload: Payload
  /// At most one live job per kind and key. Default: none.
  public var unique: UniqueKey?
  /// Jobs of one kind and key run one after the other, or a few at a time. Default: none, which costs nothing.
  public var concurrencyKey: ConcurrencyKey?
  /// Jobs with a higher priority run first. Default: 0.
  public var priority: Int
  /// When the job may first run. Default: now.
  public var due: Due
  /// When the job expires if it still waits. Default: never, which costs nothing.
  public var expires: Expiry
  /// The maximum number of waiting jobs of the kind, and what the enqueue does at it. Default: none, which costs nothing.
  public var maxWaiting: MaxWaiting?
  /// Entries that travel beside the payload, for hooks. They count towards the payload's limit.
  public var metadata: JobMetadata
  /// Names the enqueue, so that repeating it has no further effect. Default: none, which costs nothing.
  public var idempotencyKey: IdempotencyKey?

  /// Creates a job. Enqueues check it against ``Limits``.
  public init(
    _ kind: Kind, payload: Payload = Payload([]), unique: UniqueKey? = nil,
    concurrencyKey: ConcurrencyKey? = nil, priority: Int = 0, due: Due = .now, expires: Expiry = .never,
    maxWaiting: MaxWaiting? = nil,
    metadata: JobMetadata = JobMetadata(), idempotencyKey: IdempotencyKey? = nil
  ) {
    self.kind = kind
    self.payload = payload
    self.unique = unique
    self.concurrencyKey = concurrencyKey
    self.priority = priority
    self.due = due
    self.expires = expires
    self.maxWaiting = maxWaiting
    self.metadata = metadata
    self.idempotencyKey = idempotencyKey
  }
}

/// The result of inserting one job, from a driver: ``EnqueueResult`` with numbers for ids.
public enum InsertResult: Hashable, Sendable {
  /// The job was stored and has this number.
  case inserted(Int64)
  /// The job with this number already holds the unique key and was kept; or an earlier enqueue with the same idempotency key stored it.
  /// In the second case the job may be finished.
  case existing(Int64)
  /// The waiting job with this number held the unique key and was overwritten.
  case overwritten(Int64)
  /// The live job with this number holds the unique key. Nothing was written.
  case conflict(Int64)

  /// The number of the new job, or of the job that holds the unique key.
  public var id: Int64 {
    switch self {
    case .inserted(let id), .existing(let id), .overwritten(let id), .conflict(let id): id
    }
  }
}
