internal import Qudo

/// The contents of a database. Each verb is a function of the contents and the time; see the extensions.
struct MemoryDatabase {
  enum Position {
    case ready
    case delayed
    /// Waiting for other jobs of its concurrency key.
    case held
    /// Running, with the boot in which it was claimed or its lease renewed.
    case running(Lease, lostLimit: Int, boot: String)
  }

  struct Row {
    let id: Int64
    let kind: Kind
    var payload: Payload
    var meta: JobMetadata
    var priority: Int
    var due: Timestamp
    /// The time at which its relative delay began.
    var delayed: Timestamp?
    var expires: Timestamp?
    let enqueued: Timestamp
    let unique: UniqueKey?
    /// Its concurrency key, without the limit.
    var key: KeyOfKind?
    /// True if the job still holds its unique key.
    var holdsKey: Bool
    var attempt = 1
    var lost = 0
    var place = Position.ready
    /// Its group, by the bytes of the name; empty for a job without one that takes turns with those that have one.
    var group: [UInt8]?
    /// Its place among the groups, from when it is ready until it waits again or leaves.
    var position: Timestamp?
    /// The time of its last claim.
    var claimed: Timestamp?
    /// The message for the failure log, if the job was cancelled while it ran.
    var cancelReason: String?

    var isReady: Bool { if case .ready = place { true } else { false } }
    var isHeld: Bool { if case .held = place { true } else { false } }
    var isRunning: Bool { if case .running = place { true } else { false } }

    var turn: Turn { Turn(priority: priority, due: position ?? due, id: id) }

    /// The name of its group; nil for none.
    var groupName: String? {
      group.flatMap { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }
    }

    /// Whether the job takes turns with those of other groups.
    var takesTurns: Bool { group?.isEmpty == false && position != nil }
  }

  /// The order of the ready jobs. The lowest is claimed first.
  struct Turn: Comparable {
    let priority: Int
    /// The due time, or the place among the groups.
    let due: Timestamp
    let id: Int64
    static func < (a: Turn, b: Turn) -> Bool {
      a.priority != b.priority ? a.priority > b.priority : (a.due, a.id) < (b.due, b.id)
    }
  }

  /// A concurrency or unique key of a kind, by its bytes: Swift's texts are also equal if they only look alike.
  struct KeyOfKind: Hashable, Comparable {
    let kind: Kind
    let bytes: [UInt8]

    static func < (a: KeyOfKind, b: KeyOfKind) -> Bool {
      a.kind == b.kind
        ? a.bytes.lexicographicallyPrecedes(b.bytes)
        : a.kind < b.kind
    }

    init(_ kind: Kind, _ key: ConcurrencyKey) { self.init(kind, key.key) }
    init(_ kind: Kind, _ key: String) { (self.kind, bytes) = (kind, Array(key.utf8)) }

    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  /// The rules that the newest enqueue of a concurrency key set.
  struct KeyRule {
    var limit = 1
    var rate: RateLimit?
    var afterFailure = ConcurrencyKey.AfterFailure.goOn

    init(_ key: ConcurrencyKey) { (limit, rate, afterFailure) = (key.limit, key.rate, key.afterFailure) }

    func key(_ text: String) -> ConcurrencyKey {
      ConcurrencyKey(text, limit: limit, rate: rate, afterFailure: afterFailure)
    }
  }

  struct Failure {
    var record: FailureRecord
    /// The concurrency key, with its rule when the job failed.
    var key: ConcurrencyKey?
    var group: String?
    let codec: CodecID
    var scope: UniqueKey.Scope?
    var meta: JobMetadata
  }

  /// A unique key that stays taken after its job has completed.
  struct Rest {
    let job: Int64
    let throttle: Duration
    var ends: Timestamp
  }

  var jobs: [Int64: Row] = [:]
  /// The unique keys that rest, and some whose rest has ended.
  private var rests: [KeyOfKind: Rest] = [:]
  /// The rules of the concurrency keys that live jobs have.
  var keyRules: [KeyOfKind: KeyRule] = [:]
  /// The final failures that stop concurrency keys, oldest first.
  var keyStops: [(key: KeyOfKind, stop: KeyStop)] = []
  /// The token buckets of concurrency keys that have a rate, or had one. They outlive the keys' jobs.
  var keyBuckets: [KeyOfKind: RateBucket] = [:]
  /// Whether a job ever had a group.
  var hasGroups = false
  /// Whether a held job was admitted, or a ready one delayed until there is a token for it: workers are to claim, or to learn when.
  var hasAdmitted = false
  /// Whether a claim took fewer jobs than it wanted, because a kind had reached its maximum of running jobs.
  var isAtMaxRunning = false
  /// The token buckets of kinds with a rate.
  var buckets: [Kind: RateBucket] = [:]
  /// By kind; nil is everything.
  var pauses: [Kind?: Pause] = [:]
  /// The kind that each kind's final failures go to.
  var routes: [Kind: Kind] = [:]
  /// By the bytes of their names: Swift's texts are also equal if they only look alike.
  var schedules: [[UInt8]: StoredSchedule] = [:]
  var failures: [Failure] = []
  var statuses: [StatusRecord] = []
  /// The index of the driver that makes the current call.
  var caller = 0
  /// The holder numbers of the drivers that have claimed, in the order of their first claims.
  private var holders: [Int: Int64] = [:]
  /// The holder numbers of closed drivers.
  private(set) var deadHolders: Set<Int64> = []
  // The last numbers assigned. No number is assigned twice.
  var lastJob: Int64 = 0
  var lastFailure: Int64 = 0
  var lastStatus: Int64 = 0
  var lastToken: Int64 = 0
  /// The receipts of enqueues with an idempotency key, and the time at which each expires.
  private var receipts: [IdempotencyKey: (job: Int64, expires: Timestamp)] = [:]
  /// True to restart relative delays if the wall clock is set back, as a database on the caller's machine
  /// does. A server has its own clock.
  var knowsDelays = true
  /// The lifetime of receipts.
  var receiptLifetime = Duration.seconds(86_400)

  /// Returns the caller's holder number, assigning one on the first call.
  var knownHolder: Int64? { holders[caller] }

  /// The caller's number among those that hold leases; its first lease gives it one.
  mutating func holder() -> Int64 {
    if let known = holders[caller] { return known }
    holders[caller] = Int64(holders.count + 1)
    return Int64(holders.count)
  }

  /// Marks the caller as dead, so that its jobs can be recovered.
  mutating func loseHolder() { if let number = holders[caller] { deadHolders.insert(number) } }

  mutating func insert(_ new: [NewJob], now: ClockReading) -> [InsertResult] {
    new.map { job in
      guard let key = job.idempotencyKey else { return insert(job, now: now) }
      receipts = receipts.filter { $0.value.expires > now.wall }
      if let receipt = receipts[key] { return .existing(receipt.job) }
      let result = insert(job, now: now)
      // A conflict wrote nothing, and a repetition may succeed.
      if case .conflict = result { return result }
      receipts[key] = (result.id, now.wall.advanced(by: receiptLifetime))
      return result
    }
  }

  /// Inserts jobs with the maximums of their kinds' waiting jobs.
  ///
  /// - Throws: The refusal of a call that would exceed one; then nothing is changed.
  mutating func insert(
    _ new: [NewJob], _ bounds: [(kind: Kind, bound: MaxWaiting)], now: ClockReading
  ) throws(QudoError) -> [InsertResult] {
    var after = self
    let results = after.insert(new, now: now)
    for (kind, bound) in bounds {
      let added = zip(new, results).count { $0.kind == kind && $1.isInserted }
      let waiting = after.jobs.values.filter { $0.kind == kind && !$0.isRunning }
      let excess = waiting.count - bound.limit
      guard added > 0, excess > 0 else { continue }
      guard case .dropOldest = bound else { throw bound.refusal(kind) }
      for row in waiting.sorted(by: { $0.id < $1.id }).prefix(min(excess, added + MaxWaiting.surplus)) {
        after.log(row, .dropped, bound.message, isFinal: true, now: now)
        after.leave(row, now: now)
      }
    }
    self = after
    return results
  }

  /// - Parameter takesPlace: Whether the job gets the place of one that failed, and so is admitted before all held ones of its key.
  mutating func insert(_ job: NewJob, takesPlace: Bool = false, now: ClockReading) -> InsertResult {
    if let unique = job.unique, let holder = holder(of: unique.key, kind: job.kind) {
      return conflict(job, with: holder, unique, now: now)
    }
    if let unique = job.unique, let resting = jobOfResting(KeyOfKind(job.kind, unique.key), now: now) {
      return unique.onConflict == .keep ? .existing(resting) : .conflict(resting)
    }
    lastJob += 1
    var row = Row(
      id: lastJob, kind: job.kind, payload: job.payload, meta: job.metadata, priority: job.priority,
      due: job.due.moment(now.wall),
      delayed: job.due.isRelative ? now.wall : nil, expires: job.expires.moment(now.wall),
      enqueued: now.wall, unique: job.unique, holdsKey: job.unique != nil)
    row.group = job.group.map { Array($0.utf8) }
    if row.group != nil { hasGroups = true }
    enter(row, job.concurrencyKey, takesPlace: takesPlace, now: now)
    return .inserted(row.id)
  }

  // MARK: Resting keys

  /// Lets the unique key of a job that completes rest, if it has a throttle.
  mutating func beginRest(_ row: Row, now: ClockReading) {
    guard let unique = row.unique, let throttle = unique.throttle else { return }
    rests[KeyOfKind(row.kind, unique.key)] = Rest(
      job: row.id, throttle: throttle, ends: now.wall.advanced(by: throttle))
  }

  /// Returns the completed job since which a key rests; nil if it does not.
  private mutating func jobOfResting(_ key: KeyOfKind, now: ClockReading) -> Int64? {
    guard var rest = rests[key] else { return nil }
    guard rest.ends > now.wall else {
      rests[key] = nil
      return nil
    }
    // It began in the future: the clock was set back.
    if knowsDelays, rest.ends.advanced(by: .zero - rest.throttle) > now.wall {
      rest.ends = now.wall.advanced(by: rest.throttle)
      rests[key] = rest
    }
    return rest.job
  }

  // MARK: Concurrency keys

  /// Stores a job with a key as admitted or held, and one without as waiting.
  private mutating func enter(_ row: Row, _ key: ConcurrencyKey?, takesPlace: Bool = false, now: ClockReading)
  {
    var row = row
    (row.key, row.place) = (nil, .ready)
    guard let key else { return wait(row, now: now) }
    let name = KeyOfKind(row.kind, key)
    row.key = name
    row.place = .held
    // A raised limit admits those that were there before.
    setRule(KeyRule(key), of: name)
    admit(name, now: now)
    jobs[row.id] = row
    if takesPlace { wait(row, now: now, isAdmitted: true) }
    admit(name, now: now)
  }

  /// Admits held jobs of a key that is not stopped, lowest id first, while there are fewer admitted ones than the limit.
  mutating func admit(_ key: KeyOfKind, now: ClockReading) {
    let all = jobs.values.filter { $0.key == key }
    guard let limit = keyRules[key]?.limit, !all.isEmpty, !isStopped(key) else { return }
    let held = all.filter(\.isHeld).sorted { $0.id < $1.id }
    for row in held.prefix(max(0, limit - (all.count - held.count))) {
      hasAdmitted = true
      wait(row, now: now, isAdmitted: true)
    }
  }

  /// Removes a job from the queue. If it was admitted, the next one of its key is.
  mutating func leave(_ row: Row, now: ClockReading) {
    jobs[row.id] = nil
    guard let key = row.key else { return }
    admit(key, now: now)
    if !jobs.values.contains(where: { $0.key == key }) { setRule(nil, of: key) }
  }

  /// Sets or removes the rule of a key. Its bucket stays.
  private mutating func setRule(_ rule: KeyRule?, of key: KeyOfKind) {
    keyRules[key] = rule
  }

  /// The concurrency keys that jobs have, or that are stopped.
  var keysInUse: Set<KeyOfKind> { Set(jobs.values.compactMap(\.key) + keyStops.map(\.key)) }

  func status(of key: KeyOfKind, now: ClockReading) -> ConcurrencyKeyStatus {
    let all = jobs.values.filter { $0.key == key }
    let held = all.count(where: \.isHeld)
    let rule = keyRules[key]?.key(key.text) ?? ConcurrencyKey(key.text)
    return ConcurrencyKeyStatus(
      key.kind, rule, admitted: all.count - held, held: held, stops: keyStops.count { $0.key == key },
      nextTokenAt: rule.rate.flatMap { (keyBuckets[key] ?? RateBucket()).nextToken($0, now: now.wall) })
  }

  private func isStopped(_ key: KeyOfKind) -> Bool { keyStops.contains { $0.key == key } }

  /// Ends some stops of concurrency keys. Those that are not stopped any more go on.
  ///
  /// - Returns: The stops.
  mutating func endStops(
    now: ClockReading, where isOne: (KeyOfKind, KeyStop) -> Bool
  ) -> [KeyStop] {
    let ended = keyStops.filter { isOne($0.key, $0.stop) }
    keyStops.removeAll { isOne($0.key, $0.stop) }
    for (key, _) in ended { admit(key, now: now) }
    return ended.map(\.stop)
  }

  // MARK: Waiting

  /// Stores a job as ready or delayed. A held job remains held, unless it is admitted now.
  mutating func wait(_ row: Row, now: ClockReading, isAdmitted: Bool = false) {
    var row = row
    if isAdmitted || !row.isHeld {
      row.place = row.due <= now.wall ? .ready : .delayed
      row.position = nil
      if row.due <= now.wall { takeTurn(&row, now: now) }
    }
    jobs[row.id] = row
  }

  // MARK: Groups

  /// Gives a job that becomes ready its place among the groups of its kind and priority: after the last one of its group, and not before
  /// the first ready job. Jobs without a group count as one more group while others have one.
  mutating func takeTurn(_ row: inout Row, now: ClockReading) {
    guard hasGroups else { return }
    let id = row.id
    let ofKind = jobs.values.filter { [kind = row.kind] in $0.kind == kind }
    if row.group == nil, ofKind.contains(where: \.takesTurns) { row.group = [] }
    guard let group = row.group else { return }
    let equals = ofKind.filter { [priority = row.priority] in $0.priority == priority }
    let first = equals.filter { $0.isReady && $0.id != id }.map(\.turn.due).min() ?? now.wall
    // A place that the job has had counts, too.
    let last = equals.filter { $0.group == group }.compactMap(\.position).max()
    row.position = max(first, last?.advanced(by: .microseconds(1)) ?? first)
  }

  /// Returns the job that holds the key. Keys are compared as bytes: `é` as one scalar and as two are
  /// different keys.
  func holder(of key: String, kind: Kind) -> Row? {
    jobs.values.first {
      $0.holdsKey && $0.kind == kind && $0.unique?.key.utf8.elementsEqual(key.utf8) == true
    }
  }

  private mutating func conflict(
    _ job: NewJob, with holder: Row, _ unique: UniqueKey, now: ClockReading
  ) -> InsertResult {
    switch unique.onConflict {
    case .reject: return .conflict(holder.id)
    case .keep: return .existing(holder.id)
    case .overwrite:
      guard !holder.isRunning else { return .conflict(holder.id) }
      var row = holder
      row.payload = job.payload
      row.meta = job.metadata
      row.priority = job.priority
      let due = unique.due(job.due, since: holder.enqueued, now: now.wall)
      row.due = due.moment(now.wall)
      row.delayed = due.isRelative ? now.wall : nil
      row.expires = job.expires.moment(now.wall)
      // A new payload is new work, so the attempts and expired leases of the old one do not count.
      (row.attempt, row.lost) = (1, 0)
      (row.group, row.position) = (job.group.map { Array($0.utf8) }, nil)
      if row.group != nil { hasGroups = true }
      jobs[row.id]?.group = row.group
      jobs[row.id]?.position = nil
      if let key = job.concurrencyKey, row.key == KeyOfKind(row.kind, key) {
        // It keeps its place.
        wait(row, now: now)
        setRule(KeyRule(key), of: KeyOfKind(row.kind, key))
        admit(KeyOfKind(row.kind, key), now: now)
      } else {
        leave(holder, now: now)
        enter(row, job.concurrencyKey, now: now)
      }
      return .overwritten(row.id)
    }
  }
}

extension Due {
  var isRelative: Bool { if case .after = self { true } else { false } }
}

extension InsertResult {
  fileprivate var isInserted: Bool { if case .inserted = self { true } else { false } }
}
