internal import Qudo

extension JobTable {
  /// Calls `body` with each of these jobs that meets the conditions, in id order.
  ///
  /// - Parameter payloadPrefix: How many bytes of each payload to read at most; nil for all.
  func listed(
    _ ids: IntegerList, _ conditions: JobConditions?, payloadPrefix: Int?,
    _ body: (ListedRow) throws(QudoError) -> Void
  ) throws(QudoError) {
    try listed(
      where: "\(conditions?.sql ?? "") id IN \(ids.sql) ORDER BY id", (conditions?.values ?? []) + ids.values,
      payloadPrefix: payloadPrefix, body)
  }

  /// Calls `body` with the first `limit` jobs after an id, in id order.
  ///
  /// - Parameter payloadPrefix: How many bytes of each payload to read at most; nil for all.
  func listed(
    after id: Int64, limit: Int, payloadPrefix: Int?, _ body: (ListedRow) throws(QudoError) -> Void
  ) throws(QudoError) {
    try listed(
      where: "id > ? ORDER BY id LIMIT ?", [.integer(id), .integer(Int64(limit))],
      payloadPrefix: payloadPrefix, body)
  }

  /// Whether a job `j` is in these tables. The conditions are the whole of their keys. No job is in two rows of
  /// `qudo_ready`: the first one that ends with the job or after it has it, or none.
  private func isInReady() throws(QudoError) -> String {
    let due = try connection.groupTable.hasAny() ? GroupTable.place : "j.due"
    return """
      j.id >= (
        SELECT first FROM qudo_ready AS w WHERE w.kind = j.kind AND w.rank = j.rank AND w.due = \(due) AND w.last >= j.id
        ORDER BY w.last LIMIT 1)
      """
  }
  private static let isInDelayed =
    "EXISTS (SELECT 1 FROM qudo_delayed AS d WHERE d.due = j.due AND d.id = j.id)"
  private static let isInHeld = """
    j.concurrency_key IS NOT NULL AND
      EXISTS (SELECT 1 FROM qudo_held AS h WHERE h.kind = j.kind AND h.key = j.concurrency_key AND h.id = j.id)
    """

  /// Calls `body` with the first `limit` jobs after an id, in id order, and where they are.
  func positions(
    _ kinds: IntegerList?, _ conditions: JobConditions?, after id: Int64, limit: Int,
    _ body: (JobPosition) -> Void
  ) throws(QudoError) {
    try positions(
      where: "\(kinds.inKinds) \(conditions?.sql ?? "") id > ? ORDER BY id LIMIT ?",
      (kinds?.values ?? []) + (conditions?.values ?? []) + [.integer(id), .integer(Int64(limit))], body)
  }

  /// Calls `body` with each of these jobs that is of the kinds and meets the conditions, in id order.
  func positions(
    _ kinds: IntegerList?, _ conditions: JobConditions, among ids: IntegerList, _ body: (JobPosition) -> Void
  ) throws(QudoError) {
    try positions(
      where: "\(kinds.inKinds) \(conditions.sql) id IN \(ids.sql) ORDER BY id",
      (kinds?.values ?? []) + conditions.values + ids.values, body)
  }

  private func positions(where condition: String, _ values: [Value], _ body: (JobPosition) -> Void)
    throws(QudoError)
  {
    let isInReady = try self.isInReady()
    try connection.each(
      "SELECT id, due, \(isInReady), \(Self.isInDelayed), \(Self.isInHeld) FROM qudo_job AS j WHERE \(condition)",
      values: values
    ) { row throws(QudoError) in
      body(
        JobPosition(
          id: row.integer(0), dueAt: Timestamp(microseconds: row.integer(1)), isInReady: row.integer(2) != 0,
          isInDelayed: row.integer(3) != 0, isInHeld: row.integer(4) != 0))
    }
  }

  /// Returns up to `limit` ids after one, in order.
  func ids(after id: Int64, limit: Int) throws(QudoError) -> [Int64] {
    var ids: [Int64] = []
    try connection.each(
      "SELECT id FROM qudo_job WHERE id > ? ORDER BY id LIMIT ?", .integer(id), .integer(Int64(limit))
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }

  /// Whether the running job `j` has a cancellation mark.
  private static let isCancelled = """
    j.id IN (SELECT job FROM qudo_cancellation
      WHERE EXISTS (SELECT 1 FROM qudo_running WHERE job BETWEEN first AND last))
    """

  /// Calls `body` with each job that ends without a run when no lease holds any more, and where it is.
  ///
  /// - Parameter now: The time at which a job's expiry has passed.
  func ending(
    _ now: Timestamp, _ body: ((kind: Int64, position: JobPosition, isCancelled: Bool)) -> Void
  ) throws(QudoError) {
    let isInReady = try self.isInReady()
    try connection.each(
      """
      SELECT id, kind, due, \(isInReady), \(Self.isInDelayed), \(Self.isInHeld), \(Self.isCancelled) FROM qudo_job AS j
      WHERE expires <= ? OR \(Self.isCancelled)
      """, values: [.integer(now.microseconds)]
    ) { row throws(QudoError) in
      body(
        (
          kind: row.integer(1),
          position: JobPosition(
            id: row.integer(0), dueAt: Timestamp(microseconds: row.integer(2)),
            isInReady: row.integer(3) != 0, isInDelayed: row.integer(4) != 0, isInHeld: row.integer(5) != 0),
          isCancelled: row.integer(6) != 0
        ))
    }
  }

  /// Whether a job ends without a run when no lease holds any more.
  func isEnding(_ id: Int64, _ now: Timestamp) throws(QudoError) -> Bool {
    try connection.integer(
      "SELECT count(*) FROM qudo_job AS j WHERE id = ? AND (expires <= ? OR \(Self.isCancelled))",
      values: [.integer(id), .integer(now.microseconds)]) ?? 0 > 0
  }

  /// Returns the highest id of a live job; 0 without one.
  func highestID() throws(QudoError) -> Int64 { try connection.integer("SELECT max(id) FROM qudo_job") ?? 0 }

  func listed(
    where condition: String, _ values: [Value], payloadPrefix: Int? = nil,
    _ body: (ListedRow) throws(QudoError) -> Void
  ) throws(QudoError) {
    // Older versions of SQLite read the length as 32 bits.
    let payload = payloadPrefix.map { "substr(payload, 1, \(min($0, Int(Int32.max))))" } ?? "payload"
    let isInReady = try self.isInReady()
    let group =
      try connection.groupTable.hasAny()
      ? "(SELECT nullif(grp, '') FROM qudo_group AS g WHERE g.job = j.id)" : "NULL"
    try connection.each(
      """
      SELECT id, kind, (SELECT name FROM qudo_kind AS k WHERE k.id = kind), \(payload), codec, unique_key, rank, attempt, enqueued, due, meta,
        \(isInReady), \(Self.isInDelayed), lost, expires, \(Self.isInHeld), concurrency_key, \(group)
      FROM qudo_job AS j WHERE \(condition)
      """, values: values
    ) { row throws(QudoError) in try body(ListedRow(row: row)) }
  }

  /// Returns the ids of the first `limit` jobs in a range and after an id, in order, of `kinds` or of all, that meet the
  /// conditions.
  func ids(
    _ range: ClosedRange<Int64>, of kinds: IntegerList?, _ conditions: JobConditions? = nil, after id: Int64,
    limit: Int
  ) throws(QudoError) -> [Int64] {
    var ids: [Int64] = []
    try connection.each(
      "SELECT id FROM qudo_job WHERE id BETWEEN ? AND ? AND \(kinds.inKinds) \(conditions?.sql ?? "") id > ? ORDER BY id LIMIT ?",
      values: [.integer(range.lowerBound), .integer(range.upperBound)] + (kinds?.values ?? [])
        + (conditions?.values ?? []) + [.integer(id), .integer(Int64(limit))]
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }

  /// Returns the metadata of the jobs that have any.
  func metadata(of ids: [Int64]) throws(QudoError) -> [Int64: JobMetadata] {
    var metadata: [Int64: JobMetadata] = [:]
    for list in IntegerList.chunks(ids) {
      try connection.each(
        "SELECT id, meta FROM qudo_job WHERE meta IS NOT NULL AND id IN \(list.sql)", values: list.values
      ) { row throws(QudoError) in metadata[row.integer(0)] = JobMetadata(bytes: row.blob(1)) }
    }
    return metadata
  }

  /// Calls `body` with the id, kind, attempt and due time of the first jobs in a range.
  func brief(
    _ range: ClosedRange<Int64>, limit: Int, _ body: (Statement) throws(QudoError) -> Void
  ) throws(QudoError) {
    try connection.each(
      "SELECT id, kind, attempt, due FROM qudo_job WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
      .integer(range.lowerBound), .integer(range.upperBound), .integer(Int64(limit)), body: body)
  }

  /// Calls `body` with the kind of each job in a range.
  func kinds(_ range: ClosedRange<Int64>, _ body: (Int64) -> Void) throws(QudoError) {
    try connection.each(
      "SELECT kind FROM qudo_job WHERE id BETWEEN ? AND ?", .integer(range.lowerBound),
      .integer(range.upperBound)
    ) { row throws(QudoError) in body(row.integer(0)) }
  }
}

/// Where a job is.
struct JobPosition {
  let id: Int64
  let dueAt: Timestamp
  let isInReady: Bool
  let isInDelayed: Bool
  let isInHeld: Bool
}

/// A job as a listing reads it.
struct ListedRow {
  fileprivate let row: Statement

  var id: Int64 { row.integer(0) }
  var kind: Int64 { row.integer(1) }
  var dueAt: Timestamp { Timestamp(microseconds: row.integer(9)) }
  var isInReady: Bool { row.integer(11) != 0 }
  var isInDelayed: Bool { row.integer(12) != 0 }
  var isInHeld: Bool { row.integer(15) != 0 }

  func job(_ state: JobState, leaseExpiresAt: Timestamp?, startedAt: Timestamp?, processID: Int64?)
    -> StoredJob
  {
    StoredJob(
      id: id, kind: Kind(row.text(2)), state: state,
      payload: Payload(row.blob(3), codec: CodecID(row.integer(4))),
      uniqueKey: row.isNull(5) ? nil : row.text(5), priority: 0 &- Int(row.integer(6)),
      attempt: Int(row.integer(7)), enqueuedAt: Timestamp(microseconds: row.integer(8)), dueAt: dueAt,
      leaseExpiresAt: leaseExpiresAt, metadata: JobMetadata(bytes: row.blob(10)),
      expiresAt: row.isNull(14) ? nil : Timestamp(microseconds: row.integer(14)),
      expiredLeases: Int(row.integer(13)), startedAt: startedAt, processID: processID,
      concurrencyKey: row.isNull(16) ? nil : row.text(16), group: row.isNull(17) ? nil : row.text(17))
  }
}
