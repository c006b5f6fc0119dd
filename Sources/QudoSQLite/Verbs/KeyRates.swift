internal import Qudo

// A concurrency key with a rate has a row in qudo_key_rate from its first enqueue with one until its bucket is full after its last job. A
// claim looks at the keys of the jobs that it is about to take, before it takes any: those without a token are delayed. While no key has a
// rate, which the connection usually knows, claims and settlements do not come here.
extension Transaction {
  /// The number of full buckets that a claim or enqueue deletes when it writes one, so that they stay fewer than those.
  private static let pageSize = 16
  /// The number of full buckets that an idle worker deletes.
  private static let idlePage = 256

  /// Whether any concurrency key has a bucket.
  @inline(__always)
  func hasKeyRates() throws(QudoError) -> Bool {
    guard let known = connection.cache.hasKeyRates else {
      // A new connection learns it with the highest id, which it needs anyway.
      if connection.hints.highestID == nil { _ = try highestID() }
      return try keyRateTable.hasAny()
    }
    return known
  }

  /// Delays the ready jobs that a claim would take and for which their concurrency keys have no tokens, until it would take none. Then it
  /// takes the tokens of those that it takes.
  ///
  /// - Returns: False if so many were delayed that the rest is left to the next claim: this one is to take none.
  func takeKeyTokens(_ kinds: [ClaimableKind], _ limit: Int) throws(QudoError) -> Bool {
    guard try hasKeyRates() else { return true }
    var moved = 0
    while moved < Int(Self.recoveryBatch) {
      let late = try delayLate(try choose(kinds, limit))
      guard late > 0 else { return true }
      moved += late
    }
    return false
  }

  /// - Returns: The number of delayed jobs. If it is 0, the tokens of the chosen jobs are taken.
  private func delayLate(_ order: ClaimOrder) throws(QudoError) -> Int {
    var keys: [NumberedKey: RatedKey] = [:]
    var late: [(job: Int64, key: NumberedKey)] = []
    for (job, _) in order.chosen {
      guard let rated = try keyRateTable.rated(job.id) else { continue }
      var key = keys[rated.key] ?? RatedKey(rated.rate, rated.bucket, now: now.wall)
      if !key.take() { late.append((job.id, rated.key)) }
      keys[rated.key] = key
    }
    for key in keys.keys { keys[key]?.takeTokens() }
    for (job, key) in late {
      if let token = keys[key]?.nextToken { try postpone(job, of: key.kind, until: token) }
    }
    for (key, rated) in keys {
      if late.isEmpty {
        if rated.taken > 0 || rated.isAhead { try keyRateTable.set(rated.bucket, of: key) }
      } else if rated.isAhead {
        // The claim chooses again.
        try keyRateTable.set(rated.before, of: key)
      }
    }
    if !keys.isEmpty { try keyRateTable.deleteFull(now.wall, atMost: Self.pageSize) }
    return late.count
  }

  /// Delays a ready job. It keeps its place in its key.
  private func postpone(_ id: Int64, of kind: Int64, until due: Int64) throws(QudoError) {
    guard try readyTable.remove(id) else { throw ReadyRow.missing(kind) }
    effects.wakes = true
    connection.waitingCounts.invalidate()
    try jobTable.setDue(id, due)
    try clearPlace(of: id)
    try delayedTable.insert(id, Delay(due: due, written: now.wall.microseconds))
  }

  /// Sets the rate of a key, or none.
  func setRate(_ rate: RateLimit?, of key: NumberedKey) throws(QudoError) {
    try keyRateTable.setRate(rate, of: key)
    try keyRateTable.deleteFull(now.wall, atMost: Self.pageSize)
  }

  /// Gives back the token of a job that was claimed and did not begin.
  @inline(__always)
  func giveBackKeyToken(of job: Int64) throws(QudoError) {
    guard try hasKeyRates() else { return }
    try keyRateTable.giveBack(job)
  }

  /// Lets no job begin of the concurrency key of a job, if it has a rate.
  func throttle(keyOf job: Int64, for duration: Duration) throws(QudoError) -> Bool {
    guard try hasKeyRates(), let rated = try keyRateTable.rated(job) else { return false }
    var bucket = rated.bucket
    bucket.throttle(rated.rate, for: duration, now: now.wall.microseconds)
    try keyRateTable.set(bucket, of: rated.key)
    return true
  }

  /// Gives each concurrency key the rate of its rule again, and none if that is malformed: its jobs begin rather than wait for ever. It
  /// reads all keys with a rate.
  ///
  /// - Returns: The number of keys whose rate was wrong.
  func repairKeyRates() throws(QudoError) -> Int {
    let wrong = try keyRateTable.wrong()
    for (key, rate) in wrong {
      if rate == nil { try keyRuleTable.dropRate(of: key) }
      try keyRateTable.setRate(rate, of: key)
    }
    return wrong.count
  }

  /// Deletes some full buckets after a claim that found nothing: keys need not be enqueued again.
  func pruneKeyRatesWhileIdle() throws(QudoError) {
    guard try hasKeyRates() else { return }
    try keyRateTable.deleteFull(now.wall, atMost: Self.idlePage)
  }
}
