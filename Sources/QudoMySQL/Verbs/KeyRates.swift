#if MySQL
internal import Qudo

// A concurrency key with a rate has a row in qudo_key_rate from its first enqueue with one until its bucket is full after its last job. A
// claim looks at the keys of the jobs that it has chosen: those without a token are delayed, and others are chosen in their place.
//
// While no key has a rate, claims do not come here. A claim with keyed jobs only asks the server to refuse its commit if a key has one
// after all, as an expression of the commit token. Then the repeated claim looks, and so do the next ones of the driver.
extension Transaction {
  /// Delays chosen jobs of a claim for which their concurrency keys have no tokens. If it need not read others in their place, it takes
  /// the tokens of those that it chooses.
  ///
  /// - Parameters:
  ///   - plan: Chooses again.
  ///   - counts: Loses the leases of delayed jobs.
  /// - Returns: Whether the claim must read again.
  func takeKeyTokens(
    _ plan: inout ClaimPlan, _ tokens: inout KeyTokens, _ counts: inout RunningCounts
  ) throws(QudoError) -> Bool {
    guard plan.chosen.contains(where: \.0.mayBeKeyed) else {
      store(tokens.ahead)
      return false
    }
    guard isRepeated || kinds.control.withLock({ $0.hasKeyRates }) else {
      refusesKeyRates = true
      return false
    }
    refusesKeyRates = false
    repeat {
      tokens.begin()
      plan.choose { tokens.take($0) }
    } while try look(upKeysOf: plan, &tokens)
    tokens.end()
    let late = plan.late
    guard !late.isEmpty else {
      store(tokens.changed)
      return false
    }
    delay(late.map { ($0, until: tokens.nextToken(of: $0)) })
    tokens.note(delayed: late)
    counts.leave(late.compactMap(\.ended))
    // Jobs behind those that were read may take their places, unless no more are wanted. Those that do may have expired.
    guard plan.isFull, !plan.chosen.contains(where: \.0.mayExpire) else { return true }
    store(tokens.changed)
    return false
  }

  /// Looks up the rates of chosen jobs, and locks those of their buckets that no other session has locked. If some jobs are late, it also
  /// looks at those that may be chosen next.
  ///
  /// - Returns: Whether there were any that it did not know.
  private func look(upKeysOf plan: ClaimPlan, _ tokens: inout KeyTokens) throws(QudoError) -> Bool {
    var jobs = plan.chosen.map(\.0).filter { [tokens] in $0.mayBeKeyed && !tokens.knows($0.id) }.map(\.id)
    if !jobs.isEmpty, !plan.late.isEmpty || tokens.hasDelayed {
      jobs = plan.candidates.filter { [tokens] in $0.mayBeKeyed && !tokens.knows($0.id) }.map(\.id)
    }
    jobs.sort()
    guard !jobs.isEmpty else { return false }
    var keys = try ratedKeys(of: jobs)
    // Another program deleted these: a claim takes their rows, and returns no job.
    for job in jobs where keys[job] == nil { keys[job] = .some(nil) }
    let new = Set(keys.values.compactMap(\.self)).filter { [tokens] in !tokens.hasLocked($0) }.sorted()
    if new.isEmpty {
      tokens.add(keys, [:], now: now)
    } else {
      let (buckets, now) = try lock(bucketsOf: new, skips: true)
      tokens.add(keys, buckets, now: now)
    }
    return true
  }

  /// Runs the whole throttle verb for the concurrency key of a job.
  ///
  /// - Returns: Whether the key has a rate.
  func run(throttlingKeyOf job: Int64, for duration: Duration) throws(QudoError) -> Bool {
    if let done = try wasCommitted() { return done.throttledKey }
    if let key = try ratedKeys(of: [job])[job] ?? nil {
      var (buckets, now) = try lock(bucketsOf: [key], skips: false)
      if let rate = buckets[key]?.rate {
        buckets[key]?.bucket.throttle(rate, for: duration, now: now.microseconds)
        store(buckets.mapValues(\.bucket))
        receipt.throttledKey = true
      }
    }
    try commit()
    return receipt.throttledKey
  }
}

/// The tokens of concurrency keys in one claim.
struct KeyTokens {
  /// The maximum number of jobs that one claim delays, and of times that it reads again, before it leaves the rest to the next claim.
  private static let (mostDelayed, mostPasses) = (1000, 8)

  /// The keys with a rate of the jobs that were looked up; nil for a job without one.
  private var keys: [Int64: NumberedKey?] = [:]
  /// The keys whose buckets are locked.
  private var locked: Set<NumberedKey> = []
  /// Those that have a rate, with the buckets that are stored.
  private var stored: [NumberedKey: RatedKey] = [:]
  /// The same while the claim chooses.
  private var current: [NumberedKey: RatedKey] = [:]
  private var delayed = 0
  private var passes = 0
  /// Whether other sessions have locked buckets of jobs that the claim wanted.
  private(set) var hasSkipped = false
  /// How long a claim leaves these jobs alone, in microseconds: as long as another claim takes.
  static let pause: Int64 = 2000

  /// The number of expired leases whose jobs were delayed.
  private(set) var recovered = 0
  /// Whether any job was delayed.
  var hasDelayed: Bool { delayed > 0 }
  /// Whether the rest is left to the next claim: this one takes none.
  private(set) var hasMore = false
  /// How many ready jobs more than it wants the claim reads, because some of them may be late, too.
  var readAhead: Int { passes == 0 ? 0 : 32 << min(2 * passes, 5) }

  func knows(_ job: Int64) -> Bool { keys[job] != nil }
  func hasLocked(_ key: NumberedKey) -> Bool { locked.contains(key) }

  /// - Parameters:
  ///   - new: The keys of jobs.
  ///   - buckets: Buckets that are locked now.
  ///   - now: The time after they were locked.
  mutating func add(_ new: [Int64: NumberedKey?], _ buckets: [NumberedKey: KeyBucket], now: Timestamp) {
    keys.merge(new) { $1 }
    for (key, bucket) in buckets {
      locked.insert(key)
      if let rate = bucket.rate { stored[key] = RatedKey(rate, bucket.bucket, now: now) }
    }
  }

  /// Begins to choose.
  mutating func begin() { (current, hasSkipped) = (stored, false) }

  /// Gives a job a token, if its key has a rate. Jobs that were not looked up get one, too.
  mutating func take(_ job: Candidate) -> KeyToken {
    guard let key = keys[job.id] ?? nil else { return .taken }
    guard locked.contains(key) else {
      hasSkipped = true
      return .unknown
    }
    return current[key]?.take() ?? true ? .taken : .none
  }

  /// Takes the tokens out of the buckets, after the last job was chosen.
  mutating func end() { for key in current.keys { current[key]?.takeTokens() } }

  /// Returns when a late job comes back.
  func nextToken(of job: Candidate) -> Int64 {
    (keys[job.id] ?? nil).flatMap { current[$0]?.nextToken } ?? job.due
  }

  /// Notes that late jobs were delayed.
  mutating func note(delayed late: [Candidate]) {
    delayed += late.count
    recovered += late.count { $0.ended != nil }
    passes += 1
    hasMore = delayed >= Self.mostDelayed || passes >= Self.mostPasses
  }

  /// The buckets to store if the chosen jobs begin.
  var changed: [NumberedKey: RateBucket] {
    current.filter { $1.taken > 0 || $1.isAhead }.mapValues(\.bucket)
  }

  /// The buckets to store if no job begins.
  var ahead: [NumberedKey: RateBucket] { stored.filter { $1.isAhead }.mapValues(\.before) }
}
#endif
