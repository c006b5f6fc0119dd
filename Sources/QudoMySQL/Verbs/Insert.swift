#if MySQL
internal import Qudo

/// The results of an insert. The ids of new jobs are known only after the write.
final class InsertAnswer {
  enum Answer {
    case known(InsertResult)
    /// The job's position among the new jobs.
    case new(Int, (Int64) -> InsertResult)
  }
  var answers: [Answer] = []
  var ids: [Int64] = []

  var results: [InsertResult] { results(of: answers.indices) }

  /// Returns the results of some of the jobs, by their positions.
  func results(of range: Range<Int>) -> [InsertResult] {
    answers[range].map { answer in
      switch answer {
      case .known(let result): result
      case .new(let position, let result): result(ids[position])
      }
    }
  }
}

extension Transaction {
  /// Runs the whole insert verb.
  func run(inserting jobs: [NewJob]) throws(QudoError) -> [InsertResult] {
    if let done = try wasCommitted() { return done.inserted?.results ?? [] }
    try makeKinds(jobs.map(\.kind))
    let bounds = try MaxWaiting.bounds(of: jobs)
    try lock(bounds)
    let answer = try insert(jobs, bounds)
    receipt.inserted = answer
    try commit()
    return answer.results
  }

  /// Inserts jobs whose kinds exist already.
  ///
  /// - Parameters:
  ///   - bounds: The maximums of waiting jobs, whose kinds are locked; none if the jobs' own do not count.
  ///   - keepsRules: Whether concurrency keys in use keep their rules.
  ///   - takesPlace: Whether the jobs get the places of others of their concurrency keys that failed.
  func insert(
    _ jobs: [NewJob], _ bounds: [(kind: Kind, bound: MaxWaiting)] = [], keepsRules: Bool = false,
    takesPlace: Bool = false
  ) throws(QudoError) -> InsertAnswer {
    let answer = InsertAnswer()
    guard !jobs.isEmpty else { return answer }
    useTime()
    var plan = InsertPlan()
    (plan.keepsRules, plan.takesPlace) = (keepsRules, takesPlace)
    try look(up: jobs, &plan)
    try lockKeys(of: jobs, &plan)
    for job in jobs {
      if let key = job.idempotencyKey, let earlier = plan.done[key] {
        answer.answers.append(earlier)
        continue
      }
      let new = try add(job, kind: try requireNumber(of: job.kind), &plan)
      answer.answers.append(new)
      if let key = job.idempotencyKey { keep(key, of: new, job.unique, &plan) }
    }
    for (kind, bound) in bounds { try refuse(plan.rows, of: kind, beyond: bound) }
    for state in lockedKeys.values { for position in state.new { plan.rows[position].isHeld = true } }
    try place(&plan.rows)
    try write(plan.rows, answer)
    if !lockedKeys.isEmpty { writeKeys() }
    for (kind, bound) in bounds { try drop(for: plan.rows, of: kind, beyond: bound) }
    return answer
  }

  /// Gives new jobs that are ready at once their places among the groups of their kinds.
  private func place(_ rows: inout [NewRow]) throws(QudoError) {
    let grouped = rows.lazy.filter { $0.group != nil }.map(\.kind)
    let hinted = kinds.control.withLock { $0.grouped }.union(grouped)
    let turns = rows.indices.filter {
      !rows[$0].isHeld && (rows[$0].group != nil || hinted.contains(rows[$0].kind))
    }
    guard !turns.isEmpty else { return }
    func request(_ row: NewRow) -> PlaceRequest {
      PlaceRequest(queue: GroupQueue(kind: row.kind, ranking: row.ranking), group: row.group)
    }
    guard var places = try places(for: turns.map { request(rows[$0]) }) else { return }
    let taking = Set(turns)
    for index in rows.indices where !rows[index].isHeld {
      let due = rows[index].due(now)
      guard due <= now else { continue }
      let request = request(rows[index])
      if taking.contains(index) {
        rows[index].place = places.place(request, due: due.microseconds, now: now.microseconds)
      }
      if rows[index].place == nil { places.note(request.queue, due.microseconds) }
    }
  }

  /// Looks up which earlier jobs have the keys of these jobs, in one round trip.
  private func look(up jobs: [NewJob], _ plan: inout InsertPlan) throws(QudoError) {
    var keys: Set<UniqueKeyLookup.Key> = []
    var locks = false
    for job in jobs {
      guard let unique = job.unique else { continue }
      keys.insert(UniqueKeyLookup.Key(kind: try requireNumber(of: job.kind), bytes: Array(unique.key.utf8)))
      if case .overwrite = unique.onConflict { locks = true }
    }
    plan.locks = locks
    let names = Array(Set(jobs.compactMap(\.idempotencyKey)))
    guard !keys.isEmpty || !names.isEmpty else { return }
    let holders = UniqueKeyLookup.look(up: keys, locks: locks)
    let found = try read(
      holders
        + names.parts().map { part in
          "SELECT id, job, expires > @n FROM qudo_receipt WHERE id IN (\(part.map { key -> SQL in "\(key.bytes)" }.joined(",")))"
        })
    for rows in found.prefix(holders.count) { try plan.holders.add(rows) }
    for (key, job, hasRest) in plan.holders.stale {
      // Check again that the job is missing, because a stopped statement may have returned too few rows.
      write(
        """
        DELETE FROM qudo_unique WHERE kind = \(key.kind) AND name = \(key.bytes) AND job = \(job) \
        AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE id = \(job)) \
        AND NOT EXISTS (SELECT 1 FROM qudo_rest WHERE qudo_rest.job = \(job) AND ends > @n)
        """)
      guard hasRest else { continue }
      write("DELETE FROM qudo_rest WHERE job = \(job) AND ends <= @n")
      write(Write.check("EXISTS(SELECT 1 FROM qudo_rest WHERE job = \(job) AND ends <= @n)"))
    }
    for rows in found.dropFirst(holders.count) {
      try rows.forEach { row throws(QudoError) in
        guard let key = IdempotencyKey(bytes: row.bytes(0)) else { return }
        if row.integer(2) != 0 {
          plan.done[key] = .known(.existing(row.integer(1)))
        } else {
          write("DELETE FROM qudo_receipt WHERE id = \(key.bytes)")
        }
      }
    }
  }

  /// Locks the concurrency keys of new jobs, and of the jobs that they may overwrite. Jobs in unique keys are locked before, so that
  /// all sessions lock in one order, and the new jobs of a key get their ids while it is locked.
  private func lockKeys(of jobs: [NewJob], _ plan: inout InsertPlan) throws(QudoError) {
    var keys = plan.locks ? plan.holders.concurrencyKeys : []
    for job in jobs where job.concurrencyKey != nil {
      if let key = NumberedKey(job, kind: try requireNumber(of: job.kind)) { keys.append(key) }
    }
    guard !keys.isEmpty else { return }
    try lock(keys: keys, making: true)
    if plan.locks { try look(up: &plan.holders) }
  }

  private func add(_ job: NewJob, kind: Int64, _ plan: inout InsertPlan) throws(QudoError)
    -> InsertAnswer.Answer
  {
    let position = plan.rows.count
    guard let unique = job.unique else {
      try append(job, kind: kind, &plan)
      return .new(position) { .inserted($0) }
    }
    let key = UniqueKeyLookup.Key(kind: kind, bytes: Array(unique.key.utf8))
    if let position = plan.positions[key] {
      if case .overwrite = unique.onConflict {
        try overwrite(position, with: job, atMost: unique.maxDelay, &plan)
      }
      return .new(position) { unique.onConflict.result($0) }
    }
    if let holder = plan.holders[key] {
      return .known(try conflict(job, unique, with: holder, kind: kind, &plan.holders[key]))
    }
    plan.positions[key] = position
    try append(job, kind: kind, &plan)
    return .new(position) { .inserted($0) }
  }

  private func append(_ job: NewJob, kind: Int64, _ plan: inout InsertPlan) throws(QudoError) {
    let row = NewRow(job, kind: kind)
    if let key = row.concurrencyKey {
      let inForce = plan.keepsRules ? lockedKeys[key]?.counts : nil
      let rule = inForce.flatMap { $0.isUsed ? $0.rule : nil } ?? KeyRule(job.concurrencyKey)
      _ = try enter(.new(plan.rows.count), key, rule, takesPlace: plan.takesPlace)
    }
    plan.rows.append(row)
  }

  /// Overwrites a new job of the same call.
  private func overwrite(
    _ position: Int, with job: NewJob, atMost maxDelay: Duration?, _ plan: inout InsertPlan
  ) throws(QudoError) {
    let old = plan.rows[position].concurrencyKey
    plan.rows[position].overwrite(job, atMost: maxDelay)
    let key = plan.rows[position].concurrencyKey
    if key == old {
      if let key { try setRule(KeyRule(job.concurrencyKey), of: key) }
      return
    }
    if let old { try leave(.new(position), old, isHeld: isHeld(new: position, old)) }
    if let key { _ = try enter(.new(position), key, KeyRule(job.concurrencyKey)) }
  }

  /// Stores the idempotency key of a job, except after a conflict: a conflict wrote nothing, and the next
  /// attempt may have another outcome.
  private func keep(
    _ key: IdempotencyKey, of answer: InsertAnswer.Answer, _ unique: UniqueKey?, _ plan: inout InsertPlan
  ) {
    switch answer {
    case .known(.conflict): break
    case .known(let result):
      plan.done[key] = .known(.existing(result.id))
      keep(["(\(key.bytes), \(result.id), @n + \(lifetimes.keys))"])
    case .new(let position, let result):
      if case .conflict = result(0) { break }
      plan.done[key] = .new(position) { .existing($0) }
      plan.rows[position].keys.append(key)
    }
  }

  private func conflict(
    _ job: NewJob, _ unique: UniqueKey, with holder: UniqueKeyLookup.Holder, kind: Int64,
    _ current: inout UniqueKeyLookup.Holder?
  ) throws(QudoError) -> InsertResult {
    guard case .overwrite = unique.onConflict, var place = holder.place else {
      return unique.onConflict == .keep ? .existing(holder.id) : .conflict(holder.id)
    }
    if place.table == .held { place = self.place(ofHeld: holder.id, place) }
    leave(place, holder.id, kind: kind)
    let group = job.group.map { Array($0.utf8) }
    // Whether a held job has a group is not known here.
    if place.flags & GroupRows.bit != 0 || place.table == .held { deleteGroups(of: [holder.id]) }
    let due = unique.due(job.due, since: holder.enqueued, now: now).moment(now).microseconds
    let expires = job.expires.moment(now)
    let hadExpiry = place.flags & ExpiryRows.bit != 0
    let setsExpiry: SQL = hadExpiry || expires != nil ? ", expires = \(expires?.microseconds)" : ""
    let key = NumberedKey(job, kind: kind)
    let setsKey: SQL = key == holder.concurrencyKey ? "" : ", concurrency_key = \(key?.name)"
    write(
      """
      UPDATE qudo_job SET payload = \(job.payload.bytes), codec = \(job.payload.codec.number), \
      meta = \(job.metadata.isEmpty ? nil : job.metadata.bytes), ranking = \(job.ranking), due = \(due), attempt = 1, lost = 0\(setsExpiry)\(setsKey) WHERE id = \(holder.id)
      """, count: 1)
    store(expires, of: [holder.id], hadOne: hadExpiry ? [holder.id] : [])
    var new = UniqueKeyLookup.RowPosition(
      table: due <= now.microseconds ? .ready : .delayed, ranking: job.ranking, due: due,
      flags: place.flags & ~(ExpiryRows.bit | KeyRows.bit | GroupRows.bit)
        | (expires == nil ? 0 : ExpiryRows.bit)
        | (key == nil ? 0 : KeyRows.bit) | (group == nil ? 0 : GroupRows.bit))
    if let group {
      storeGroups(["(\(holder.id),\(kind),\(new.ranking),\(group),NULL,NULL)"])
    }
    if key != nil || holder.concurrencyKey != nil {
      let stored = Candidate(
        kind: kind, ranking: new.ranking, due: due, id: holder.id, hold: KeyHold(new.flags),
        mayExpire: expires != nil, mayBeKeyed: true, source: .held(key ?? NumberedKey(kind: kind, name: [])),
        mayBeGrouped: group != nil)
      let rule = KeyRule(job.concurrencyKey)
      if try !changeKey(of: stored, from: holder.concurrencyKey, to: key, rule, place) { new.table = .held }
      keyOfJob[holder.id] = nil
      current?.concurrencyKey = key
    }
    if new.table == .ready, group != nil || mayBeGrouped(kind) {
      let job = Candidate(
        kind: kind, ranking: new.ranking, due: due, id: holder.id, hold: KeyHold(new.flags), source: .ready,
        mayBeGrouped: group != nil)
      let placed = try placing([job])[0]
      store(places: [placed])
      new = UniqueKeyLookup.RowPosition(
        table: .ready, ranking: new.ranking, due: placed.due,
        flags: placed.place == nil ? new.flags : new.flags | GroupRows.bit)
    }
    insertReady(new, holder.id, kind: kind)
    current?.place = new
    return .overwritten(holder.id)
  }

  /// Moves a job that is overwritten to the key of the new one. It keeps its place if it keeps its key.
  ///
  /// - Parameter place: Where the job was.
  /// - Returns: Whether the caller must file the job as ready or delayed. If not, it is held, or is filed with those that were admitted.
  private func changeKey(
    of job: Candidate, from old: NumberedKey?, to key: NumberedKey?, _ rule: KeyRule,
    _ place: UniqueKeyLookup.RowPosition
  ) throws(QudoError) -> Bool {
    let wasHeld = place.table == .held
    if let key, key == old {
      update(held: job, key)
      // This may admit it. Then it is filed with the others that are.
      try setRule(rule, of: key)
      return !wasHeld
    }
    if let old { try leave(.stored(job), old, isHeld: wasHeld) }
    guard let key else { return true }
    return try enter(.stored(job), key, rule)
  }

  private func leave(_ place: UniqueKeyLookup.RowPosition, _ id: Int64, kind: Int64) {
    switch place.table {
    case .ready:
      write(
        "DELETE FROM qudo_ready WHERE kind = \(kind) AND ranking = \(place.ranking) AND due = \(place.due) AND id = \(id)",
        count: 1)
    case .delayed: write("DELETE FROM qudo_delayed WHERE due = \(place.due) AND id = \(id)", count: 1)
    case .held: break
    }
  }

  private func insertReady(_ place: UniqueKeyLookup.RowPosition, _ id: Int64, kind: Int64) {
    guard place.table != .held else { return }
    wakes = true
    entries.add(kind, ScanCursors.Key(ranking: place.ranking, due: place.due, id: id))
    let table: SQL = place.table == .ready ? "qudo_ready" : "qudo_delayed"
    write(
      "INSERT INTO \(table)(kind, ranking, due, id, flags) VALUES(\(kind), \(place.ranking), \(place.due), \(id), \(place.flags))"
    )
  }

  /// Writes new rows. Each statement takes as many rows as fit well into a packet. The ids of one statement
  /// are consecutive: "If the only statements executing are "simple inserts" where the number of rows to be
  /// inserted is known ahead of time, there are no gaps in the numbers generated for a single statement":
  /// InnoDB AUTO_INCREMENT Lock Modes, on mode 2; modes 0 and 1 guarantee it too.
  private func write(_ rows: [NewRow], _ answer: InsertAnswer) throws(QudoError) {
    var rest = rows[...]
    while let first = rest.first {
      var (length, count) = (first.textLength, 1)
      try checkPacket(length, payload: first.payload.bytes.count)
      for row in rest.dropFirst() {
        guard count < 1000, length + row.textLength + 512 <= connection.longest else { break }
        length += row.textLength
        count += 1
      }
      insert(rest.prefix(count), answer)
      rest = rest.dropFirst(count)
    }
  }

  /// Checks that the server accepts a statement.
  ///
  /// - Parameters:
  ///   - length: The approximate length of the statement.
  ///   - payload: The number of bytes of the payload that makes it so long.
  func checkPacket(_ length: Int, payload: Int) throws(QudoError) {
    guard length + 512 > connection.packet else { return }
    throw QudoError(
      .invalidArgument,
      """
      a payload of \(payload) bytes needs a packet of \(length + 512) bytes, but the server's \
      max_allowed_packet is \(connection.packet): raise it, or keep large data elsewhere and enqueue its name
      """)
  }

  private func insert(_ rows: ArraySlice<NewRow>, _ answer: InsertAnswer) {
    wakes = true
    for row in rows where !row.isHeld {
      if let place = row.place {
        entries.add(row.kind, ScanCursors.Key(ranking: row.ranking, due: place.place, id: .min))
      } else if case .at(let time) = row.due, row.maxDelay == nil {
        entries.add(row.kind, ScanCursors.Key(ranking: row.ranking, due: time.microseconds, id: .min))
      } else {
        entries.add(row.kind, ranking: row.ranking)
      }
    }
    // This statement needs no count: it searches for no rows, and it inserts all of its values or fails.
    write(NewRow.insertion(of: rows, taking: rows.count == 1 ? takeTime() : nil)) { result in
      let first = min(result.insertID, .max - Int64(rows.count))
      answer.ids += first..<first + Int64(rows.count)
      self.effects.highest = first + Int64(rows.count) - 1
    }
    hold(
      zip(0..., rows).compactMap { offset, row in
        row.unique.map { "(\(row.kind), \(Array($0.key.utf8)), LAST_INSERT_ID() + \(offset))" }
      })
    keep(
      zip(0..., rows).flatMap { offset, row in
        row.keys.map { key -> SQL in "(\(key.bytes), LAST_INSERT_ID() + \(offset), @n + \(lifetimes.keys))" }
      })
    storeThrottles(
      zip(0..., rows).compactMap { offset, row in
        row.unique?.throttle.map {
          "(LAST_INSERT_ID() + \(offset), \(min($0.wholeMicroseconds, RestRows.longest)))"
        }
      })
    storeExpiries(of: rows)
    storeGroups(zip(0..., rows).compactMap { offset, row in row.groupRow(offset) })
    // The commit token comes last, because it carries the check of the previous statement.
    defer { write(receipt.write(answer, rows.count)) }
    let held = rows.contains(where: \.isHeld) ? zip(0..., rows).filter { $1.isHeld }.map(\.0) : []
    guard held.count < rows.count else { return insertHeld(rows) }
    if rows.count == 1, let row = rows.first,
      let due = row.place.map({ "\($0.place)" as SQL }) ?? row.due.readySQL
    {
      write(
        """
        INSERT INTO qudo_ready(kind, ranking, due, id, flags) \
        VALUES(\(row.kind), \(row.ranking), \(due), LAST_INSERT_ID(), \(row.flags))
        """)
      return
    }
    insertHeld(rows)
    var range: SQL = "id BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + \(rows.count - 1)"
    if !held.isEmpty {
      range += " AND id NOT IN (\(held.map { "LAST_INSERT_ID() + \($0)" as SQL }.joined(",")))"
    }
    let placed = zip(0..., rows).filter { !$1.isHeld && $1.place != nil }.map {
      "LAST_INSERT_ID() + \($0.0)" as SQL
    }
    let rows = held.isEmpty ? rows : rows.filter { !$0.isHeld }[...]
    let mayWait = rows.contains(where: \.mayWait)
    // A place may be later than now.
    let isReady: SQL = placed.isEmpty ? "due <= @n" : "(due <= @n OR id IN (\(placed.joined(","))))"
    let isDelayed: SQL = placed.isEmpty ? "due > @n" : "due > @n AND id NOT IN (\(placed.joined(",")))"
    if let first = rows.first, rows.allSatisfy({ $0.isReadyAtOnce(like: first) }) {
      // The rows differ only in their ids, so the server need not read them again.
      write(
        """
        INSERT INTO qudo_ready(kind, ranking, due, id, flags) \
        SELECT \(first.kind), \(first.ranking), @n, id, \(first.flags) FROM qudo_job WHERE \(range)
        """, count: rows.count)
      return
    }
    let bits: SQL =
      (rows.contains(where: \.hasExpiry) ? " + IF(expires IS NULL, 0, \(ExpiryRows.bit))" : "")
      + (rows.contains { $0.concurrencyKey != nil }
        ? " + IF(concurrency_key IS NULL, 0, \(KeyRows.bit))" : "")
      + (rows.contains { $0.unique?.throttle != nil } ? RestRows.flag : "")
      + (rows.contains(where: \.isGrouped) ? GroupRows.flag : "")
    let mayBeReady = rows.contains(where: \.mayBeReady)
    // The number of rows in each table is known only if all rows go to the same one.
    if mayBeReady {
      insertReady(
        "qudo_ready", from: mayWait ? "\(range) AND \(isReady)" : range, bits,
        count: mayWait ? nil : rows.count)
    }
    guard mayWait else { return }
    entries.endTrust = true
    if mayBeReady { write("SET @qudo_ready = ROW_COUNT()") }
    insertReady(
      "qudo_delayed", from: "\(range) AND \(isDelayed)", bits, count: mayBeReady ? nil : rows.count)
    if mayBeReady { write(Write.check("ROW_COUNT() + @qudo_ready <> \(rows.count)")) }
  }

  /// Stores the expiries of new jobs.
  private func storeExpiries(of rows: ArraySlice<NewRow>) {
    let count = rows.lazy.filter(\.hasExpiry).count
    guard count > 0 else { return }
    entries.endTrust = true
    if rows.count == 1, let expires = rows.first?.expires.sql("@n") {
      write("INSERT INTO qudo_expiry(id, expires) VALUES(LAST_INSERT_ID(), \(expires))")
      return
    }
    write(
      """
      INSERT INTO qudo_expiry(id, expires) SELECT id, expires FROM qudo_job
      WHERE id BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + \(rows.count - 1)\(count == rows.count ? "" : " AND expires IS NOT NULL" as SQL)
      """, count: count)
  }

  /// Stores which of new jobs wait for others of their concurrency keys.
  private func insertHeld(_ rows: ArraySlice<NewRow>) {
    let held = zip(0..., rows).compactMap { offset, row -> SQL? in
      guard row.isHeld, let key = row.concurrencyKey else { return nil }
      return "(\(key.kind), \(key.name), LAST_INSERT_ID() + \(offset))"
    }
    guard !held.isEmpty else { return }
    write("INSERT INTO qudo_held(kind, name, id) VALUES\(held.joined(","))")
  }

  /// Reserves unique keys for as long as their jobs hold them.
  private func hold(_ rows: [SQL]) {
    guard !rows.isEmpty else { return }
    write("INSERT INTO qudo_unique(kind, name, job) VALUES\(rows.joined(","))")
  }

  /// Stores idempotency keys, so that they prevent a second enqueue.
  private func keep(_ rows: [SQL]) {
    guard !rows.isEmpty else { return }
    keyCount += rows.count
    write("INSERT INTO qudo_receipt(id, job, expires) VALUES\(rows.joined(","))")
  }

  /// Files new jobs as ready or delayed, with the values in their rows.
  ///
  /// - Parameter bits: The terms of the column `flags` that only some jobs need.
  private func insertReady(_ table: SQL, from condition: SQL, _ bits: SQL, count: Int?) {
    wakes = true
    write(
      """
      INSERT INTO \(table)(kind, ranking, due, id, flags)
      SELECT kind, ranking, due, id, IF(unique_scope IS NULL, 0, \
      IF(unique_scope = \(UniqueKey.Scope.untilStarted.rawValue), \(KeyHold.untilStarted.rawValue), \(KeyHold.untilFinished.rawValue)))\(bits)
      FROM qudo_job WHERE \(condition)
      """, count: count)
  }
}

/// The work of an insert, before it is written.
private struct InsertPlan {
  var rows: [NewRow] = []
  /// The positions of the new rows that have unique keys.
  var positions: [UniqueKeyLookup.Key: Int] = [:]
  var holders = UniqueKeyLookup()
  /// The answers for idempotency keys that were enqueued before, or earlier in this call.
  var done: [IdempotencyKey: InsertAnswer.Answer] = [:]
  /// Whether jobs that hold unique keys are locked, because some of them may be overwritten.
  var locks = false
  /// Whether concurrency keys in use keep their rules.
  var keepsRules = false
  /// Whether the jobs get the places of others of their concurrency keys that failed.
  var takesPlace = false
}

extension UniqueKey.Conflict {
  /// Returns the result for a job whose unique key an earlier job of the same batch has.
  fileprivate func result(_ id: Int64) -> InsertResult {
    switch self {
    case .reject: .conflict(id)
    case .keep: .existing(id)
    case .overwrite: .overwritten(id)
    }
  }
}
#endif
