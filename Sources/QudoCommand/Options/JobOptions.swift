internal import ArgumentParser
internal import Qudo

/// The options of an enqueued job besides its payload.
struct JobOptions: ParsableArguments {
  enum Conflict: String, CaseIterable, ExpressibleByArgument {
    case reject, keep, overwrite

    var policy: UniqueKey.Conflict {
      switch self {
      case .reject: .reject
      case .keep: .keep
      case .overwrite: .overwrite
      }
    }
  }

  /// The policy of an enqueue at the maximum of waiting jobs.
  enum WhenFull: String, CaseIterable, ExpressibleByArgument {
    case refuse
    case dropOldest = "drop-oldest"
  }

  @Option(
    help: ArgumentHelp(
      "At most one unfinished job per kind and key; 1 to 255 bytes. Default: none.", valueName: "key"))
  var uniqueKey: String?
  @Option(
    help: ArgumentHelp(
      "If another job has the key: reject (fail), keep (that job), or overwrite (its payload, priority, time and expiry, while it waits).",
      valueName: "policy"))
  var onConflict: Conflict?
  @Option(
    help: ArgumentHelp(
      """
      Until a worker begins the job, each further enqueue with this key overwrites it and starts its --delay again: one job runs, \
      with the newest payload, once no enqueue has come for that long. Needs --delay. Default: none.
      """, valueName: "key"))
  var debounce: String?
  @Option(
    help: ArgumentHelp(
      """
      With --debounce or --on-conflict overwrite: the job is due this long after its first enqueue at the latest, however often it is \
      overwritten. Default: no bound.
      """, valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var maxDelay: Duration?
  @Option(
    help: ArgumentHelp(
      """
      With --unique-key: after the job has completed, the key stays taken for this long, so that further enqueues store nothing. A job \
      that fails or is cancelled frees it immediately. Default: the key is free when the job has ended.
      """, valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var throttle: Duration?
  @Option(
    help: ArgumentHelp(
      """
      While a job with this key runs, all further enqueues become one held job with the newest payload. It begins when the running job \
      has left the queue, after its retries. Default: none.
      """, valueName: "key"))
  var followUp: String?
  @Option(
    help: ArgumentHelp(
      """
      Jobs of one kind and concurrency key run one after the other in the order of their enqueues, retries included; 1 to 255 bytes. \
      The others are held. Default: none.
      """, valueName: "key"))
  var concurrencyKey: String?
  @Option(
    help: ArgumentHelp(
      """
      With --concurrency-key, the maximum number of its jobs that run at the same time, from 1 to 1000, or to 100 \
      with --key-rate; the newest enqueue decides for all jobs of the key. Default: 1.
      """, valueName: "number"))
  var keyLimit: Int?
  @Option(
    help: ArgumentHelp(
      """
      With --concurrency-key, the maximum rate at which its jobs begin, such as 10/1m for 10 jobs per minute, in all workers of the \
      database; the newest enqueue decides for all jobs of the key, but one that already waits for its token waits until then. Default: \
      none.
      """, valueName: "number/duration"),
    transform: { try RateLimit(parsing: $0) })
  var keyRate: RateLimit?
  @Flag(
    help: ArgumentHelp(
      """
      With --concurrency-key: if a job fails for good, the other jobs of the key stay held until it is replayed or resolved, or until \
      qudo resume --key. The newest enqueue decides for all jobs of the key. Default: the next job begins.
      """))
  var stopAfterFailure = false
  @Option(
    help: ArgumentHelp(
      """
      The groups of a kind and priority, such as customers, take turns: one job of each begins, then one of each again; 1 to 255 bytes. \
      Jobs without a group count as one more group. Default: none.
      """, valueName: "name"))
  var group: String?
  @Option(
    help: ArgumentHelp("Higher priorities run first; from -2147483647 to 2147483647.", valueName: "number"))
  var priority = 0
  @Option(
    name: .customLong("metadata"),
    help: ArgumentHelp(
      "An entry that is stored with the payload, such as a tenant. Repeat for several. The jobs command finds jobs by it.",
      valueName: "name=text"),
    transform: { try MetadataEntry($0) })
  var metadata: [MetadataEntry] = []
  @Option(
    help: ArgumentHelp(
      "Run the job no earlier than this long from now. Default: now.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var delay: Duration?
  @Option(
    help: ArgumentHelp(
      "Run the job no earlier than this ISO 8601 time with a zone: 2026-03-01T12:00:00Z or 2026-03-01T13:00+01:00. A past time counts as now.",
      valueName: "time"),
    transform: { try Timestamp(parsing: $0) })
  var at: Timestamp?
  @Option(
    help: ArgumentHelp(
      """
      If the job still waits after this long, or at this ISO 8601 time, it goes to the failure log as expired and never runs. \
      Default: it waits as long as it takes.
      """, valueName: "duration or time"),
    transform: { try Expiry(parsing: $0) })
  var expires: Expiry?
  @Option(
    help: ArgumentHelp(
      """
      At most this many jobs of the kind wait in the database, ready, delayed or held; from 1 to 1000000000. Running jobs do not count. \
      Default: no limit.
      """, valueName: "number"))
  var maxWaiting: Int?
  @Option(
    help: ArgumentHelp(
      """
      If more jobs would wait than --max-waiting: refuse (enqueue nothing and exit with status 75), or drop-oldest (move the oldest \
      waiting jobs to the failure log as dropped). Default: refuse.
      """, valueName: "policy"))
  var whenFull: WhenFull?

  func validate() throws {
    try MetadataEntry.check(metadata)
    if whenFull != nil, maxWaiting == nil { throw ValidationError("--when-full needs --max-waiting") }
    if delay != nil, at != nil { throw ValidationError("--delay and --at exclude each other") }
    if keyLimit != nil, concurrencyKey == nil { throw ValidationError("--key-limit needs --concurrency-key") }
    if keyRate != nil, concurrencyKey == nil { throw ValidationError("--key-rate needs --concurrency-key") }
    if stopAfterFailure, concurrencyKey == nil {
      throw ValidationError("--stop-after-failure needs --concurrency-key")
    }
    if onConflict != nil, uniqueKey == nil { throw ValidationError("--on-conflict needs --unique-key") }
    guard [uniqueKey, debounce, followUp].count(where: { $0 != nil }) < 2 else {
      throw ValidationError("--unique-key, --debounce and --follow-up exclude each other")
    }
    if throttle != nil, uniqueKey == nil { throw ValidationError("--throttle needs --unique-key") }
    if debounce != nil, delay == nil { throw ValidationError("--debounce needs --delay") }
    if followUp != nil, concurrencyKey != nil {
      throw ValidationError("--follow-up and --concurrency-key exclude each other")
    }
    if maxDelay != nil, debounce == nil, onConflict != .overwrite {
      throw ValidationError("--max-delay needs --debounce or --on-conflict overwrite")
    }
  }

  var hasUniqueKey: Bool { uniqueKey != nil || debounce != nil || followUp != nil }

  var unique: UniqueKey? {
    if let debounce { return .debounced(debounce, atMost: maxDelay) }
    if let followUp { return EnqueueOptions.followUp(followUp).unique }
    return uniqueKey.map {
      UniqueKey($0, onConflict: (onConflict ?? .reject).policy, maxDelay: maxDelay, throttle: throttle)
    }
  }

  var ordering: ConcurrencyKey? {
    if let followUp { return EnqueueOptions.followUp(followUp).concurrencyKey }
    return concurrencyKey.map {
      ConcurrencyKey(
        $0, limit: keyLimit ?? 1, rate: keyRate, afterFailure: stopAfterFailure ? .stop : .goOn)
    }
  }

  /// The maximum of waiting jobs; nil for none.
  var bound: MaxWaiting? {
    maxWaiting.map { whenFull == .dropOldest ? .dropOldest($0) : .refuse($0) }
  }

  var due: Due {
    if let delay { return .after(delay) }
    // A past time would order the job before other ready jobs.
    guard let at, at > SystemClock().now().wall else { return .now }
    return .at(at)
  }
}

extension RateLimit {
  /// Parses a number and a duration, such as `10/1m`.
  ///
  /// - Throws: ``QudoError/Code/invalidArgument``.
  init(parsing text: String) throws(QudoError) {
    guard let slash = text.firstIndex(of: "/"), let count = Int(text[..<slash]), count >= 1 else {
      throw QudoError(
        .invalidArgument,
        "'\(text.prefix(40))' is not NUMBER/DURATION with 1 or more: write for example 10/1m")
    }
    self.init(count, per: try Duration(parsing: String(text[text.index(after: slash)...])))
  }

  /// The rate for a table, such as `10/1m`, with a rounded period; another burst than the number follows it.
  var display: String {
    "\(count)/\(period.inUnits)" + (burst == count ? "" : ", burst \(burst)")
  }
}
