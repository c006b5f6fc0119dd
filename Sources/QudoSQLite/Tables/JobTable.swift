internal import Qudo

/// `qudo_job`: each live job once. Where it waits or runs is in the state tables; a claim does not change its row.
struct JobTable {
  let connection: Connection

  // MARK: Writing

  func insert(_ job: NewJob, id: Int64, _ key: SortKey, enqueuedAt: Timestamp) throws(QudoError) {
    guard !job.hasNoRules else { return try insertPlain(job, id: id, key, enqueuedAt: enqueuedAt) }
    try connection.run(
      """
      INSERT INTO qudo_job(
        id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, concurrency_key, expires, meta,
        payload)
      VALUES(?, ?, ?, ?, ?, 1, 0, 0, ?, ?, ?, ?, ?, ?, ?)
      """,
      .integer(id), .integer(key.kind), .integer(key.rank), .integer(key.due),
      .integer(enqueuedAt.microseconds), .integer(job.payload.codec.number), .text(job.unique?.key),
      job.unique.map { .integer($0.scope.rawValue) } ?? .null, .text(job.concurrencyKey?.key),
      noted(job.expires, enqueuedAt), job.metadataColumn, .blob(job.payload.bytes))
  }

  /// Without the columns that few jobs have, a job costs less.
  private func insertPlain(_ job: NewJob, id: Int64, _ key: SortKey, enqueuedAt: Timestamp)
    throws(QudoError)
  {
    try connection.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, meta, payload)
      VALUES(?, ?, ?, ?, ?, 1, 0, 0, ?, ?, ?)
      """,
      .integer(id), .integer(key.kind), .integer(key.rank), .integer(key.due),
      .integer(enqueuedAt.microseconds), .integer(job.payload.codec.number), job.metadataColumn,
      .blob(job.payload.bytes))
  }

  /// The number of plain jobs that one statement inserts. It saves SQLite a fifth of the work; fifty would save another
  /// twentieth.
  static let batchSize = 16

  /// Inserts ``batchSize`` jobs without a unique key.
  func insert(_ jobs: ArraySlice<NewJob>, _ rows: [(id: Int64, key: SortKey)], enqueuedAt: Timestamp)
    throws(QudoError)
  {
    let statement = try connection.statement(
      """
      INSERT INTO qudo_job(enqueued, id, kind, rank, due, codec, meta, payload, attempt, lost, state) VALUES
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0)
      """ as StaticString)
    defer { statement.reset() }
    try statement.bind(.integer(enqueuedAt.microseconds), at: 1)
    // Bound one by one: building an array of all values would cost more than binding them.
    var position: Int32 = 2
    for (index, (id, key)) in zip(jobs.indices, rows) {
      try statement.bind(.integer(id), at: position)
      try statement.bind(.integer(key.kind), at: position + 1)
      try statement.bind(.integer(key.rank), at: position + 2)
      try statement.bind(.integer(key.due), at: position + 3)
      try statement.bind(.integer(jobs[index].payload.codec.number), at: position + 4)
      try statement.bind(jobs[index].metadataColumn, at: position + 5)
      try statement.bind(.blob(jobs[index].payload.bytes), at: position + 6)
      position += 7
    }
    while try statement.step() {}
  }

  /// Gives a waiting job new contents. New contents are new work: its attempts and expired leases start over. ``EnqueueScript`` has the same
  /// statement for enqueues of the application.
  func overwrite(_ id: Int64, with job: NewJob, due: Int64, now: Timestamp) throws(QudoError) {
    try connection.run(
      """
      UPDATE qudo_job SET
        payload = ?, codec = ?, meta = ?, rank = ?, due = ?, expires = ?, concurrency_key = ?, attempt = 1, lost = 0
      WHERE id = ?
      """,
      .blob(job.payload.bytes), .integer(job.payload.codec.number), job.metadataColumn, .integer(job.rank),
      .integer(due), noted(job.expires, now), .text(job.concurrencyKey?.key), .integer(id))
  }

  /// Notes an expiry that is about to be written, and returns its column.
  private func noted(_ expires: Expiry, _ now: Timestamp) -> Value {
    guard let expiry = expires.moment(now)?.microseconds else { return .null }
    connection.hints.noteExpiry(expiry)
    return .integer(expiry)
  }

  /// Changes a waiting job.
  func change(_ id: Int64, _ change: JobChange, rank: Int64, due: Int64, now: Timestamp) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_job SET rank = ?, due = ? WHERE id = ?", .integer(rank), .integer(due), .integer(id))
    if let payload = change.payload {
      try connection.run(
        "UPDATE qudo_job SET payload = ?, codec = ? WHERE id = ?", .blob(payload.bytes),
        .integer(payload.codec.number), .integer(id))
    }
    if let metadata = change.metadata {
      try connection.run("UPDATE qudo_job SET meta = ? WHERE id = ?", Value(metadata), .integer(id))
    }
    if let expires = change.expires {
      try connection.run(
        "UPDATE qudo_job SET expires = ? WHERE id = ?", noted(expires, now), .integer(id))
    }
  }

  /// Prepares a job for its next run.
  func setNextRun(_ id: Int64, due: Int64, addingAttempts attempts: Int64) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_job SET due = ?, attempt = attempt + ?, lost = 0 WHERE id = ?", .integer(due),
      .integer(attempts), .integer(id))
  }

  func setDue(_ id: Int64, _ due: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_job SET due = ? WHERE id = ?", .integer(due), .integer(id))
  }

  /// Frees the unique key of a job.
  func freeKey(of id: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_job SET unique_scope = NULL WHERE id = ?", .integer(id))
  }

  /// Counts one more expired lease of a job. Returns how many it has had.
  func addExpiredLease(_ id: Int64) throws(QudoError) -> Int64 {
    try connection.run("UPDATE qudo_job SET lost = lost + 1 WHERE id = ?", .integer(id))
    return try connection.integer("SELECT lost FROM qudo_job WHERE id = ?", .integer(id)) ?? 0
  }

  func delete(_ id: Int64) throws(QudoError) {
    try connection.run("DELETE FROM qudo_job WHERE id = ?", .integer(id))
  }

  func delete(_ ids: ClosedRange<Int64>) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_job WHERE id BETWEEN ? AND ?", .integer(ids.lowerBound), .integer(ids.upperBound))
  }

  /// Makes the due times and ranks of these jobs integers: an invalid due time becomes `now`, an invalid rank 0.
  func repairKeys(_ ids: ClosedRange<Int64>, now: Timestamp) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_job SET due = ? WHERE id BETWEEN ? AND ? AND typeof(due) <> 'integer'",
      .integer(now.microseconds), .integer(ids.lowerBound), .integer(ids.upperBound))
    try connection.run(
      "UPDATE qudo_job SET rank = 0 WHERE id BETWEEN ? AND ? AND typeof(rank) <> 'integer'",
      .integer(ids.lowerBound), .integer(ids.upperBound))
  }

  /// Whether a job of `qudo_job` is held, for the repair of other tables.
  static let isHeld = """
    concurrency_key IS NOT NULL AND EXISTS (
      SELECT 1 FROM qudo_held AS h WHERE h.kind = qudo_job.kind AND h.key = qudo_job.concurrency_key AND h.id = qudo_job.id)
    """

  // MARK: Reading

  /// Returns when the newest job was enqueued; nil if there is none.
  func lastEnqueued() throws(QudoError) -> Int64? {
    try connection.integer("SELECT enqueued FROM qudo_job ORDER BY id DESC LIMIT 1")
  }

  /// Returns the number of jobs. It reads all of the table.
  func count() throws(QudoError) -> Int64 { try connection.integer("SELECT count(*) FROM qudo_job") ?? 0 }

  /// Returns the id of the live job with a unique key.
  func holder(of key: String, kind: Int64) throws(QudoError) -> Int64? {
    try connection.integer(
      "SELECT id FROM qudo_job WHERE kind = ? AND unique_key = ? AND unique_scope IS NOT NULL",
      .integer(kind), .text(key))
  }

  func sortKey(of id: Int64) throws(QudoError) -> SortKey? {
    var key: SortKey?
    try connection.each("SELECT kind, rank, due FROM qudo_job WHERE id = ?", .integer(id)) {
      row throws(QudoError) in
      key = SortKey(kind: row.integer(0), rank: row.integer(1), due: row.integer(2))
    }
    return key
  }

  /// Returns the concurrency key of a job; nil for none.
  func key(of id: Int64) throws(QudoError) -> NumberedKey? { try keys(of: id...id).first?.key }

  /// Returns the jobs of a range that have a concurrency key.
  func keys(of ids: ClosedRange<Int64>) throws(QudoError) -> [(job: Int64, key: NumberedKey)] {
    var keys: [(job: Int64, key: NumberedKey)] = []
    try connection.each(
      "SELECT id, kind, concurrency_key FROM qudo_job WHERE id BETWEEN ? AND ? AND concurrency_key IS NOT NULL ORDER BY id",
      .integer(ids.lowerBound), .integer(ids.upperBound)
    ) { row throws(QudoError) in
      keys.append((row.integer(0), NumberedKey(kind: row.integer(1), text: row.text(2))))
    }
    return keys
  }

  /// Returns how many bytes a job's payload and metadata have.
  func bytes(of id: Int64) throws(QudoError) -> Int {
    Int(
      try connection.integer(
        "SELECT length(payload) + ifnull(length(meta), 0) FROM qudo_job WHERE id = ?", .integer(id)) ?? 0)
  }

  func enqueuedAt(_ id: Int64) throws(QudoError) -> Timestamp? {
    try connection.integer("SELECT enqueued FROM qudo_job WHERE id = ?", .integer(id)).map {
      Timestamp(microseconds: $0)
    }
  }

  func kind(of id: Int64) throws(QudoError) -> Int64? {
    try connection.integer("SELECT kind FROM qudo_job WHERE id = ?", .integer(id))
  }

  /// Returns the ids of the first `limit` jobs in a range, in order.
  func ids(_ range: ClosedRange<Int64>, limit: Int64) throws(QudoError) -> [Int64] {
    var ids: [Int64] = []
    try connection.each(
      "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", .integer(range.lowerBound),
      .integer(range.upperBound), .integer(limit)
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }

  /// Calls `body` with the columns of ``ClaimedRow`` of each job in a range, in id order.
  @inline(__always)
  func claimed(_ ids: ClosedRange<Int64>, _ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, rank, due, id, kind
      FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id
      """, .integer(ids.lowerBound), .integer(ids.upperBound), body: body)
  }

  /// Returns a job as the database has it, but for its state, or nil if it is missing.
  func stored(_ id: Int64) throws(QudoError) -> StoredJob? {
    var job: StoredJob?
    try listed(where: "id = ?", [.integer(id)]) { row throws(QudoError) in
      job = row.job(.ready, leaseExpiresAt: nil, startedAt: nil, processID: nil)
    }
    return job
  }

  /// Returns the report of a job that is about to be given up as lost, or nil if it is missing.
  func lost(_ id: Int64, expiredLeases: Int64) throws(QudoError) -> GivenUpJob? {
    var job: GivenUpJob?
    try connection.each(
      "SELECT (SELECT name FROM qudo_kind AS k WHERE k.id = kind), attempt, unique_key FROM qudo_job WHERE id = ?",
      .integer(id)
    ) { row throws(QudoError) in
      job = GivenUpJob(
        id: id, kind: Kind(row.text(0)), attempt: Int(row.integer(1)), expiredLeases: Int(expiredLeases),
        uniqueKey: row.isNull(2) ? nil : row.text(2))
    }
    return job
  }

  // MARK: Expiries

  /// Returns a lower bound for the expiries of the waiting jobs, or ``FileHints/none``.
  func nextExpiry() throws(QudoError) -> Int64 {
    if let known = connection.hints.nextExpiry { return known }
    // The bound leaves out a value of another type, which another program may have written and which never passes.
    let expiry = try connection.integer(
      "SELECT min(expires) FROM qudo_job WHERE expires <= 9223372036854775807")
    // If it runs, it is found to be overdue.
    connection.hints.found(nextExpiry: expiry, hasOverdue: true)
    return expiry ?? FileHints.none
  }

  /// Returns the first expiry after a time, or ``FileHints/none``.
  func firstExpiry(after now: Timestamp) throws(QudoError) -> Int64 {
    if connection.hints.nextExpiry == FileHints.none { return FileHints.none }
    let expiry = try connection.integer(
      "SELECT min(expires) FROM qudo_job WHERE expires > ? AND expires <= 9223372036854775807",
      .integer(now.microseconds))
    return expiry ?? FileHints.none
  }

  /// Returns the first `limit` jobs whose expiry has passed, by expiry and id, that come after one of them.
  func expired(_ now: Timestamp, after last: ExpiredRow?, limit: Int64) throws(QudoError) -> [ExpiredRow] {
    var rows: [ExpiredRow] = []
    try connection.each(
      """
      SELECT expires, id, (SELECT name FROM qudo_kind AS k WHERE k.id = kind), attempt, lost, unique_key FROM qudo_job
      WHERE expires <= ?1 AND (expires, id) > (?2, ?3) ORDER BY expires, id LIMIT ?4
      """,
      .integer(now.microseconds), .integer(last?.expires ?? .min), .integer(last?.job.id ?? .min),
      .integer(limit)
    ) { row throws(QudoError) in
      rows.append(
        ExpiredRow(
          expires: row.integer(0),
          job: GivenUpJob(
            id: row.integer(1), kind: Kind(row.text(2)), reason: .expired, attempt: Int(row.integer(3)),
            expiredLeases: Int(row.integer(4)), uniqueKey: row.isNull(5) ? nil : row.text(5))))
    }
    return rows
  }
}

/// A job whose expiry has passed.
struct ExpiredRow {
  let expires: Int64
  let job: GivenUpJob
}

/// The columns that a claim reads of each job: payload, codec, unique_key, unique_scope, attempt, enqueued, meta, rank,
/// due, id, and then those of the query.
struct ClaimedRow {
  let row: Statement

  var id: Int64 { row.integer(9) }
  var rank: Int64 { row.integer(7) }
  var due: Int64 { row.integer(8) }
  /// The kind; of ``JobTable/claimed(_:_:)`` only.
  var kind: Int64 { row.integer(10) }
  var isMissing: Bool { row.isNull(9) }
  /// Whether the unique key becomes free as soon as the job starts.
  var freesKey: Bool { !row.isNull(3) && row.integer(3) == UniqueKey.Scope.untilStarted.rawValue }

  @inline(__always)
  func job(_ kind: Kind, _ lease: Lease) -> ClaimedJob {
    ClaimedJob(
      lease: lease, kind: kind, payload: Payload(row.blob(0), codec: CodecID(row.integer(1))),
      priority: 0 &- Int(rank), uniqueKey: row.isNull(2) ? nil : row.text(2), attempt: Int(row.integer(4)),
      enqueuedAt: Timestamp(microseconds: row.integer(5)), dueAt: Timestamp(microseconds: due),
      metadata: JobMetadata(bytes: row.blob(6)))
  }
}

extension NewJob {
  fileprivate var metadataColumn: Value { Value(metadata) }
}

extension Value {
  init(_ metadata: JobMetadata) { self = metadata.isEmpty ? .null : .blob(metadata.bytes) }
}
