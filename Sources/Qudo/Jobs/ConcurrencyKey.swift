/// A key whose jobs run one after the other, in the order in which they were enqueued; or a few of them at a time.
///
///     try await queue.enqueue(ShipOrder(7), options: EnqueueOptions(concurrencyKey: "customer-7"))
///     try await queue.enqueue(Fetch(url), options: EnqueueOptions(concurrencyKey: ConcurrencyKey("host-3", limit: 4)))
///
/// At most ``limit`` unfinished jobs of a kind and key are *admitted*, those that were enqueued first; all others are held
/// (``JobState/held``). An admitted job keeps its place through delays, retries, snoozes, expired leases and recoveries, until it leaves
/// the queue: it completes, fails for good, is cancelled, expires, or is given up or dropped. The transaction in which it leaves admits
/// the held job of the key with the lowest number. So with the default limit of 1, no job of a key begins before the earlier ones have
/// left the queue, and priorities and due times order only what is admitted. As everywhere, a worker that lost its lease may still run.
///
/// A held job waits, and can be listed, cancelled, changed, expired and dropped as any other waiting job, but no claim sees it: a
/// million held jobs cost the claims of other jobs nothing. A held job whose due time is later than its admission is delayed then.
///
/// An overwrite (``UniqueKey/Conflict/overwrite``) may give a waiting job another key. The job keeps its number, so it is
/// admitted before the held jobs of that key with higher numbers. A cancel by a filter that names the state
/// ``JobState/ready`` also cancels the jobs that it admits, and so ends all jobs of a key.
///
/// ## After a final failure
///
/// With ``AfterFailure/stop``, a job of the key that fails for good *stops* the key: no held job is admitted any more, and new jobs of the
/// key are held. Jobs that are admitted already, with a limit above 1, go on.
///
///     ConcurrencyKey("customer-7", afterFailure: .stop)
///
/// A job fails for good if its handler fails or times out at the last attempt, or aborts, or if it is given up for its expired leases. A
/// job that is cancelled, expires or is dropped for ``EnqueueOptions/maxWaiting`` does not stop its key: a caller decided before that it
/// need not run.
///
/// The key goes on when each failure that stopped it is replayed or resolved, or when the key is resumed:
///
/// - ``Queue/replay(_:changing:unique:in:)`` gives the new job the place of the failed one: it begins before all held jobs.
/// - ``Queue/resolve(_:in:)`` says that the job need not run: the next held job begins.
/// - ``Queue/resume(keys:of:)`` lets the key go on without either. The failures stay in the log; a replay comes last then.
///
/// ``Queue/keyStops(_:limit:)`` and `qudo keys` list the stops. A stop outlives its failure: if the failure log is pruned, the key stays
/// stopped until it is resumed, and `qudo doctor` warns of it. Completed jobs never stop a key, and neither do retries.
///
/// ## A rate
///
/// With a rate, the jobs of the key begin no faster than that, in all workers of the database: so a customer or a host has its own rate.
///
///     ConcurrencyKey("customer-7", limit: 4, rate: RateLimit(10, per: .seconds(60)))
///
/// Each begin takes a token from the key's bucket, that of a retry too. If a claim reaches a ready job and the bucket is empty, the job
/// keeps its place in the key and is delayed (``JobState/delayed``) until the next token is due: it counts no attempt, and no hook hears of
/// it. So the jobs of other keys and kinds begin meanwhile, and a key that waits costs their claims nothing. A job that was claimed and did
/// not begin gives its token back. If the kind has a rate as well (``JobPolicy/rate``), a job needs a token of both.
///
/// ``JobContext/throttle(for:)`` empties the bucket of the job's key. The bucket outlives the jobs: if the key has none left and gets one a
/// moment later, its tokens are as they were. The database forgets a bucket some time after it is full again.
///
/// A key that no job has, that is not stopped and whose bucket is full takes no space in the database. Each database has its own keys:
/// with several databases, jobs of one key in two of them run at the same time. It needs ``Capabilities/concurrencyKeys``.
///
/// See the examples `Tests/Examples/Sources/Ordered`, `RatePerKey` and `StopAfterFailure`.
public struct ConcurrencyKey: Hashable, Sendable {
  /// The key: 1 to 255 bytes of UTF-8 without NUL, compared as bytes. Each kind has its own keys.
  public var key: String
  /// The maximum number of admitted jobs, from 1 to 1,000, or to 100 with a ``rate``. Default: 1.
  ///
  /// The limit of the newest enqueue of the key counts, until no job of the key is left. If it raises the limit, more held
  /// jobs are admitted at once; if it lowers the limit, none is admitted until fewer than that are. An enqueue that meets
  /// the holder of its unique key and does not overwrite it, or is repeated, changes nothing. The enqueue, or the end, of a
  /// job takes time that grows with the number of admitted jobs of its key.
  public var limit: Int

  /// The maximum rate at which jobs of the key begin, in all workers of the database; nil for none, which is the default.
  ///
  /// As with the limit, that of the newest enqueue counts until no job of the key is left. A job that is delayed already, because there was
  /// no token for it, comes back at the time that it got, and takes its token by the new rate then. It needs ``Capabilities/keyRates``.
  public var rate: RateLimit?

  /// What a final failure of a job of the key does to the others. Default: ``AfterFailure/goOn``.
  ///
  /// As with the limit, that of the newest enqueue counts until no job of the key is left. It says what the next failure does; a key that is
  /// stopped stays so. ``AfterFailure/stop`` needs ``Capabilities/keyStops``.
  public var afterFailure: AfterFailure

  /// What a final failure of a job does to the other jobs of its key.
  public enum AfterFailure: String, Hashable, Sendable, Codable, CaseIterable {
    /// The next held job is admitted, as after a completion.
    case goOn
    /// The key is stopped: its held jobs stay held until the failure is replayed or resolved, or the key is resumed.
    case stop
  }

  /// Creates a key.
  ///
  /// - Parameters:
  ///   - key: 1 to 255 bytes of UTF-8 without NUL.
  ///   - limit: The maximum number of admitted jobs, from 1 to 1,000. Default: 1, one job after the other.
  ///   - rate: The maximum rate at which jobs of the key begin. Default: none.
  ///   - afterFailure: What a final failure of a job of the key does to the others. Default: they go on.
  public init(_ key: String, limit: Int = 1, rate: RateLimit? = nil, afterFailure: AfterFailure = .goOn) {
    (self.key, self.limit, self.rate, self.afterFailure) = (key, limit, rate, afterFailure)
  }

  /// The limits that can be given.
  package static let limits = 1...1000
  /// The highest limit of a key with a rate: each token moves the admitted jobs that wait for one.
  package static let highestLimitWithRate = 100
}

extension ConcurrencyKey {
  /// Whether the limits, the rates and what a failure does are equal, and the keys byte by byte.
  public static func == (a: ConcurrencyKey, b: ConcurrencyKey) -> Bool {
    a.limit == b.limit && a.rate == b.rate && a.afterFailure == b.afterFailure
      && a.key.utf8.elementsEqual(b.key.utf8)
  }

  /// Hashes the key's bytes, the limit, the rate and what a failure does.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(limit)
    hasher.combine(rate)
    hasher.combine(afterFailure)
    for byte in key.utf8 { hasher.combine(byte) }
  }
}

extension ConcurrencyKey: ExpressibleByStringLiteral {
  /// Creates a key whose jobs run one after the other: `concurrencyKey: "customer-7"`.
  public init(stringLiteral value: String) { self.init(value) }
}

extension ConcurrencyKey {
  /// - Throws: ``QudoError/Code/invalidArgument``.
  func check() throws(QudoError) {
    try Limits.check("concurrency key", key, atMost: Limits.concurrencyKeyBytes)
    guard Self.limits.contains(limit) else {
      throw QudoError(
        .invalidArgument, "the limit \(limit) of the concurrency key is outside 1 to 1000: give one inside")
    }
    guard let rate else { return }
    try rate.checkForKey()
    guard limit <= Self.highestLimitWithRate else {
      throw QudoError(
        .invalidArgument,
        "the limit \(limit) of the concurrency key is above 100, which is too high for a key with a rate: give 1 to 100"
      )
    }
  }
}

extension Capabilities {
  /// - Throws: ``QudoError/Code/invalidArgument`` if a job has a concurrency key or a group, which this database does not know, or a key that
  ///   stops, which it cannot stop, or one with a rate, which it does not obey.
  package func check(keysOf jobs: [NewJob]) throws(QudoError) {
    if !contains(.concurrencyKeys), jobs.contains(where: { $0.concurrencyKey != nil }) {
      throw QudoError(
        .invalidArgument,
        "the database knows no concurrency keys, and nothing was enqueued: use another database, or enqueue without a key"
      )
    }
    if !contains(.keyStops), jobs.contains(where: { $0.concurrencyKey?.afterFailure == .stop }) {
      throw QudoError(
        .invalidArgument,
        "the database stops no concurrency keys, and nothing was enqueued: use another database, or let the key go on after a failure"
      )
    }
    if !contains(.keyRates), jobs.contains(where: { $0.concurrencyKey?.rate != nil }) {
      throw QudoError(
        .invalidArgument,
        "the database knows no rates of concurrency keys, and nothing was enqueued: use another database, or give the kind a rate"
      )
    }
    guard !contains(.groups), jobs.contains(where: { $0.group != nil }) else { return }
    throw QudoError(
      .invalidArgument,
      "the database knows no groups of jobs, and nothing was enqueued: use another database, or enqueue without a group"
    )
  }
}
