internal import Qudo
internal import QudoSQLSupport

/// `qudo_failure`: the failure log.
struct FailureTable {
  let connection: Connection
  private static let name: StaticString = "qudo_failure"
  private var log: LogTable { LogTable(connection: connection, name: Self.name, endedAt: "failed_at") }

  /// Adds a final failure of each job in a range that is still there, with its payload.
  ///
  /// The scope of a unique key is stored for a replay; a claimed job with a key but no scope had `untilStarted`.
  func insertFinal(
    _ ids: ClosedRange<Int64>, _ reason: FailureReason, message: String, at time: Timestamp
  ) throws(QudoError) {
    let (column, value) =
      try connection.groupTable.hasAny()
      ? (", grp", ", (SELECT nullif(grp, '') FROM qudo_group AS g WHERE g.job = id)") : ("", "")
    do throws(QudoError) {
      try connection.run(
        """
        INSERT INTO qudo_failure(
          job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, meta, payload,
          concurrency_key, concurrency_limit, concurrency_stops, concurrency_rate\(column))
        SELECT id, kind, attempt, ?1, ?2, 1, ?3, rank, unique_key, iif(unique_key IS NULL, NULL, ifnull(unique_scope, ?4)),
          codec, meta, payload, concurrency_key, iif(concurrency_key IS NULL, NULL, (
            SELECT most FROM qudo_key AS l WHERE l.kind = qudo_job.kind AND l.key = concurrency_key)),
          iif(concurrency_key IS NULL, NULL, (
            SELECT nullif(stops, 0) FROM qudo_key AS l WHERE l.kind = qudo_job.kind AND l.key = concurrency_key)),
          iif(concurrency_key IS NULL, NULL, (
            SELECT rate FROM qudo_key AS l WHERE l.kind = qudo_job.kind AND l.key = concurrency_key))\(value)
        FROM qudo_job WHERE id BETWEEN ?5 AND ?6
        """,
        values: [
          .integer(time.microseconds), .integer(reason.number), .text(message),
          .integer(UniqueKey.Scope.untilStarted.rawValue), .integer(ids.lowerBound), .integer(ids.upperBound),
        ])
    } catch {
      throw try error.orExhausted(Self.name, of: connection)
    }
  }

  /// Adds a failed run of a job that will be retried. Of several in a row with one payload, only the first stores it.
  ///
  /// A separate statement: one that reads the log, too, copies all rows before it inserts them.
  func insertRetried(_ id: Int64, message: String, at time: Timestamp) throws(QudoError) {
    do throws(QudoError) {
      try connection.run(
        """
        INSERT INTO qudo_failure(
          job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, payload)
        SELECT id, kind, attempt, ?1, ?2, 0, ?3, rank, unique_key, iif(unique_key IS NULL, NULL, ifnull(unique_scope, ?4)),
          codec, iif(payload IS (
            SELECT f.payload FROM qudo_failure AS f WHERE f.job = ?5 AND f.payload IS NOT NULL ORDER BY f.id DESC LIMIT 1),
            NULL, payload)
        FROM qudo_job WHERE id = ?5
        """,
        .integer(time.microseconds), .integer(FailureReason.failed.number), .text(message),
        .integer(UniqueKey.Scope.untilStarted.rawValue), .integer(id))
    } catch {
      throw try error.orExhausted(Self.name, of: connection)
    }
  }

  /// A failure as a replay needs it.
  struct Replayable {
    let isFinal: Bool
    let replayedAs: Int64?
    /// The job to enqueue again; nil if the row has no payload.
    let job: NewJob?
  }

  func replayable(_ id: Int64) throws(QudoError) -> Replayable? {
    var found: Replayable?
    try connection.each(
      """
      SELECT final, replayed_as, name, payload, codec, unique_key, unique_scope, rank, meta, concurrency_key, concurrency_limit, grp,
        concurrency_stops, concurrency_rate
      FROM qudo_failure JOIN qudo_kind ON qudo_kind.id = kind WHERE qudo_failure.id = ?
      """, .integer(id)
    ) { row throws(QudoError) in
      found = Replayable(
        isFinal: row.integer(0) != 0, replayedAs: row.isNull(1) ? nil : row.integer(1),
        job: row.isNull(3) ? nil : try Self.job(row))
    }
    return found
  }

  /// Returns the job of a failure. A row written by schema 1 has no scope and gets the default.
  private static func job(_ row: Statement) throws(QudoError) -> NewJob {
    let scope = row.isNull(6) ? .untilFinished : UniqueKey.Scope(rawValue: row.integer(6)) ?? .untilFinished
    return NewJob(
      Kind(row.text(2)), payload: Payload(row.blob(3), codec: CodecID(row.integer(4))),
      unique: row.isNull(5) ? nil : UniqueKey(row.text(5), scope: scope, onConflict: .reject),
      concurrencyKey: row.isNull(9)
        ? nil
        : ConcurrencyKey(
          row.text(9), limit: row.isNull(10) ? 1 : Int(row.integer(10)), rate: try row.rate(13),
          afterFailure: row.isNull(12) ? .goOn : .stop),
      group: row.isNull(11) ? nil : row.text(11), priority: 0 &- Int(row.integer(7)),
      metadata: JobMetadata(bytes: row.blob(8)))
  }

  /// Returns what resolving a failure comes to; nil if it is not there.
  func resolution(of id: Int64) throws(QudoError) -> ResolveResult? {
    var found: ResolveResult?
    try connection.each("SELECT final, replayed_as FROM qudo_failure WHERE id = ?", .integer(id)) {
      row throws(QudoError) in
      found = ResolveResult(
        isFinal: row.integer(0) != 0, replayedAs: row.isNull(1) ? nil : row.integer(1))
    }
    return found
  }

  /// - Parameter job: the new job, or ``FailureRecord/resolved``.
  func setReplayed(_ id: Int64, as job: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_failure SET replayed_as = ? WHERE id = ?", .integer(job), .integer(id))
  }

  /// - Parameter kinds: The numbers of the query's kinds; nil for all.
  func page(_ query: LogQuery, _ kinds: [Int64]?) throws(QudoError) -> [FailureRecord] {
    var found: [FailureRecord] = []
    let payload =
      query.omitsPayloads
      ? "NULL"
      : """
      iif(final, payload, ifnull(payload, (
        SELECT f.payload FROM qudo_failure AS f
        WHERE f.job = qudo_failure.job AND f.id < qudo_failure.id AND f.payload IS NOT NULL ORDER BY f.id DESC LIMIT 1)))
      """
    try log.page(
      "job, kind, reason, message, codec, \(payload), unique_key, rank, attempt, failed_at, final, replayed_as",
      query, kinds, query.failures.map { LogConditions($0) } ?? LogConditions()
    ) { row in
      let replayedAs = row.isNull(13) ? nil : row.integer(13)
      let isResolved = replayedAs == FailureRecord.resolved
      found.append(
        FailureRecord(
          id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
          reason: FailureReason(number: row.integer(4)), message: row.text(5),
          payload: row.isNull(7) ? nil : Payload(row.blob(7), codec: CodecID(row.integer(6))),
          uniqueKey: row.isNull(8) ? nil : row.text(8), priority: 0 &- Int(row.integer(9)),
          attempt: Int(row.integer(10)), failedAt: Timestamp(microseconds: row.integer(11)),
          isFinal: row.integer(12) != 0, replayedAs: isResolved ? nil : replayedAs, isResolved: isResolved))
    }
    return found
  }

  /// Calls `body` with the id, kind, reason and time of each of the newest rows, newest first.
  func newest(_ limit: Int, _ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try connection.each(
      "SELECT id, kind, reason, failed_at FROM qudo_failure ORDER BY id DESC LIMIT ?", .integer(Int64(limit)),
      body: body)
  }

  func counts() throws(QudoError) -> [Int64: Int] { try log.counts() }
  func count(atMost most: Int) throws(QudoError) -> Int { try log.count(atMost: most) }
  func rowsEver() throws(QudoError) -> Int64 { try log.rowsEver() }

  func newestJob(withUniqueKey key: String, kind: Int64) throws(QudoError) -> Int64? {
    try log.newestJob(withUniqueKey: key, kind: kind)
  }

  func prunable(_ options: PruneOptions, now: Timestamp) throws(QudoError) -> ClosedRange<Int64>? {
    try log.prunable(options, &connection.failureLogSize, now: now)
  }
  func delete(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int { try log.delete(ids) }
  func ends() throws(QudoError) -> LogEnds? { try log.ends() }
}

/// `qudo_status`: the status log.
struct StatusTable {
  let connection: Connection
  private static let name: StaticString = "qudo_status"
  private var log: LogTable { LogTable(connection: connection, name: Self.name, endedAt: "ended_at") }

  /// Adds the status of a job that is still there.
  func insert(_ id: Int64, _ status: RunStatus, startedAt: Timestamp, endedAt: Timestamp) throws(QudoError) {
    do throws(QudoError) {
      try connection.run(
        """
        INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
        SELECT id, kind, ?, ?, ?, unique_key, codec, payload FROM qudo_job WHERE id = ?
        """,
        .integer(status.number), .integer(startedAt.microseconds), .integer(endedAt.microseconds),
        .integer(id))
    } catch {
      throw try error.orExhausted(Self.name, of: connection)
    }
  }

  /// - Parameter kinds: The numbers of the query's kinds; nil for all.
  func page(_ query: LogQuery, _ kinds: [Int64]?) throws(QudoError) -> [StatusRecord] {
    var found: [StatusRecord] = []
    try log.page("job, kind, status, codec, payload, unique_key, started_at, ended_at", query, kinds) { row in
      found.append(
        StatusRecord(
          id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
          status: RunStatus(number: row.integer(4)),
          payload: Payload(row.blob(6), codec: CodecID(row.integer(5))),
          uniqueKey: row.isNull(7) ? nil : row.text(7),
          startedAt: Timestamp(microseconds: row.integer(8)), endedAt: Timestamp(microseconds: row.integer(9))
        ))
    }
    return found
  }

  /// Calls `body` with the id, kind, status and times of each of the newest rows, newest first.
  func newest(_ limit: Int, _ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    try connection.each(
      "SELECT id, kind, status, started_at, ended_at FROM qudo_status ORDER BY id DESC LIMIT ?",
      .integer(Int64(limit)), body: body)
  }

  func counts() throws(QudoError) -> [Int64: Int] { try log.counts() }
  func count(atMost most: Int) throws(QudoError) -> Int { try log.count(atMost: most) }

  func newestJob(withUniqueKey key: String, kind: Int64) throws(QudoError) -> Int64? {
    try log.newestJob(withUniqueKey: key, kind: kind)
  }

  func prunable(_ options: PruneOptions, now: Timestamp) throws(QudoError) -> ClosedRange<Int64>? {
    try log.prunable(options, &connection.statusLogSize, now: now)
  }
  func delete(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int { try log.delete(ids) }
  func ends() throws(QudoError) -> LogEnds? { try log.ends() }
}

/// Conditions on the columns of a log.
private struct LogConditions {
  private(set) var all: [String] = []
  private(set) var values: [Value] = []

  init() {}

  init(_ filter: FailureFilter) {
    if let reasons = filter.reasons {
      add(
        "reason IN (\(reasons.map { _ in "?" }.joined(separator: ",")))", reasons.map { .integer($0.number) })
    }
    if let isFinal = filter.isFinal { add("final = ?", [.integer(isFinal ? 1 : 0)]) }
    if let isReplayed = filter.isReplayed {
      add(isReplayed ? "replayed_as <> \(FailureRecord.resolved)" : "replayed_as IS NULL", [])
    }
    if let isResolved = filter.isResolved {
      add("replayed_as IS \(isResolved ? "" : "NOT ")\(FailureRecord.resolved)", [])
    }
    if let times = filter.failedAt {
      add(
        "failed_at >= ? AND failed_at < ?",
        [.integer(times.lowerBound.microseconds), .integer(times.upperBound.microseconds)])
    }
    if let part = filter.messageContains {
      add("instr(CAST(message AS BLOB), ?) > 0", [.blob(Array(part.utf8))])
    }
  }

  private mutating func add(_ condition: String, _ new: [Value]) {
    all.append(condition)
    values += new
  }
}

/// The oldest and the newest row of a log.
struct LogEnds {
  /// The number of rows, or more: some ids between may have none.
  let rows: Int64
  let oldest: Timestamp
  let newest: Timestamp
}

/// What both logs have in common.
///
/// Neither has an index by time, because each insert would pay for it.
private struct LogTable {
  let connection: Connection
  let name: StaticString
  /// The column with the time of the entry.
  let endedAt: StaticString

  /// Calls `body` with the id, the kind's name and the columns of each entry of a page.
  func page(
    _ columns: String, _ query: LogQuery, _ kinds: [Int64]?, _ more: LogConditions = LogConditions(),
    body: (Statement) -> Void
  ) throws(QudoError) {
    let select = "SELECT id, (SELECT name FROM qudo_kind WHERE qudo_kind.id = kind), \(columns) FROM \(name)"
    let order = query.oldestFirst ? "ASC" : "DESC"
    let inKinds = kinds.map { IntegerList($0) }
    guard let ids = query.ids?.filter({ query.isAfter($0) }) else {
      // Select the ids first, so that no payload of a skipped row is read.
      var (conditions, values) = (more.all, more.values)
      if let inKinds {
        conditions.append("kind IN \(inKinds.sql)")
        values += inKinds.values
      }
      if let job = query.job {
        conditions.append("job = ?")
        values.append(.integer(job))
      }
      if let after = query.after {
        conditions.append(query.oldestFirst ? "id > ?" : "id < ?")
        values.append(.integer(after))
      }
      let filter = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
      let page = "SELECT id FROM \(name) \(filter) ORDER BY id \(order) LIMIT ? OFFSET ?"
      try connection.each(
        "\(select) WHERE id IN (\(page)) ORDER BY id \(order)",
        values: values + [.integer(Int64(query.limit)), .integer(Int64(max(query.offset, 0)))]
      ) { row throws(QudoError) in body(row) }
      return
    }
    // In order and in chunks, so that any number of ids is allowed.
    let sorted = query.oldestFirst ? Set(ids).sorted() : Set(ids).sorted(by: >)
    let ofJob = query.job == nil ? "" : "job = ? AND"
    let others = more.all.map { $0 + " AND " }.joined()
    let sql = "\(select) WHERE \(inKinds.inKinds) \(ofJob) \(others) id IN "
    let filters = (inKinds?.values ?? []) + (query.job.map { [.integer($0)] } ?? []) + more.values
    var toSkip = max(query.offset, 0)
    var left = query.limit
    for part in IntegerList.chunks(sorted) where left > 0 {
      try connection.each(
        "\(sql)\(part.sql) ORDER BY id \(order)", values: filters + part.values
      ) { row throws(QudoError) in
        if toSkip > 0 { toSkip -= 1 } else if left > 0 { left -= 1; body(row) }
      }
    }
  }

  /// Returns the number of rows of each kind, by the index that has the kind.
  func counts() throws(QudoError) -> [Int64: Int] {
    var counts: [Int64: Int] = [:]
    try connection.each("SELECT kind, count(*) FROM \(name) GROUP BY kind", values: []) {
      row throws(QudoError) in counts[row.integer(0)] = Int(row.integer(1))
    }
    return counts
  }

  /// Returns the number of rows, up to `most`.
  func count(atMost most: Int) throws(QudoError) -> Int {
    Int(
      try connection.integer(
        "SELECT count(*) FROM (SELECT 1 FROM \(name) LIMIT ?)", values: [.integer(Int64(max(most, 0)))]) ?? 0)
  }

  /// Returns how many rows there ever were, as the ids tell: each row gets the next one.
  func rowsEver() throws(QudoError) -> Int64 {
    max(
      0,
      try connection.integer("SELECT seq FROM sqlite_sequence WHERE name = ?", values: [.text("\(name)")])
        ?? 0)
  }

  /// Returns the highest number of a job with a unique key.
  func newestJob(withUniqueKey key: String, kind: Int64) throws(QudoError) -> Int64? {
    try connection.integer(
      "SELECT max(job) FROM \(name) WHERE kind = ? AND unique_key = ?", values: [.integer(kind), .text(key)])
  }

  /// Returns the ids of the oldest entries that may be deleted; nil for none.
  func prunable(_ options: PruneOptions, _ size: inout LogSize, now: Timestamp) throws(QudoError)
    -> ClosedRange<Int64>?
  {
    guard options.limit > 0, let oldest = try entry(.oldest), let newest = try entry(.newest) else {
      return nil
    }
    let end = options.end(at: now)?.microseconds ?? .max
    guard oldest.time < end,
      let surplus = try size.surplus(beyond: options.keep, oldest: oldest.id, newest: newest.id, in: self)
    else { return nil }
    var last: Int64?
    var isAtEnd = false
    try connection.each(
      "SELECT id, \(endedAt) FROM \(name) WHERE id <= ? ORDER BY id LIMIT ?",
      values: [.integer(surplus), .integer(Int64(options.limit))]
    ) { row throws(QudoError) in
      isAtEnd = isAtEnd || row.integer(1) >= end
      if !isAtEnd { last = row.integer(0) }
    }
    return last.map { oldest.id...$0 }
  }

  func ends() throws(QudoError) -> LogEnds? {
    guard let oldest = try entry(.oldest), let newest = try entry(.newest) else { return nil }
    return LogEnds(
      rows: newest.id.clampedMinus(oldest.id).clampedPlus(1), oldest: Timestamp(microseconds: oldest.time),
      newest: Timestamp(microseconds: newest.time))
  }

  private enum End: String { case oldest = "ASC", newest = "DESC" }

  private func entry(_ end: End) throws(QudoError) -> (id: Int64, time: Int64)? {
    var found: (id: Int64, time: Int64)?
    try connection.each("SELECT id, \(endedAt) FROM \(name) ORDER BY id \(end.rawValue) LIMIT 1", values: [])
    {
      row throws(QudoError) in found = (row.integer(0), row.integer(1))
    }
    return found
  }

  /// - Returns: How many entries there were.
  func delete(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int {
    try connection.run(
      "DELETE FROM \(name) WHERE id BETWEEN ? AND ?",
      values: [.integer(ids.lowerBound), .integer(ids.upperBound)])
    return connection.changes
  }
}

extension LogTable: LogRows {
  func all() throws(QudoError) -> (count: Int, oldest: Int64, newest: Int64) {
    // By itself, so that SQLite counts whole pages of the smallest index.
    let count = try connection.integer("SELECT count(*) FROM \(name)", values: []) ?? 0
    return (Int(count), try entry(.oldest)?.id ?? 0, try entry(.newest)?.id ?? 0)
  }

  func count(_ ids: ClosedRange<Int64>) throws(QudoError) -> Int {
    let count = try connection.integer(
      "SELECT count(*) FROM \(name) WHERE id BETWEEN ? AND ?",
      values: [.integer(ids.lowerBound), .integer(ids.upperBound)])
    return Int(count ?? 0)
  }

  func id(_ offset: Int, from first: Int64) throws(QudoError) -> Int64? {
    try connection.integer(
      "SELECT id FROM \(name) WHERE id >= ? ORDER BY id LIMIT 1 OFFSET ?",
      values: [.integer(first), .integer(Int64(offset))])
  }
}
