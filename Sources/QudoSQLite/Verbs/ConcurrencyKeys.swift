internal import Qudo

// An admitted job of a concurrency key has a row in qudo_admitted until it is deleted; a held one is in qudo_held, and in no other state
// table. Jobs without a key come here only to learn that no job has one, which the connection usually knows.
extension Transaction {
  /// Gives a new job its place, or holds it.
  ///
  /// - Parameter takesPlace: Whether it gets the place of a job that failed, before all held ones.
  /// - Returns: Whether it is admitted. The caller then files it as ready or delayed.
  func enter(
    _ id: Int64, _ concurrencyKey: ConcurrencyKey, takesPlace: Bool = false, kind: Int64, _ due: Due
  ) throws(QudoError) -> Bool {
    let key = NumberedKey(kind: kind, text: concurrencyKey.key)
    let rule = KeyRule(concurrencyKey)
    let limit = rule.limit
    // Often no job has the key.
    if rule == KeyRule(), try !heldTable.hasAnyOrRules(), try !placeTable.hasAny(of: key) {
      try placeTable.insert(id, key)
      return true
    }
    var use = try placeTable.use(of: key, upTo: limit)
    if use.rule != rule { try setRule(rule, of: key, from: use.rule) }
    guard !takesPlace else {
      try placeTable.insert(id, key)
      return true
    }
    guard try !stopTable.isStopped(key) else {
      try hold(id, key, written: Delay(due, now.wall).written)
      return false
    }
    // Held jobs come first. There is usually no room for them; there is under a new limit, or if another program deleted an admitted
    // job.
    if use.isAnyHeld, use.places < limit {
      try admit(key)
      use = try placeTable.use(of: key, upTo: limit)
    }
    guard !use.isAnyHeld, use.places < limit else {
      try hold(id, key, written: Delay(due, now.wall).written)
      return false
    }
    try placeTable.insert(id, key)
    return true
  }

  private func hold(_ id: Int64, _ key: NumberedKey, written: Int64?) throws(QudoError) {
    connection.waitingCounts.invalidate(key.kind)
    try heldTable.insert(id, key, written: written)
  }

  /// Sets another rule of a key. A raised limit admits held jobs.
  private func setRule(_ rule: KeyRule, of key: NumberedKey, from old: KeyRule) throws(QudoError) {
    try keyRuleTable.set(rule, of: key)
    if rule.rate != old.rate { try setRate(rule.rate, of: key) }
    if rule.limit > old.limit { try admit(key) }
  }

  /// Admits held jobs of a key, lowest id first, while there are fewer admitted ones than its limit and it is not stopped.
  func admit(_ key: NumberedKey) throws(QudoError) {
    var room: Int?
    while let next = try heldTable.first(key) {
      let free = if let room { room } else { try self.room(of: key) }
      guard free > 0 else { return }
      room = free
      _ = try heldTable.remove(next.id, key)
      // Another program may have deleted it.
      guard let sortKey = try jobTable.sortKey(of: next.id) else { continue }
      try placeTable.insert(next.id, key)
      room = free - 1
      connection.readyLists.invalidate(key.kind)
      // It waited before: no other count is due.
      let waiting = connection.waitingCounts.take(key.kind)
      try insertWaiting(
        next.id, Delay(due: sortKey.due, written: next.written), kind: sortKey.kind, rank: sortKey.rank)
      if let waiting { connection.waitingCounts.set(waiting, for: key.kind) }
    }
  }

  /// Returns how many more jobs of a key may be admitted.
  private func room(of key: NumberedKey) throws(QudoError) -> Int {
    guard try !stopTable.isStopped(key) else { return 0 }
    let most = try keyRuleTable.rule(of: key).limit
    return try most - placeTable.count(key, atMost: most)
  }

  /// Returns the keys of jobs that are about to be deleted.
  @inline(__always)
  func keys(of ids: ClosedRange<Int64>) throws(QudoError) -> [(job: Int64, key: NumberedKey)] {
    guard connection.cache.hasKeys != false, try placeTable.hasAny() else { return [] }
    return try jobTable.keys(of: ids)
  }

  /// Gives back the places of jobs that the last statement deleted, and admits the next ones.
  @inline(__always)
  func leave(_ jobs: [(job: Int64, key: NumberedKey)], of ids: ClosedRange<Int64>) throws(QudoError) {
    guard connection.cache.hasKeys != false else { return }
    try freePlaces(ifFewerThan: ids)
    try leave(jobs)
  }

  /// Frees the places of jobs that another program deleted, if the last statement changed fewer jobs than these.
  @inline(__always)
  func freePlaces(ifFewerThan ids: ClosedRange<Int64>) throws(QudoError) {
    guard connection.cache.hasKeys != false, ids.hasMore(than: connection.changes) else { return }
    _ = try putAsideKeys()
  }

  private func leave(_ jobs: [(job: Int64, key: NumberedKey)]) throws(QudoError) {
    for (job, key) in jobs {
      // A job without a place was held: then there are others, unless the key is stopped.
      guard try placeTable.remove(job, key) else {
        _ = try heldTable.remove(job, key)
        connection.cache.hasKeys = nil
        try forgetIfUnused(key)
        continue
      }
      try admitNext(key)
    }
  }

  /// Admits held jobs of a key after one left, and forgets a key that no job has.
  private func admitNext(_ key: NumberedKey) throws(QudoError) {
    guard try heldTable.hasAnyOrRules() else { return }
    var use = try placeTable.use(of: key, upTo: 1)
    if use.isAnyHeld {
      try admit(key)
      // Those of a stopped key are held still.
      guard try !stopTable.hasAny() else { return try forgetIfUnused(key) }
      use.places = try placeTable.count(key, atMost: 1)
    }
    if use.places == 0 { try forget(use.rule, of: key) }
  }

  /// Forgets the rule of a key that no job has any more. Its bucket stays until it is full.
  private func forget(_ rule: KeyRule, of key: NumberedKey) throws(QudoError) {
    guard rule != KeyRule() else { return }
    try keyRuleTable.delete(key)
    if rule.rate != nil { try setRate(nil, of: key) }
  }

  /// Forgets the rule of a stopped key that no job has any more. Of a key that is not, an admitted job is the last one.
  private func forgetIfUnused(_ key: NumberedKey) throws(QudoError) {
    guard try stopTable.hasAny() else { return }
    let use = try placeTable.use(of: key, upTo: 1)
    if use.places == 0, !use.isAnyHeld { try forget(use.rule, of: key) }
  }

  /// Takes a held job out of `qudo_held`.
  ///
  /// - Returns: Whether it was held.
  func leaveHeld(_ id: Int64) throws(QudoError) -> Bool {
    guard connection.cache.hasKeys != false, try placeTable.hasAny(), let key = try jobTable.key(of: id)
    else {
      return false
    }
    connection.waitingCounts.noteLeft(key.kind)
    return try heldTable.remove(id, key)
  }

  /// Takes the old key of a waiting job, which a new job with perhaps another key overwrites.
  func keyBeforeOverwrite(_ id: Int64) throws(QudoError) -> (key: NumberedKey, isHeld: Bool)? {
    guard connection.cache.hasKeys != false, try placeTable.hasAny(), let key = try jobTable.key(of: id)
    else {
      return nil
    }
    return (key, try heldTable.remove(id, key))
  }

  /// Files a job that was overwritten, which is in no state table. It keeps its place if it keeps its key.
  func waitAfterOverwrite(
    _ id: Int64, with job: NewJob, kind: Int64, before: (key: NumberedKey, isHeld: Bool)?
  ) throws(QudoError) {
    let delay = Delay(job.due, now.wall)
    if let before, let new = job.concurrencyKey, new.key.utf8.elementsEqual(before.key.text.utf8) {
      if before.isHeld {
        try hold(id, before.key, written: delay.written)
      } else {
        try insertWaiting(id, delay, kind: kind, rank: job.rank)
      }
      let old = try keyRuleTable.rule(of: before.key)
      if KeyRule(new) != old { try setRule(KeyRule(new), of: before.key, from: old) }
      return
    }
    if let before, before.isHeld { try forgetIfUnused(before.key) }
    if let before, !before.isHeld, try placeTable.remove(id, before.key) { try admitNext(before.key) }
    if let new = job.concurrencyKey, try !enter(id, new, kind: kind, job.due) { return }
    try insertWaiting(id, delay, kind: kind, rank: job.rank)
  }

  /// Changes a held job, if it is one.
  ///
  /// - Parameter due: The new due time; nil if it stays.
  /// - Returns: Whether it is held.
  func changeHeld(_ id: Int64, due: Due?) throws(QudoError) -> Bool {
    guard connection.cache.hasKeys != false, try placeTable.hasAny(), let key = try jobTable.key(of: id)
    else {
      return false
    }
    let (isHeld, _) = try heldTable.written(of: id, key)
    guard isHeld else { return false }
    if let due {
      _ = try heldTable.remove(id, key)
      try heldTable.insert(id, key, written: Delay(due, now.wall).written)
    }
    return true
  }

  // MARK: Stopped keys

  /// Stops the key of a job that failed for good, if the key asks for it. Call it between the failure's insert and the job's deletion.
  func stopKey(ofFailed id: Int64, _ reason: FailureReason) throws(QudoError) {
    guard connection.cache.hasKeys != false, reason.stopsKeys, try placeTable.hasAny(),
      try heldTable.hasAnyOrRules(), let key = try jobTable.key(of: id), try keyRuleTable.rule(of: key).stops
    else { return }
    try stopTable.insert(id, key, at: now.wall)
  }

  /// Ends the stop of a failure that was replayed or resolved, if it is one.
  func endStop(_ failure: Int64) throws(QudoError) {
    guard let key = try stopTable.key(stoppedBy: failure) else { return }
    try stopTable.delete(failure)
    try admit(key)
  }

  /// Lets stopped keys go on.
  func resume(keys: [String], of kind: Kind) throws(QudoError) -> [KeyStop] {
    guard let number = try kindTable.id(of: kind) else { return [] }
    var ended: [KeyStop] = []
    for key in Set(keys.map { NumberedKey(kind: number, text: $0) }) {
      let stops = try stopTable.stops(of: key, kind)
      for stop in stops { try stopTable.delete(stop.failure) }
      if !stops.isEmpty { try admit(key) }
      ended += stops
    }
    return ended.sorted { $0.failure < $1.failure }
  }

  /// Deletes the rows of jobs that another program deleted, and admits those that wait for them. It reads all places and held jobs.
  ///
  /// - Returns: The number of keys with such rows.
  func putAsideKeys() throws(QudoError) -> Int {
    let keys = try placeTable.deleteOrphans().union(try heldTable.deleteOrphans())
    for key in keys { try admitNext(key) }
    return keys.count
  }
}

extension Snapshot {
  /// Returns a page of the final failures that stop keys.
  func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) throws(QudoError) -> [KeyStop] {
    let numbers = try numbers(of: kinds)
    guard numbers?.isEmpty != true else { return [] }
    return try stopTable.page(numbers.map { IntegerList($0) }, after: failure, limit: limit)
  }

  /// Returns a page of the keys that jobs have, or that are stopped.
  func concurrencyKeys(_ query: ConcurrencyKeyQuery) throws(QudoError) -> [ConcurrencyKeyStatus] {
    let listing = KeyListing(connection: connection)
    var last = NumberedKey(kind: .min, text: "")
    if let after = query.after {
      guard let kind = try kindTable.id(of: after.kind) else { return [] }
      last = NumberedKey(kind: kind, text: after.key)
    }
    let keys = query.keys.map { names in
      Set(names.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
    }
    var found: [ConcurrencyKeyStatus] = []
    let kinds = if let known = try numbers(of: query.kinds) { known } else { try listing.kinds() }
    for number in kinds where number >= last.kind {
      guard found.count < query.limit else { break }
      guard let kind = try kindTable.name(of: number) else { continue }
      if last.kind < number { last = NumberedKey(kind: number, text: "") }
      var wanted = (keys ?? []).drop { !last.text.utf8.lexicographicallyPrecedes($0) }
      while found.count < query.limit {
        if keys == nil {
          guard let next = try listing.next(after: last) else { break }
          last = next
        } else {
          guard let next = wanted.popFirst() else { break }
          last = NumberedKey(kind: number, text: String(decoding: next, as: UTF8.self))
        }
        if let status = try listing.status(of: last, kind, now: now.wall) { found.append(status) }
      }
    }
    return found
  }
}
