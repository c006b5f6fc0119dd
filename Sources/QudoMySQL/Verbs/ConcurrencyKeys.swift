#if MySQL
internal import Qudo

// Jobs with concurrency keys. All others never come here: see ``KeyRows``.
extension Transaction {
  // MARK: Locks

  /// Locks keys that this transaction has not locked yet.
  ///
  /// - Parameters:
  ///   - making: Whether to create the keys that are missing.
  ///   - ends: How many admitted jobs of a key are to end. As many held ones are read along.
  /// - Throws: If a key is missing.
  func lock(keys: some Sequence<NumberedKey>, making: Bool, ends: [NumberedKey: Int64] = [:])
    throws(QudoError)
  {
    let new = Set(keys).filter { lockedKeys[$0] == nil }.sorted()
    guard !new.isEmpty else { return }
    if making { for statement in KeyRows.make(new) { write(statement) } }
    let locks = KeyRows.lock(new)
    let read = new.filter { ends[$0] != nil }
    // Each statement sees what was committed when it began: by then, the keys are locked.
    let rows = try self.read(locks + read.map { KeyRows.front($0, after: .min, limit: ends[$0] ?? 0) })
    add(keys: rows.prefix(locks.count))
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    let found = new.count { lockedKeys[$0] != nil }
    guard found == new.count else { throw .short(found, new.count) }
    for (key, rows) in zip(read, rows.dropFirst(locks.count)) {
      try add(rows, to: key, limit: ends[key] ?? 0)
    }
  }

  /// - Parameter parts: The results of ``KeyRows/lock(_:)``.
  func add(keys parts: some Sequence<Rows>) {
    for rows in parts {
      while let row = rows.next() {
        let key = NumberedKey(kind: row.integer(0), name: row.bytes(1))
        if lockedKeys[key] == nil { lockedKeys[key] = LockedKey(row) }
      }
    }
  }

  /// - Parameters:
  ///   - rows: The result of ``KeyRows/front(_:after:limit:)``, after the end of the front.
  ///   - limit: The maximum number of rows.
  private func add(_ rows: Rows, to key: NumberedKey, limit: Int64) throws(QudoError) {
    guard var state = lockedKeys[key] else { return }
    let expected = min(limit, state.unread)
    let jobs = rows.map { KeyRows.job($0) }
    // The same holds for these, and for their jobs.
    guard jobs.count == expected, !jobs.contains(where: { $0 == nil }) else {
      throw .short(jobs.count { $0 != nil }, Int(clamping: expected))
    }
    state.front += jobs.compactMap(\.self)
    if let last = state.front.last { state.end = last.id }
    lockedKeys[key] = state
  }

  /// Reads as many held jobs of keys as their limits admit.
  func readFronts(_ keys: some Sequence<NumberedKey>) throws(QudoError) {
    var reads: [(key: NumberedKey, after: Int64, limit: Int64)] = []
    for key in keys {
      guard let state = lockedKeys[key], state.unread > 0 else { continue }
      let missing = min(state.room - Int64(state.front.count), state.unread)
      if missing > 0 { reads.append((key, state.end, missing)) }
    }
    guard !reads.isEmpty else { return }
    let rows = try read(reads.map { KeyRows.front($0.key, after: $0.after, limit: $0.limit) })
    for (read, rows) in zip(reads, rows) { try add(rows, to: read.key, limit: read.limit) }
  }

  /// Forgets what was read of held jobs, because some of them change.
  func forgetFronts() { for key in lockedKeys.keys { lockedKeys[key]?.forgetFront() } }

  // MARK: Entering

  /// Gives a job its place, or holds it.
  ///
  /// - Parameters:
  ///   - key: A key that is locked.
  ///   - rule: The key's rule from now on. A raised limit admits held jobs.
  ///   - takesPlace: Whether the job gets the place of one that failed, before all held ones.
  /// - Returns: Whether the job is admitted.
  func enter(_ job: KeyMember, _ key: NumberedKey, _ rule: KeyRule, takesPlace: Bool = false)
    throws(QudoError) -> Bool
  {
    try setRule(rule, of: key)
    guard var state = lockedKeys[key] else { throw .short(0, 1) }
    defer { lockedKeys[key] = state }
    let isFree =
      state.counts.held == 0 && state.counts.stopped == 0 && state.counts.admitted < state.counts.rule.most
    if takesPlace || isFree {
      state.counts.admitted += 1
      return true
    }
    state.counts.held += 1
    switch job {
    case .new(let position):
      state.new.insert(position, at: state.new.firstIndex { $0 > position } ?? state.new.endIndex)
    case .stored(let job):
      noLongerHeld[job.id] = nil
      write("INSERT INTO qudo_held(kind, name, id) VALUES(\(key.kind), \(key.name), \(job.id))")
      // It takes its place by its number.
      if job.id <= state.end {
        state.front.insert(job, at: state.front.firstIndex { $0.id > job.id } ?? state.front.endIndex)
      }
    }
    return false
  }

  /// Sets the rule of a key that is locked. A raised limit admits held jobs.
  func setRule(_ rule: KeyRule, of key: NumberedKey) throws(QudoError) {
    lockedKeys[key]?.counts.rule = rule
    try admit(key)
  }

  /// Admits held jobs of a key, lowest id first, while fewer are admitted than its limit and it is not stopped.
  func admit(_ key: NumberedKey) throws(QudoError) {
    try readFronts([key])
    guard var state = lockedKeys[key] else { return }
    let room = state.room
    guard room > 0 else { return }
    let stored = state.front.prefix(Int(clamping: room))
    admitted += try placing(Array(stored)) { $0.due <= now.microseconds }
    state.front.removeFirst(stored.count)
    // The statement that writes these finds them admitted.
    state.new.removeFirst(Int(clamping: room) - stored.count)
    (state.counts.held, state.counts.admitted) = (state.counts.held - room, state.counts.admitted + room)
    lockedKeys[key] = state
  }

  // MARK: Leaving

  /// Gives back the places of jobs that end, and admits the next ones. Call this before the jobs are deleted, and after they were
  /// logged.
  ///
  /// - Parameter live: The jobs that exist; nil if all do.
  func leaveKeys(of jobs: [DeletedJob], live: Set<Int64>?) throws(QudoError) {
    let (ends, held) = try lockKeys(ofEnding: jobs.filter { live?.contains($0.job) ?? true })
    let keys = Set(ends.keys).union(held.keys)
    guard !keys.isEmpty else { return }
    leaveHeld(held)
    for (key, count) in ends {
      guard let admitted = lockedKeys[key]?.counts.admitted else { continue }
      lockedKeys[key]?.counts.admitted = max(0, admitted - count)
    }
    try readFronts(keys.sorted())
    for key in keys.sorted() { try admit(key) }
    writeKeys()
  }

  /// Locks the concurrency keys of jobs that end. A second call for the same jobs reads nothing.
  ///
  /// - Parameter jobs: Jobs that exist.
  /// - Returns: How many admitted jobs of each key end, and which held ones.
  @discardableResult
  func lockKeys(ofEnding jobs: [DeletedJob]) throws(QudoError) -> (
    ends: [NumberedKey: Int64], held: [NumberedKey: [Int64]]
  ) {
    var ends: [NumberedKey: Int64] = [:]
    var held: [NumberedKey: [Int64]] = [:]
    let keyed = jobs.filter(\.mayBeKeyed)
    guard !keyed.isEmpty else { return (ends, held) }
    try lookUpKeys(of: keyed.filter { $0.heldKey == nil })
    for job in keyed {
      if let key = job.heldKey {
        held[key, default: []].append(job.job)
      } else if let key = keyOfJob[job.job] ?? nil {
        ends[key, default: 0] += 1
      }
    }
    try lock(keys: Set(ends.keys).union(held.keys), making: false, ends: ends)
    return (ends, held)
  }

  /// Reads which concurrency keys jobs have.
  ///
  /// - Parameter jobs: Jobs that exist.
  private func lookUpKeys(of jobs: [DeletedJob]) throws(QudoError) {
    let jobs = jobs.filter { keyOfJob[$0.job] == nil }
    let unknown = jobs.map(\.job).sorted()
    guard !unknown.isEmpty else { return }
    let locks = Self.lock(uniqueKeysOf: jobs.filter { $0.hold != .none }.map(\.job))
    add(keysOfJobs: try read(locks + Self.look(upKeysOf: unknown)).dropFirst(locks.count))
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    let found = unknown.count { keyOfJob[$0] != nil }
    guard found == unknown.count else { throw .short(found, unknown.count) }
  }

  /// Returns queries that lock the unique keys of jobs. An insert that overwrites a job locks them before concurrency keys, too.
  static func lock(uniqueKeysOf jobs: [Int64]) -> [SQL] {
    Set(jobs).sorted().parts().map { "SELECT job FROM qudo_unique WHERE job IN \(list: $0) FOR UPDATE" }
  }

  /// Returns queries for the concurrency keys of jobs whose rows in the tables of states are locked: only an enqueue that overwrites a
  /// waiting job gives it another one.
  ///
  /// - Parameter jobs: In ascending order.
  static func look(upKeysOf jobs: [Int64]) -> [SQL] {
    jobs.parts().map { "SELECT id, kind, concurrency_key FROM qudo_job WHERE id IN \(list: $0)" }
  }

  /// - Parameter parts: The results of ``look(upKeysOf:)``.
  func add(keysOfJobs parts: some Sequence<Rows>) {
    for rows in parts {
      while let row = rows.next() {
        keyOfJob[row.integer(0)] = .some(
          row.bytesIfAny(2).map { NumberedKey(kind: row.integer(1), name: $0) })
      }
    }
  }

  private func leaveHeld(_ jobs: [NumberedKey: [Int64]]) {
    for (condition, count) in KeyRows.points(jobs).counted {
      write("DELETE FROM qudo_held WHERE \(condition)", count: count)
    }
    for (key, ids) in jobs {
      guard var state = lockedKeys[key] else { continue }
      let gone = Set(ids)
      state.front.removeAll { gone.contains($0.id) }
      state.counts.held -= Int64(ids.count)
      lockedKeys[key] = state
    }
  }

  // MARK: Overwriting

  /// Looks where the holders of unique keys are that are neither ready nor delayed, and have a concurrency key that is locked.
  func look(up holders: inout UniqueKeyLookup) throws(QudoError) {
    try lookHeld(&holders)
    let unplaced = holders.unplaced
    guard !unplaced.isEmpty else { return }
    // They were admitted since they were looked up. This locks their rows.
    for rows in try read(UniqueKeyLookup.look(up: Set(unplaced), locks: true)) { try holders.add(rows) }
    // A SELECT that the server was told to stop may return no rows, so look again: see ``Write``.
    try lookHeld(&holders)
  }

  private func lookHeld(_ holders: inout UniqueKeyLookup) throws(QudoError) {
    var jobs: [NumberedKey: [Int64]] = [:]
    let unplaced = holders.unplaced
    for key in unplaced {
      if let holder = holders[key], let concurrencyKey = holder.concurrencyKey {
        jobs[concurrencyKey, default: []].append(holder.id)
      }
    }
    guard !jobs.isEmpty else { return }
    var held: [Int64: Candidate] = [:]
    for rows in try read(KeyRows.held(jobs)) {
      for job in rows.map({ KeyRows.job($0) }) { if let job { held[job.id] = job } }
    }
    for key in unplaced {
      guard let holder = holders[key], let job = held[holder.id] else { continue }
      holders[key]?.place = UniqueKeyLookup.RowPosition(
        table: .held, ranking: job.ranking, due: job.due, flags: holder.heldFlags)
    }
  }

  /// Returns where a job is that was held when it was looked up.
  func place(ofHeld job: Int64, _ place: UniqueKeyLookup.RowPosition) -> UniqueKeyLookup.RowPosition {
    writeAdmissions()
    guard let job = noLongerHeld[job] else { return place }
    return UniqueKeyLookup.RowPosition(
      table: job.place != nil || job.due <= now.microseconds ? .ready : .delayed, ranking: job.ranking,
      due: job.due, flags: job.flags)
  }

  /// Takes a waiting job out of its key, because it gets another one, or none.
  func leave(_ job: KeyMember, _ key: NumberedKey, isHeld: Bool) throws(QudoError) {
    guard isHeld else {
      lockedKeys[key]?.counts.admitted -= 1
      return try admit(key)
    }
    switch job {
    case .stored(let job): leaveHeld([key: [job.id]])
    case .new(let position):
      lockedKeys[key]?.new.removeAll { $0 == position }
      lockedKeys[key]?.counts.held -= 1
    }
  }

  /// Whether a new job is held so far.
  func isHeld(new position: Int, _ key: NumberedKey) -> Bool {
    lockedKeys[key]?.new.contains(position) ?? false
  }

  /// Changes what is known of a held job.
  func update(held job: Candidate, _ key: NumberedKey) {
    guard let index = lockedKeys[key]?.front.firstIndex(where: { $0.id == job.id }) else { return }
    lockedKeys[key]?.front[index] = job
  }

  // MARK: Writing

  /// Writes what has changed of the locked keys, and the jobs that were admitted. Call this after the new jobs were written.
  func writeKeys() {
    writeAdmissions()
    var changed: [(NumberedKey, KeyCounts)] = []
    var unused: [NumberedKey] = []
    var rates: [(key: NumberedKey, rate: [UInt8]?)] = []
    for (key, var state) in lockedKeys {
      // The rate of a key without a job is forgotten, even if the key is stopped.
      if !state.counts.isUsed { state.counts.rule.rate = nil }
      let wanted = state.counts.isUsed || state.counts.stopped > 0 ? state.counts : nil
      if !state.new.isEmpty {
        // They are rows now, and their ids are above all others.
        lockedKeys[key]?.new = []
        lockedKeys[key]?.end = state.front.last?.id ?? .min
      }
      guard wanted != state.stored else { continue }
      if wanted?.rule.rate != state.stored?.rule.rate { rates.append((key, wanted?.rule.rate)) }
      lockedKeys[key]?.stored = wanted
      if let wanted { changed.append((key, wanted)) } else { unused.append(key) }
    }
    changed.sort { $0.0 < $1.0 }
    for part in changed.parts() { write(KeyRows.store(part)) }
    for part in unused.sorted().parts() {
      write("DELETE FROM qudo_key WHERE \(KeyRows.condition(part))", count: part.count)
    }
    // A claim locks buckets last, too.
    store(rates: rates.sorted { $0.key < $1.key })
  }

  private func writeAdmissions() {
    let jobs = admitted
    guard !jobs.isEmpty else { return }
    admitted = []
    (wakes, hasAdmitted) = (true, true)
    var held: [NumberedKey: [Int64]] = [:]
    var (ready, delayed): ([Candidate], [Candidate]) = ([], [])
    for job in jobs {
      noLongerHeld[job.id] = job
      if case .held(let key) = job.source { held[key, default: []].append(job.id) }
      if job.place != nil || job.due <= now.microseconds { ready.append(job) } else { delayed.append(job) }
    }
    store(places: ready)
    for (condition, count) in KeyRows.points(held).counted {
      write("DELETE FROM qudo_held WHERE \(condition)", count: count)
    }
    insertWaiting(ready: ready, delayed: delayed)
  }

  /// Files jobs as ready or delayed, at the positions that they state.
  func insertWaiting(ready: [Candidate], delayed: [Candidate]) {
    for (table, jobs) in [("qudo_ready", ready), ("qudo_delayed", delayed)] as [(SQL, [Candidate])] {
      for part in jobs.parts(of: 1000) {
        let rows = part.map { job -> SQL in
          "(\(job.kind),\(job.ranking),\(job.due),\(job.id),\(job.flags))"
        }
        write("INSERT INTO \(table)(kind, ranking, due, id, flags) VALUES\(rows.joined(","))")
      }
    }
    for job in ready { entries.add(job.kind, ScanCursors.Key(job)) }
    if !delayed.isEmpty { entries.endTrust = true }
  }
}

/// A job that enters or leaves a concurrency key.
enum KeyMember {
  /// The position of a new job that is about to be written.
  case new(Int)
  case stored(Candidate)
}

extension Transaction {
  /// Returns a page of the keys that jobs have, or that are stopped.
  func concurrencyKeys(_ query: ConcurrencyKeyQuery) throws(QudoError) -> [ConcurrencyKeyStatus] {
    var kinds = try numbers(of: query.kinds)
    // The primary key begins with the kind.
    if kinds == nil, query.keys != nil { kinds = try look(KindCache.all).map { $0.integer(0) } }
    guard kinds?.isEmpty != true, query.keys?.isEmpty != true else { return [] }
    var last: NumberedKey?
    if let after = query.after {
      guard let kind = try numbers(of: [after.kind])?.first else { return [] }
      last = NumberedKey(kind: kind, name: Array(after.key.utf8))
    }
    let names = query.keys.map { Array(Set($0.map { Array($0.utf8) })) }
    var found: [ConcurrencyKeyStatus] = []
    try look(KeyRows.page(kinds, names, after: last, limit: query.limit)).forEach { row throws(QudoError) in
      let kind = Kind(row.text(1))
      know(kind, row.integer(0))
      let rate: RateLimit? = if let text = row.textIfAny(5) { try RateLimit(text: text) } else { nil }
      let bucket = RateBucket(
        fullAt: row.integer(10), writtenAt: row.integer(11), spacing: row.integer(12),
        throttledUntil: row.integer(13))
      // The row of a stopped key outlives its jobs, and so their rule.
      let hasJobs = row.integer(6) > 0 || row.integer(7) > 0
      let rule = ConcurrencyKey(
        row.text(2), limit: Int(clamping: row.integer(3)), rate: rate,
        afterFailure: row.integer(4) != 0 ? .stop : .goOn)
      let key = hasJobs ? rule : ConcurrencyKey(row.text(2))
      let hasBucket = row.integer(9) != 0
      let now = Timestamp(microseconds: row.integer(14))
      found.append(
        ConcurrencyKeyStatus(
          kind, key, admitted: Int(row.integer(6)), held: Int(row.integer(7)), stops: Int(row.integer(8)),
          nextTokenAt: key.rate.flatMap { hasBucket ? bucket.nextToken($0, now: now) : nil }))
    }
    return found
  }
}
#endif
