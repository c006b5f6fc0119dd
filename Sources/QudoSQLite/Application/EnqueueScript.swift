internal import Qudo

/// SQL statements that store jobs. The application runs them without reading a result in between.
///
/// It is what ``Transaction`` does, expressed in SQL: the id is found by a query, and is kept in `qudo_info` until the
/// end, so that a later statement does nothing if the one before it had no effect. Only `?` is used for values, which
/// each library can bind.
struct EnqueueScript {
  let now: Timestamp
  private(set) var statements: [SQLStatement] = []

  private let receiptLifetime: Duration

  init(_ jobs: [NewJob], now: Timestamp, receiptLifetime: Duration) {
    self.now = now
    self.receiptLifetime = receiptLifetime
    guard !jobs.isEmpty else { return }
    var kinds: Set<Kind> = []
    for job in jobs where kinds.insert(job.kind).inserted {
      add("INSERT OR IGNORE INTO qudo_kind(name) VALUES(?)", [.text(job.kind.name)])
    }
    for job in jobs { add(job) }
    add("DELETE FROM qudo_info WHERE key = 'next_id'")
  }

  private mutating func add(_ sql: String, _ values: [SQLValue] = []) {
    statements.append(SQLStatement(sql: sql, values: values))
  }

  /// The values of a job that several statements need.
  private struct RowPosition {
    let kind: SQLValue
    let key: SQLValue
    let rank: SQLValue
    let due: SQLValue
    let written: SQLValue
    let expires: SQLValue
    let isReady: Bool
    let receipt: SQLValue?
    /// The due time of a row of `qudo_job` that is overwritten.
    let newDue: (sql: String, values: [SQLValue])

    /// That the job was not enqueued before under its idempotency key.
    var isNew: String { receipt == nil ? "" : " AND NOT EXISTS (SELECT 1 FROM qudo_receipt WHERE key = ?)" }
    var isNewValues: [SQLValue] { receipt.map { [$0] } ?? [] }
  }

  private mutating func add(_ job: NewJob) {
    let delay = Delay(job.due, now)
    let place = RowPosition(
      kind: .text(job.kind.name), key: job.unique.map { .text($0.key) } ?? .null, rank: .integer(job.rank),
      due: .integer(delay.due),
      written: delay.written.map { .integer($0) } ?? .null,
      expires: job.expires.moment(now).map { .integer($0.microseconds) } ?? .null,
      isReady: delay.due <= now.microseconds,
      receipt: job.idempotencyKey.map { .blob($0.bytes) }, newDue: newDue(job, delay))
    if let key = place.receipt {
      add("DELETE FROM qudo_receipt WHERE key = ? AND expires <= ?", [key, .integer(now.microseconds)])
    }
    if case .overwrite = job.unique?.onConflict { overwrite(job, place) }
    add(
      """
      INSERT OR REPLACE INTO qudo_info(key, value)
      SELECT 'next_id', max(coalesce((SELECT max(id) FROM qudo_job), 0), value) + 1 FROM qudo_info WHERE key = 'highest_id'
      """)
    let (condition, values) = condition(job, place)
    let (kind, kindValues) = kind(job, place)
    let concurrencyKey = job.concurrencyKey.map { [SQLValue.text($0.key)] } ?? []
    let columns: [SQLValue] = [
      place.rank, place.due, .integer(now.microseconds), .integer(job.payload.codec.number), place.key,
      job.unique.map { .integer($0.scope.rawValue) } ?? .null, place.expires, job.metadata.value,
      .blob(job.payload.bytes),
    ]
    add(
      """
      INSERT INTO qudo_job(
        id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, expires, meta, payload\(concurrencyKey.isEmpty ? "" : ", concurrency_key"))
      SELECT value, \(kind), ?, ?, ?, 1, 0, 0, ?, ?, ?, ?, ?, ?\(concurrencyKey.isEmpty ? "" : ", ?")
      FROM qudo_info WHERE key = 'next_id'\(condition)\(place.isNew)
      """,
      kindValues + columns + concurrencyKey + values + place.isNewValues)
    if let throttle = job.unique?.throttle { insert(throttle, place) }
    if let group = job.group {
      add(
        "INSERT INTO qudo_group(job, kind, rank, grp) SELECT id, kind, rank, ? FROM qudo_job WHERE id = \(Self.newJob)",
        [.text(group)])
    }
    if let key = job.concurrencyKey {
      enter(key, place)
    } else {
      wait(place, isGrouped: job.group != nil)
    }
    if let key = place.receipt { keep(key, job, place) }
  }

  /// A job that is put off is among the delayed even if its bound makes it due now: the statements cannot choose the table
  /// by a value that they read. The next claim promotes it.
  private func newDue(_ job: NewJob, _ delay: Delay) -> (sql: String, values: [SQLValue]) {
    guard let maxDelay = job.unique?.maxDelay, delay.due > now.microseconds else {
      return ("?", [.integer(delay.due)])
    }
    // No sum of a time and this overflows.
    let bound = min(maxDelay.wholeMicroseconds, Timestamp.latest.microseconds)
    return (
      "min(?, max(?, qudo_job.enqueued + ?))",
      [.integer(delay.due), .integer(now.microseconds), .integer(bound)]
    )
  }

  /// Whether the job `j` takes turns with others of its kind: it, or one of those, has a group.
  private static let isGrouped = """
    (EXISTS (SELECT 1 FROM qudo_group AS g WHERE g.job = j.id)
      OR EXISTS (SELECT 1 FROM qudo_group AS g WHERE g.kind = j.kind AND g.grp > '' AND g.place IS NOT NULL))
    """

  /// Files the new job, if there is one, as ready or delayed.
  ///
  /// The statements cannot tell the place of a job among the groups of its kind, so they file a ready one as delayed until now: the next
  /// claim promotes it, and gives it its place.
  private mutating func wait(_ place: RowPosition, isGrouped: Bool) {
    let mayBeReady = place.isReady && !isGrouped
    if mayBeReady {
      add(
        """
        INSERT INTO qudo_ready(kind, rank, due, last, first)
        SELECT kind, rank, due, id, id FROM qudo_job AS j WHERE id = \(Self.newJob) AND NOT \(Self.isGrouped)
        """)
    }
    add(
      """
      INSERT INTO qudo_delayed(due, id, kind, rank, written)
      SELECT due, id, kind, rank, ? FROM qudo_job AS j WHERE id = \(Self.newJob)\(mayBeReady ? " AND \(Self.isGrouped)" : "")
      """, [place.written])
  }

  private static let newJob = "(SELECT value FROM qudo_info WHERE key = 'next_id')"
  /// A row of a table that has the kind and the concurrency key of the job.
  private static let ofKey = "kind = (SELECT id FROM qudo_kind WHERE name = ?) AND key = ?"

  /// Holds the new job, if there is one, and then admits as many held jobs of its key as may be: none if it is stopped.
  private mutating func enter(_ key: ConcurrencyKey, _ place: RowPosition) {
    let name = [place.kind, .text(key.key)]
    if KeyRule(key) == KeyRule() {
      add(
        "DELETE FROM qudo_key WHERE \(Self.ofKey) AND EXISTS (SELECT 1 FROM qudo_job WHERE id = \(Self.newJob))",
        name)
    } else {
      add(
        """
        INSERT OR REPLACE INTO qudo_key(kind, key, most, stops, rate)
        SELECT kind, concurrency_key, ?, ?, ? FROM qudo_job WHERE id = \(Self.newJob)
        """,
        [
          .integer(Int64(key.limit)), .integer(KeyRule(key).stops ? 1 : 0),
          key.rate.map { .text($0.text) } ?? .null,
        ])
    }
    if let rate = key.rate {
      add(
        """
        INSERT INTO qudo_key_rate(kind, key, rate, full_at, written_at, spacing, throttled_until)
        SELECT kind, concurrency_key, ?, 0, 0, 0, 0 FROM qudo_job WHERE id = \(Self.newJob)
        ON CONFLICT(kind, key) DO UPDATE SET rate = excluded.rate
        """, [.text(rate.text)])
    } else {
      add(
        "UPDATE qudo_key_rate SET rate = NULL WHERE \(Self.ofKey) AND EXISTS (SELECT 1 FROM qudo_job WHERE id = \(Self.newJob))",
        name)
    }
    add(
      "INSERT INTO qudo_held(kind, key, id, written) SELECT kind, concurrency_key, id, ? FROM qudo_job WHERE id = \(Self.newJob)",
      [place.written])
    // A negative limit would be none.
    add(
      """
      INSERT OR IGNORE INTO qudo_admitted(kind, key, job)
      SELECT kind, key, id FROM qudo_held AS h WHERE \(Self.ofKey) AND EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = h.id) ORDER BY id
      LIMIT iif(EXISTS (SELECT 1 FROM qudo_stop WHERE \(Self.ofKey)), 0, max(0, coalesce((SELECT most FROM qudo_key WHERE \(Self.ofKey)), 1)
        - (SELECT count(*) FROM qudo_admitted WHERE \(Self.ofKey) AND EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = job))))
      """, name + name + name + name)
    let admitted = """
      FROM qudo_admitted AS p CROSS JOIN qudo_held AS h ON h.kind = p.kind AND h.key = p.key AND h.id = p.job CROSS JOIN qudo_job AS j ON j.id = h.id
      WHERE p.kind = (SELECT id FROM qudo_kind WHERE name = ?) AND p.key = ?
      """
    add(
      """
      INSERT INTO qudo_ready(kind, rank, due, last, first)
      SELECT j.kind, j.rank, j.due, j.id, j.id \(admitted) AND j.due <= ? AND NOT \(Self.isGrouped)
      """,
      name + [.integer(now.microseconds)])
    add(
      """
      INSERT INTO qudo_delayed(due, id, kind, rank, written)
      SELECT j.due, j.id, j.kind, j.rank, h.written \(admitted) AND (j.due > ? OR \(Self.isGrouped))
      """,
      name + [.integer(now.microseconds)])
    // By the places, which are few: many may be held.
    add(
      "DELETE FROM qudo_held WHERE \(Self.ofKey) AND id IN (SELECT job FROM qudo_admitted WHERE \(Self.ofKey))",
      name + name)
  }

  /// The job is the new one; or, unless that was an error, the one that has the unique key.
  private mutating func keep(_ key: SQLValue, _ job: NewJob, _ place: RowPosition) {
    let mayBeThere = job.unique.map { $0.onConflict != .reject } ?? false
    add(
      """
      INSERT OR IGNORE INTO qudo_receipt(key, job, expires)
      SELECT ?, id, ? FROM qudo_job WHERE \(mayBeThere ? Self.hasKey : "id = (SELECT value FROM qudo_info WHERE key = 'next_id')")
      """,
      [key, .integer(now.advanced(by: receiptLifetime).microseconds)]
        + (mayBeThere ? [place.kind, place.key] : []))
  }

  private static let hasKey =
    "kind = (SELECT id FROM qudo_kind WHERE name = ?) AND unique_key = ? AND unique_scope IS NOT NULL"

  /// A job with a concurrency key or a group is left as it is, like one that runs: the script cannot tell what its place is.
  private static let mayBeOverwritten =
    "\(hasKey) AND concurrency_key IS NULL AND NOT EXISTS (SELECT 1 FROM qudo_group WHERE job = id)"

  /// The condition that skips the insert of a job whose key is taken. Without it, the unique index refuses the row.
  private func condition(_ job: NewJob, _ place: RowPosition) -> (String, [SQLValue]) {
    switch job.unique?.onConflict {
    case nil, .reject: ("", [])
    case .keep:
      (
        " AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE \(Self.hasKey)) AND NOT \(Self.keyRests)",
        [place.kind, place.key] + keyRestsValues(place)
      )
    case .overwrite:
      (
        " AND NOT EXISTS (SELECT 1 FROM qudo_job WHERE \(Self.mayBeOverwritten) AND \(Self.waits(place)))",
        [place.kind, place.key, place.rank] + place.newDue.values
      )
    }
  }

  /// Whether the unique key rests.
  private static let keyRests =
    "EXISTS (SELECT 1 FROM qudo_rest WHERE kind = (SELECT id FROM qudo_kind WHERE name = ?) AND key = ? AND ends > ?)"
  private func keyRestsValues(_ place: RowPosition) -> [SQLValue] {
    [place.kind, place.key, .integer(now.microseconds)]
  }

  /// The number of the kind; NULL, which the table refuses, if the unique key rests and that is an error.
  private func kind(_ job: NewJob, _ place: RowPosition) -> (sql: String, values: [SQLValue]) {
    let number = "(SELECT id FROM qudo_kind WHERE name = ?)"
    switch job.unique?.onConflict {
    case nil, .keep: return (number, [place.kind])
    case .reject, .overwrite:
      return ("CASE WHEN \(Self.keyRests) THEN NULL ELSE \(number) END", keyRestsValues(place) + [place.kind])
    }
  }

  /// Notes the throttle of the new job's key, if there is a new job, instead of one that has ended.
  private mutating func insert(_ throttle: Duration, _ place: RowPosition) {
    add("DELETE FROM qudo_rest WHERE \(Self.ofKey) AND ends <= ?", keyRestsValues(place))
    add(
      "INSERT INTO qudo_rest(job, kind, key, throttle) SELECT id, kind, unique_key, ? FROM qudo_job WHERE id = \(Self.newJob)",
      [.integer(min(throttle.wholeMicroseconds, RestTable.longest))])
  }

  /// Whether a row of qudo_job waits at a place that it may just have been given.
  private static func waits(_ place: RowPosition) -> String {
    place.isReady
      ? "EXISTS (SELECT 1 FROM qudo_ready AS w WHERE (w.kind, w.rank, w.due, w.last) = (qudo_job.kind, ?, \(place.newDue.sql), qudo_job.id))"
      : "EXISTS (SELECT 1 FROM qudo_delayed AS w WHERE w.rank = ? AND (w.due, w.id) = (\(place.newDue.sql), qudo_job.id))"
  }

  /// Cut the job that has the key out of the row of the ready that it is in with others: what comes before it, the job itself if
  /// others come after it, and then the rest, which keeps its end. It changes nothing but which rows there are.
  private static let setApart = [
    "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT w.kind, w.rank, w.due, j.id - 1, w.first \(itsRow) AND w.first < j.id",
    "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT w.kind, w.rank, w.due, j.id, j.id \(itsRow) AND w.last > j.id",
    """
    UPDATE qudo_ready SET first = 1 + (SELECT id FROM qudo_job WHERE \(mayBeOverwritten))
    WHERE (kind, rank, due, last) = (SELECT w.kind, w.rank, w.due, w.last \(itsRow) AND w.last > j.id)
    """,
    "UPDATE qudo_ready SET first = last WHERE \(isReadyAlone)",
  ]
  private static let itsRow = """
    FROM (SELECT id, kind, rank, due FROM qudo_job WHERE \(mayBeOverwritten)) AS j
    JOIN qudo_ready AS w ON w.kind = j.kind AND w.rank = j.rank AND w.due = j.due AND w.last >= j.id AND w.first <= j.id
    """
  private static let isReadyAlone =
    "(kind, rank, due, last) = (SELECT kind, rank, due, id FROM qudo_job WHERE \(mayBeOverwritten))"

  /// A job that waits is moved to its new place; a job that runs is in neither table, so that nothing changes.
  private mutating func overwrite(_ job: NewJob, _ place: RowPosition) {
    // From here on it is a separate row among the ready, if it is there.
    for sql in Self.setApart {
      add(sql, Array(repeating: [place.kind, place.key], count: sql.count { $0 == "?" } / 2).flatMap(\.self))
    }
    let ready = Self.isReadyAlone
    let delayed = "(due, id) = (SELECT due, id FROM qudo_job WHERE \(Self.mayBeOverwritten))"
    let (new, isThere) = place.isReady ? ("qudo_ready", ready) : ("qudo_delayed", delayed)
    let (old, wasThere) = place.isReady ? ("qudo_delayed", delayed) : ("qudo_ready", ready)
    // Of the job with an id, from a row of another table.
    func newDue(of id: String) -> String {
      place.newDue.sql == "?" ? "?" : "(SELECT \(place.newDue.sql) FROM qudo_job WHERE id = \(id))"
    }
    let (columns, values) =
      place.isReady
      ? ("kind, rank, due, last, first", "kind, ?, ?, id, id")
      : (
        "kind, rank, due, written, id", "kind, ?, \(newDue(of: "last")), ?, last"
      )
    let (assignments, times) =
      place.isReady
      ? ("rank = ?, due = ?", [place.rank, place.due])
      : (
        "rank = ?, due = \(newDue(of: "qudo_delayed.id")), written = ?",
        [place.rank] + place.newDue.values + [place.written]
      )
    let key = [place.kind, place.key]
    let last = place.isNewValues
    add("UPDATE \(new) SET \(assignments) WHERE \(isThere)\(place.isNew)", times + key + last)
    add(
      "INSERT INTO \(new)(\(columns)) SELECT \(values) FROM \(old) WHERE \(wasThere)\(place.isNew)",
      times + key + last)
    add("DELETE FROM \(old) WHERE \(wasThere)\(place.isNew)", key + last)
    add(
      """
      UPDATE qudo_job SET
        payload = ?, codec = ?, meta = ?, rank = ?, due = \(place.newDue.sql), expires = ?, attempt = 1, lost = 0
      WHERE \(Self.mayBeOverwritten) AND \(Self.waits(place))\(place.isNew)
      """,
      [
        .blob(job.payload.bytes), .integer(job.payload.codec.number), job.metadata.value, place.rank,
      ] + place.newDue.values + [place.expires] + key + [place.rank] + place.newDue.values + last)
  }
}

extension EnqueueScript {
  /// - Parameters:
  ///   - jobs: after the hooks.
  ///   - lifetime: how long an idempotency key prevents a second enqueue.
  ///   - clock: the clock of the enqueue and of delays.
  /// - Throws: ``QudoError/Code/invalidArgument`` for a job that is refused.
  static func statements(
    for jobs: [NewJob], _ limits: Limits, lifetime: Duration, _ clock: any QueueClock
  ) throws(QudoError) -> [SQLStatement] {
    for job in jobs { try limits.check(job) }
    guard !jobs.contains(where: { $0.maxWaiting != nil }) else {
      throw QudoError(
        .invalidArgument,
        "statements cannot count the waiting jobs: enqueue a job with a maximum of them through a queue")
    }
    guard
      !jobs.contains(where: { $0.concurrencyKey != nil && $0.unique?.onConflict == .overwrite })
    else {
      throw QudoError(
        .invalidArgument,
        "statements cannot overwrite a job with one that has a concurrency key: enqueue it through a queue")
    }
    guard !jobs.contains(where: { $0.group != nil && $0.unique?.onConflict == .overwrite }) else {
      throw QudoError(
        .invalidArgument,
        "statements cannot overwrite a job with one that has a group: enqueue it through a queue")
    }
    return EnqueueScript(jobs, now: clock.now().wall, receiptLifetime: lifetime).statements
  }
}

extension JobMetadata {
  fileprivate var value: SQLValue { isEmpty ? .null : .blob(bytes) }
}
