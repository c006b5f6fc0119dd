/// The options of an enqueue: key, priority, due time and the like. The defaults suit a job that may run now.
///
///     try await queue.enqueue(SendMail(to: "ada@example.org"), options: EnqueueOptions(priority: 5, due: .after(.seconds(60))))
///
/// The calls with labels, such as `enqueue(_:unique:priority:due:expires:idempotencyKey:)`, are short forms of the calls with options.
///
/// See the example `Tests/Examples/Sources/Batch`.
public struct EnqueueOptions: Hashable, Sendable {
  /// At most one live job per kind and key. Default: none.
  public var unique: UniqueKey?
  /// Jobs of one kind and key run one after the other, or a few at a time. Default: none.
  public var concurrencyKey: ConcurrencyKey?
  /// The group, such as a customer, with which the job takes turns: see ``NewJob/group``. Default: none.
  public var group: String?
  /// Jobs with a higher priority run first. Default: 0.
  public var priority: Int
  /// The time at which the job may first run. Default: now.
  public var due: Due
  /// The time at which the job expires if it still waits. Default: never.
  public var expires: Expiry
  /// The maximum number of waiting jobs of the kind, and what the enqueue does at it. Default: none.
  public var maxWaiting: MaxWaiting?
  /// Names the enqueue, so that repeating it has no further effect. Default: none.
  public var idempotencyKey: IdempotencyKey?
  /// Entries that travel with the payload, for hooks. They count towards the payload's limit. Default: none.
  public var metadata: JobMetadata

  /// Creates options; those not given have their defaults.
  public init(
    unique: UniqueKey? = nil, concurrencyKey: ConcurrencyKey? = nil, group: String? = nil, priority: Int = 0,
    due: Due = .now, expires: Expiry = .never, maxWaiting: MaxWaiting? = nil,
    idempotencyKey: IdempotencyKey? = nil, metadata: JobMetadata = JobMetadata()
  ) {
    self.unique = unique
    self.concurrencyKey = concurrencyKey
    self.group = group
    self.priority = priority
    self.due = due
    self.expires = expires
    self.maxWaiting = maxWaiting
    self.idempotencyKey = idempotencyKey
    self.metadata = metadata
  }

  /// Options for a follow-up: while a job with this key runs, all further enqueues become one job, which has the newest
  /// payload and begins after the running one has left the queue.
  ///
  ///     try await queue.enqueue(Sync(account: 7), options: .followUp("account-7"))
  ///
  /// The key is both the ``unique`` key, held until the job starts and overwritten by each further enqueue, and the
  /// ``concurrencyKey``. So at most one job of a kind and key runs and at most one waits. The one that waits is held while
  /// the running one is retried, or while its worker is dead; it begins after that one completed, failed for good, or was
  /// cancelled. The other options can be set as usual: with a delay in ``due``, the follow-up is debounced, too.
  ///
  /// - Parameter key: 1 to 255 bytes of UTF-8 without NUL.
  public static func followUp(_ key: String) -> EnqueueOptions {
    EnqueueOptions(
      unique: UniqueKey(key, scope: .untilStarted, onConflict: .overwrite),
      concurrencyKey: ConcurrencyKey(key))
  }

  /// The options of one of several jobs that are enqueued together.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument`` for several jobs with one unique key, which at most one of them could hold.
  package func part(_ index: Int, of count: Int) throws(QudoError) -> EnqueueOptions {
    guard count > 1 else { return self }
    guard unique == nil else {
      throw QudoError(
        .invalidArgument,
        "\(count) jobs cannot share one unique key: enqueue them as NewJob values, each with its own key"
      )
    }
    var part = self
    part.idempotencyKey = idempotencyKey?.numbered(index)
    return part
  }
}

extension NewJob {
  /// Creates a job of a kind from its encoded argument.
  ///
  /// - Parameters:
  ///   - kind: the job's kind.
  ///   - payload: its argument, encoded.
  ///   - options: how it is enqueued.
  public init(_ kind: Kind, payload: Payload = Payload([]), options: EnqueueOptions) {
    self.init(
      kind, payload: payload, unique: options.unique, concurrencyKey: options.concurrencyKey,
      group: options.group, priority: options.priority, due: options.due,
      expires: options.expires, maxWaiting: options.maxWaiting, metadata: options.metadata,
      idempotencyKey: options.idempotencyKey)
  }

  /// Encodes a job, for a batch with jobs of several types:
  ///
  ///     try await queue.enqueue([NewJob(charge, codecs: queue.codecs), NewJob(receipt, codecs: queue.codecs)])
  ///
  /// - Parameters:
  ///   - job: the job.
  ///   - options: how it is enqueued. Default: ``EnqueueOptions`` with its defaults.
  ///   - codecs: what the job is encoded with. Default: JSON.
  /// - Throws: what the codec throws.
  public init<J: Job>(_ job: J, options: EnqueueOptions = EnqueueOptions(), codecs: Codecs = Codecs()) throws
  {
    self.init(J.kind, payload: try codecs.encode(job, of: J.kind), options: options)
  }
}

extension Codecs {
  /// Encodes jobs of one type that are enqueued together.
  package func encode<J: Job>(_ jobs: [J], _ options: EnqueueOptions) throws -> [NewJob] {
    var encoded: [NewJob] = []
    encoded.reserveCapacity(jobs.count)
    for (index, job) in jobs.enumerated() {
      encoded.append(try NewJob(job, options: options.part(index, of: jobs.count), codecs: self))
    }
    return encoded
  }
}
