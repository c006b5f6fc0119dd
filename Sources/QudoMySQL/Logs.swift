#if MySQL
internal import Qudo

extension Transaction {
  func failures(_ query: LogQuery) throws(QudoError) -> [FailureRecord] {
    try list(
      "job, l.kind, reason, message, codec, payload, unique_key, ranking, attempt, failed_at, final, replayed_as",
      of: "qudo_failure", query
    ) { row in
      FailureRecord(
        id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
        reason: FailureReason(number: row.integer(4)),
        message: row.text(5), payload: row.bytesIfAny(7).map { Payload($0, codec: CodecID(row.integer(6))) },
        uniqueKey: row.textIfAny(8), priority: 0 &- Int(row.integer(9)), attempt: Int(row.integer(10)),
        failedAt: Timestamp(microseconds: row.integer(11)), isFinal: row.integer(12) != 0,
        replayedAs: row.integerIfAny(13))
    }
  }

  func statuses(_ query: LogQuery) throws(QudoError) -> [StatusRecord] {
    try list(
      "job, l.kind, status, codec, payload, unique_key, started_at, ended_at", of: "qudo_status", query
    ) { row in
      StatusRecord(
        id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
        status: RunStatus(number: row.integer(4)),
        payload: Payload(row.bytes(6), codec: CodecID(row.integer(5))), uniqueKey: row.textIfAny(7),
        startedAt: Timestamp(microseconds: row.integer(8)), endedAt: Timestamp(microseconds: row.integer(9)))
    }
  }

  /// Reads a page of a log. Calls `body` with the id, the kind's name and the columns of each row.
  private func list<Record>(_ columns: SQL, of table: SQL, _ query: LogQuery, body: (Row) -> Record)
    throws(QudoError) -> [Record]
  {
    guard query.limit > 0 else { return [] }
    let kinds = try numbers(of: query.kinds)
    guard kinds?.isEmpty != true else { return [] }
    let select: SQL =
      "SELECT l.id, k.name, \(columns) FROM \(table) AS l JOIN qudo_kind AS k ON k.id = l.kind"
    let order: SQL = query.oldestFirst ? "ASC" : "DESC"
    let offset = max(query.offset, 0)
    guard let ids = query.ids?.filter({ query.isAfter($0) }) else {
      // Select the ids first, so that the payloads of skipped rows are not read.
      var conditions: [SQL] = kinds.map { ["kind IN \(list: $0)"] } ?? []
      if let after = query.after { conditions.append(query.oldestFirst ? "id > \(after)" : "id < \(after)") }
      let filter: SQL = conditions.isEmpty ? "" : "WHERE \(conditions.joined(" AND "))"
      return try look(
        """
        \(select) JOIN (SELECT id FROM \(table) \(filter) ORDER BY id \(order) LIMIT \(query.limit) OFFSET \(offset)) AS page
        ON page.id = l.id ORDER BY l.id \(order)
        """
      ).map(body)
    }
    // Read the ids in order, one part at a time, so that a query may name any number of ids.
    let filter: SQL = kinds.map { "AND l.kind IN \(list: $0)" } ?? ""
    let sorted = query.oldestFirst ? Set(ids).sorted() : Set(ids).sorted(by: >)
    var found: [Record] = []
    for part in sorted.parts() where found.count - offset < query.limit {
      found += try look("\(select) WHERE l.id IN \(list: part) \(filter) ORDER BY l.id \(order)").map(body)
    }
    return Array(found.dropFirst(offset).prefix(query.limit))
  }
}
#endif
