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

extension Due {
  /// Returns the time at which the job is due.
  ///
  /// - Parameter now: The time of the enqueue, or of the change.
  package func moment(_ now: Timestamp) -> Timestamp {
    switch self {
    case .now: now
    case .after(let delay): now.advanced(by: delay)
    case .at(let time): time
    }
  }
}

/// A key that at most one live job of a kind can hold.
///
///     try await queue.enqueue(Ship(order: 1), unique: "order-1")
///     try await queue.enqueue(
///       Reindex(page: 7), options: EnqueueOptions(unique: .debounced("page-7", atMost: .seconds(60)), due: .after(.seconds(5))))
///
/// See the examples `Tests/Examples/Sources/Unique` and `Tests/Examples/Sources/Debounce`.
public struct UniqueKey: Hashable, Sendable {
  /// The end of a job's hold on its key.
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
    /// returns ``EnqueueResult/conflict(_:)``. ``UniqueKey/maxDelay`` bounds the new due time.
    case overwrite
  }
  /// The key: 1 to 255 bytes of UTF-8 without NUL, compared as bytes.
  public var key: String
  /// The end of the job's hold on the key. Default: when the job is finished.
  public var scope: Scope
  /// The effect of an enqueue with this key if another live job holds it. Default: ``Conflict/reject``.
  public var onConflict: Conflict
  /// The latest due time that an overwrite may give the existing job, as a time after that job's ``StoredJob/enqueuedAt``.
  /// Default: nil, no bound, which costs nothing.
  ///
  /// Without a bound, a job may never run if every enqueue overwrites it and postpones it by its delay. With a bound, it is due this long
  /// after its first enqueue at the latest, or immediately if that time has passed. The overwriting enqueue decides the bound. The bound
  /// limits only overwrites: the first enqueue gets the due time that it states. It limits only the due time: a held job
  /// (``ConcurrencyKey``) still waits for its turn. If ``onConflict`` is not ``Conflict/overwrite``, the bound has no effect.
  ///
  /// Enqueues refuse a bound that is negative or shorter than the job's own delay.
  public var maxDelay: Duration?
  /// The time for which the key stays taken after its job has completed, so that at most one job of the key completes in this time.
  /// Default: nil, the key is free immediately, which costs nothing.
  ///
  /// During this time the key *rests*: no enqueue with it stores anything, whatever its own throttle. With ``Conflict/keep``, the enqueue
  /// returns ``EnqueueResult/existing(_:)`` with the id of the completed job, else ``EnqueueResult/conflict(_:)``. The same holds for replays
  /// and the ticks of schedules. Only a completed job lets its key rest. If a job fails for good, is cancelled, expires, or is given up or
  /// dropped, the key is free immediately; the same holds for a job that enqueues others on its completion. The enqueue that stored the
  /// job decides: overwriting the job does not change its throttle, and a replay has none unless you give it a key with one.
  ///
  /// The time is wall time, and survives restarts, backups and restores. If the wall clock is set back to before the
  /// completion, the key rests again from the next enqueue on, with drivers that run on the caller's machine
  /// (``Capabilities/monotonicLeases``).
  ///
  /// Enqueues refuse a throttle that is shorter than a microsecond, and one with ``Scope/untilStarted``.
  public var throttle: Duration?

  /// Creates a key.
  ///
  /// - Parameters:
  ///   - key: 1 to 255 bytes of UTF-8 without NUL.
  ///   - scope: how long the job holds the key. Default: until it is finished.
  ///   - onConflict: the effect of an enqueue if another live job holds the key. Default: it is rejected.
  ///   - maxDelay: how long after its first enqueue an overwritten job becomes due at the latest. Default: there is no bound.
  ///   - throttle: how long the key stays taken after the job has completed. Default: it is free immediately.
  public init(
    _ key: String, scope: Scope = .untilFinished, onConflict: Conflict = .reject, maxDelay: Duration? = nil,
    throttle: Duration? = nil
  ) {
    self.key = key
    self.scope = scope
    self.onConflict = onConflict
    self.maxDelay = maxDelay
    self.throttle = throttle
  }

  /// Creates a key for debouncing: give the job a delay, and each further enqueue within the delay overwrites the job and
  /// starts the delay again, so that one job runs with the newest payload once no enqueue has come for that long.
  ///
  ///     try await queue.enqueue(
  ///       Reindex(page: 7), options: EnqueueOptions(unique: .debounced("page-7", atMost: .seconds(60)), due: .after(.seconds(5))))
  ///
  /// The job holds the key until a worker first claims it. An enqueue while it runs, or waits for a retry, enqueues the next job. Add a
  /// ``ConcurrencyKey`` if that one must not run at the same time; see ``EnqueueOptions/followUp(_:)``.
  ///
  /// - Parameters:
  ///   - key: 1 to 255 bytes of UTF-8 without NUL.
  ///   - maxDelay: how long after the first enqueue the job becomes due at the latest, however many others come; see ``maxDelay``.
  ///     Default: there is no bound.
  public static func debounced(_ key: String, atMost maxDelay: Duration? = nil) -> UniqueKey {
    UniqueKey(key, scope: .untilStarted, onConflict: .overwrite, maxDelay: maxDelay)
  }
}

extension UniqueKey: ExpressibleByStringLiteral {
  /// Creates a key that is held until the job is finished, and that rejects a second job: `unique: "order-1"`.
  public init(stringLiteral value: String) { self.init(value) }
}

extension UniqueKey {
  /// Returns the due time for a job that an enqueue with this key overwrites.
  ///
  /// - Parameters:
  ///   - due: the due time that the enqueue asks for.
  ///   - first: when the job was first enqueued.
  ///   - now: the time of the enqueue.
  package func due(_ due: Due, since first: Timestamp, now: Timestamp) -> Due {
    guard let maxDelay else { return due }
    let latest = max(now, first.advanced(by: maxDelay))
    switch due {
    case .now: return due
    case .after(let delay):
      guard now.advanced(by: delay) > latest else { return due }
      return .after(.microseconds(latest.microseconds - now.microseconds))
    case .at(let time): return .at(min(time, latest))
    }
  }

  /// - Throws: ``QudoError/Code/invalidArgument``.
  func check(due: Due) throws(QudoError) {
    try Limits.check("unique key", key, atMost: Limits.uniqueKeyBytes)
    if let throttle {
      guard throttle >= .microseconds(1) else {
        throw QudoError(
          .invalidArgument,
          "the throttle \(throttle) of the unique key is not a time: give 1 microsecond or more"
        )
      }
      guard scope == .untilFinished else {
        throw QudoError(
          .invalidArgument,
          "a unique key that ends with the start cannot have a throttle: let the job hold the key until it is finished"
        )
      }
    }
    guard let maxDelay else { return }
    guard maxDelay >= .zero else {
      throw QudoError(
        .invalidArgument, "the maximum delay \(maxDelay) of the unique key is negative: give 0 or more")
    }
    if case .after(let delay) = due, delay > maxDelay {
      throw QudoError(
        .invalidArgument,
        "the delay \(delay) is longer than the maximum delay \(maxDelay) of the unique key: raise the maximum, or shorten the delay"
      )
    }
  }
}

/// A job that is not stored yet.
public struct NewJob: Sendable {
  /// The job's kind.
  public var kind: Kind
  /// The job's argument, encoded.
  public var payload: Payload
  /// Jobs with a higher priority run first. Default: 0.
  public var priority: Int
  /// The time at which the job may first run. Default: now.
  public var due: Due
  /// Entries that travel with the payload, for hooks. They count towards the payload's limit.
  public var metadata: JobMetadata
  /// At most one live job per kind and key. Default: none.
  public var unique: UniqueKey? {
    get { rules?.values.unique }
    set { setRule { $0.unique = newValue } }
  }
  /// Jobs of one kind and key run one after the other, or a few at a time. Default: none, which costs nothing.
  public var concurrencyKey: ConcurrencyKey? {
    get { rules?.values.concurrencyKey }
    set { setRule { $0.concurrencyKey = newValue } }
  }
  /// The group, such as a customer, whose jobs take turns with those of other groups. Default: none, which costs nothing.
  ///
  ///     try await queue.enqueue(Resize(image), options: EnqueueOptions(group: "customer-7"))
  ///
  /// The ready jobs of the groups of one kind and priority begin in turn, one of each group at a time, whoever enqueued more or earlier:
  /// a customer with a million jobs does not hold up the ten of another. Within a group, the job that became ready first begins first.
  /// A job gets its place when it becomes ready: when it is enqueued, when its delay ends, when its ``ConcurrencyKey`` admits it, when it
  /// is retried or snoozed without a delay, and when its priority or due time is changed. A job that a worker gave back, or whose lease
  /// expired, keeps its place.
  ///
  /// Jobs without a group count as one more group, as soon as the kind has ready or running jobs with groups; those that
  /// are ready before then keep their places by due time. So give all jobs of such a kind a group. A due time in the past puts no job of
  /// such a kind in front of the others of its group, and no priority is shared: a higher one runs first, whatever the groups.
  ///
  /// A name has 1 to 255 bytes of UTF-8 without NUL, and is compared as bytes. Each kind, and each of several databases, has its own
  /// groups; a name that no live job has takes no space. It needs ``Capabilities/groups``.
  public var group: String? {
    get { rules?.values.group }
    set { setRule { $0.group = newValue } }
  }
  /// The time at which the job expires if it still waits. Default: never, which costs nothing.
  public var expires: Expiry {
    get { rules?.values.expires ?? .never }
    set { setRule { $0.expires = newValue } }
  }
  /// The maximum number of waiting jobs of the kind, and what the enqueue does at it. Default: none, which costs nothing.
  public var maxWaiting: MaxWaiting? {
    get { rules?.values.maxWaiting }
    set { setRule { $0.maxWaiting = newValue } }
  }
  /// Names the enqueue, so that repeating it has no further effect. Default: none, which costs nothing.
  public var idempotencyKey: IdempotencyKey? {
    get { rules?.values.idempotencyKey }
    set { setRule { $0.idempotencyKey = newValue } }
  }

  /// The rarely used properties. By reference, because each layer copies the job. Nil if the job has none of them.
  private var rules: Rules?

  /// A new rule also goes into ``isEmptyButMaxWaiting``, and twice into the initializer of ``NewJob``.
  private struct RuleValues: Sendable {
    var unique: UniqueKey?
    var concurrencyKey: ConcurrencyKey?
    var group: String?
    var expires = Expiry.never
    var maxWaiting: MaxWaiting?
    var idempotencyKey: IdempotencyKey?

    var isEmpty: Bool { isEmptyButMaxWaiting && maxWaiting == nil }

    var isEmptyButMaxWaiting: Bool {
      unique == nil && concurrencyKey == nil && group == nil && expires == .never && idempotencyKey == nil
    }
  }

  private final class Rules: Sendable {
    let values: RuleValues
    init(_ values: RuleValues) { self.values = values }
  }

  private mutating func setRule(_ set: (inout RuleValues) -> Void) {
    var values = rules?.values ?? RuleValues()
    set(&values)
    rules = values.isEmpty ? nil : Rules(values)
  }

  /// Whether the job has only the properties that every job has.
  package var hasNoRules: Bool { rules == nil }

  /// Whether the job has no rule that its own row shows, or that looks up other rows: a maximum of waiting jobs counts for an enqueue as
  /// a whole.
  package var hasNoRuleButMaxWaiting: Bool { rules?.values.isEmptyButMaxWaiting ?? true }

  /// Creates a job. Enqueues check it against ``Limits``.
  public init(
    _ kind: Kind, payload: Payload = Payload([]), unique: UniqueKey? = nil,
    concurrencyKey: ConcurrencyKey? = nil, group: String? = nil, priority: Int = 0, due: Due = .now,
    expires: Expiry = .never, maxWaiting: MaxWaiting? = nil,
    metadata: JobMetadata = JobMetadata(), idempotencyKey: IdempotencyKey? = nil
  ) {
    self.kind = kind
    self.payload = payload
    self.priority = priority
    self.due = due
    self.metadata = metadata
    // Most jobs have none: to look first costs less than to put the values together.
    let hasRules =
      unique != nil || concurrencyKey != nil || group != nil || expires != .never || maxWaiting != nil
      || idempotencyKey != nil
    rules =
      hasRules
      ? Rules(
        RuleValues(
          unique: unique, concurrencyKey: concurrencyKey, group: group, expires: expires,
          maxWaiting: maxWaiting, idempotencyKey: idempotencyKey)) : nil
  }
}

/// The result of inserting one job, from a driver: ``EnqueueResult`` with numbers for ids.
public enum InsertResult: Hashable, Sendable {
  /// The job was stored and has this number.
  case inserted(Int64)
  /// The job with this number already holds the unique key and was kept, or the key has rested since it completed; or an
  /// earlier enqueue with the same idempotency key stored it, and the job may be finished.
  case existing(Int64)
  /// The waiting job with this number held the unique key and was overwritten.
  case overwritten(Int64)
  /// The live job with this number holds the unique key, or the key has rested since that job completed. Nothing was
  /// written.
  case conflict(Int64)

  /// The number of the new job, or of the job that holds the unique key.
  public var id: Int64 {
    switch self {
    case .inserted(let id), .existing(let id), .overwritten(let id), .conflict(let id): id
    }
  }
}
