#if MySQL
internal import Qudo
internal import QudoSQLSupport

extension Transaction {
  func failures(_ query: LogQuery) throws(QudoError) -> [FailureRecord] {
    try list(
      of: query.omitsPayloads ? .failureWithoutPayload : .failure, query,
      query.failures.map { Self.conditions($0) } ?? []
    ) { FailureRecord($0) }
  }

  func statuses(_ query: LogQuery) throws(QudoError) -> [StatusRecord] {
    try list(of: .status, query, []) { StatusRecord($0) }
  }

  private static func conditions(_ filter: FailureFilter) -> [SQL] {
    var all: [SQL] = []
    if let reasons = filter.reasons {
      let numbers = reasons.map { reason -> SQL in "\(reason.number)" }
      all.append(numbers.isEmpty ? "FALSE" : "reason IN (\(numbers.joined(",")))")
    }
    if let isFinal = filter.isFinal { all.append("final = \(isFinal ? 1 : 0)") }
    if let isReplayed = filter.isReplayed {
      all.append(isReplayed ? "replayed_as <> \(FailureRecord.resolved)" : "replayed_as IS NULL")
    }
    if let isResolved = filter.isResolved {
      all.append("\(isResolved ? "" : "NOT " as SQL)(replayed_as <=> \(FailureRecord.resolved))")
    }
    if let times = filter.failedAt {
      all.append(
        "failed_at >= \(times.lowerBound.microseconds) AND failed_at < \(times.upperBound.microseconds)")
    }
    if let part = filter.messageContains { all.append("INSTR(message, \(Array(part.utf8))) > 0") }
    return all
  }

  /// Reads a page of a log. Calls `body` with each row.
  private func list<Record>(
    of log: LogTable, _ query: LogQuery, _ more: [SQL], body: (Row) -> Record
  ) throws(QudoError) -> [Record] {
    guard query.limit > 0 else { return [] }
    let kinds = try numbers(of: query.kinds)
    guard kinds?.isEmpty != true else { return [] }
    let order: SQL = query.oldestFirst ? "ASC" : "DESC"
    let offset = max(query.offset, 0)
    guard let ids = query.ids?.filter({ query.isAfter($0) }) else {
      // Select the ids first, so that the payloads of skipped rows are not read.
      var conditions = more + (kinds.map { ["kind IN \(list: $0)"] } ?? [])
      if let job = query.job { conditions.append("job = \(job)") }
      if let after = query.after { conditions.append(query.oldestFirst ? "id > \(after)" : "id < \(after)") }
      let filter: SQL = conditions.isEmpty ? "" : "WHERE \(conditions.joined(" AND "))"
      return try look(
        """
        \(log.select) JOIN (SELECT id FROM \(log.name) \(filter) ORDER BY id \(order) LIMIT \(query.limit) OFFSET \(offset)) AS page
        ON page.id = l.id ORDER BY l.id \(order)
        """
      ).map(body)
    }
    // Read the ids in order, one part at a time, so that a query may name any number of ids.
    var filter: SQL = kinds.map { " AND l.kind IN \(list: $0)" } ?? ""
    if let job = query.job { filter += " AND l.job = \(job)" }
    for condition in more { filter += " AND \(condition)" }
    let sorted = query.oldestFirst ? Set(ids).sorted() : Set(ids).sorted(by: >)
    var found: [Record] = []
    for part in sorted.parts() where found.count - offset < query.limit {
      found += try look("\(log.select) WHERE l.id IN \(list: part)\(filter) ORDER BY l.id \(order)").map(body)
    }
    return Array(found.dropFirst(offset).prefix(query.limit))
  }
}

/// A log, and how its rows are read.
struct LogTable {
  let name: SQL
  /// The query for rows, up to the WHERE clause: the id, the kind's name, and the columns of a record. The log is
  /// `l`.
  let select: SQL

  private init(_ name: SQL, _ columns: SQL) {
    self.name = name
    select = "SELECT l.id, k.name, \(columns) FROM \(name) AS l JOIN qudo_kind AS k ON k.id = l.kind"
  }

  /// Returns the query for the newest row of each of these jobs. It finds the ids in the index by job alone.
  func newest(of jobs: ArraySlice<Int64>) -> SQL {
    """
    \(select) JOIN (SELECT MAX(id) AS id FROM \(name) WHERE job IN \(list: jobs) GROUP BY job) AS newest ON newest.id = l.id
    """
  }

  static let failure = LogTable(
    "qudo_failure",
    """
    job, l.kind, reason, message, codec, IF(l.final, l.payload, IFNULL(l.payload, (
      SELECT f.payload FROM qudo_failure AS f WHERE f.job = l.job AND f.id < l.id AND f.payload IS NOT NULL ORDER BY f.id DESC LIMIT 1))),
    unique_key, ranking, attempt, failed_at, final, replayed_as
    """)
  static let failureWithoutPayload = LogTable(
    "qudo_failure",
    "job, l.kind, reason, message, codec, NULL, unique_key, ranking, attempt, failed_at, final, replayed_as")
  static let status = LogTable(
    "qudo_status", "job, l.kind, status, codec, payload, unique_key, started_at, ended_at")
}

extension FailureRecord {
  /// - Parameter row: The columns of ``LogTable/failure``.
  init(_ row: Row) {
    let replayedAs = row.integerIfAny(13)
    let isResolved = replayedAs == Self.resolved
    self.init(
      id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
      reason: FailureReason(number: row.integer(4)),
      message: row.text(5), payload: row.bytesIfAny(7).map { Payload($0, codec: CodecID(row.integer(6))) },
      uniqueKey: row.textIfAny(8), priority: 0 &- Int(row.integer(9)), attempt: Int(row.integer(10)),
      failedAt: Timestamp(microseconds: row.integer(11)), isFinal: row.integer(12) != 0,
      replayedAs: isResolved ? nil : replayedAs, isResolved: isResolved)
  }
}

extension StatusRecord {
  /// - Parameter row: The columns of ``LogTable/status``.
  init(_ row: Row) {
    self.init(
      id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
      status: RunStatus(number: row.integer(4)),
      payload: Payload(row.bytes(6), codec: CodecID(row.integer(5))), uniqueKey: row.textIfAny(7),
      startedAt: Timestamp(microseconds: row.integer(8)), endedAt: Timestamp(microseconds: row.integer(9)))
  }
}
#endif
