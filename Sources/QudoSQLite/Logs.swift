internal import Qudo

extension Snapshot {
  func failures(_ query: LogQuery) throws(QudoError) -> [FailureRecord] {
    var found: [FailureRecord] = []
    try list(
      "job, kind, reason, message, codec, payload, unique_key, rank, attempt, failed_at, final, replayed_as",
      of: "qudo_failure", query
    ) { row in
      found.append(
        FailureRecord(
          id: row.integer(0), job: row.integer(2), kind: Kind(row.text(1)),
          reason: FailureReason(number: row.integer(4)),
          message: row.text(5),
          payload: row.isNull(7) ? nil : Payload(row.blob(7), codec: CodecID(row.integer(6))),
          uniqueKey: row.isNull(8) ? nil : row.text(8), priority: 0 &- Int(row.integer(9)),
          attempt: Int(row.integer(10)),
          failedAt: Timestamp(microseconds: row.integer(11)), isFinal: row.integer(12) != 0,
          replayedAs: row.isNull(13) ? nil : row.integer(13)))
    }
    return found
  }

  func statuses(_ query: LogQuery) throws(QudoError) -> [StatusRecord] {
    var found: [StatusRecord] = []
    try list("job, kind, status, codec, payload, unique_key, started_at, ended_at", of: "qudo_status", query)
    { row in
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

  /// Calls `body` with the id, the kind's name and the columns of each row of the page.
  private func list(_ columns: String, of table: String, _ query: LogQuery, body: (Statement) -> Void)
    throws(QudoError)
  {
    guard query.limit > 0 else { return }
    let kinds = try numbers(of: query.kinds)
    guard kinds?.isEmpty != true else { return }
    let select = "SELECT id, (SELECT name FROM qudo_kind WHERE qudo_kind.id = kind), \(columns) FROM \(table)"
    let order = query.oldestFirst ? "ASC" : "DESC"
    let inKinds = kinds.map { IntegerList($0) }
    guard let ids = query.ids?.filter({ query.isAfter($0) }) else {
      // Select the ids first, so that no payload of a skipped row is read.
      var conditions: [String] = []
      var values: [Value] = []
      if let inKinds {
        conditions.append("kind IN \(inKinds.sql)")
        values += inKinds.values
      }
      if let after = query.after {
        conditions.append(query.oldestFirst ? "id > ?" : "id < ?")
        values.append(.integer(after))
      }
      let filter = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
      let page = "SELECT id FROM \(table) \(filter) ORDER BY id \(order) LIMIT ? OFFSET ?"
      try connection.each(
        "\(select) WHERE id IN (\(page)) ORDER BY id \(order)",
        values: values + [.integer(Int64(query.limit)), .integer(Int64(max(query.offset, 0)))]
      ) { row throws(QudoError) in body(row) }
      return
    }
    // In order and in chunks, so that any number of ids is allowed.
    let sorted = query.oldestFirst ? Set(ids).sorted() : Set(ids).sorted(by: >)
    let sql = "\(select) WHERE \(inKinds.map { "kind IN \($0.sql) AND " } ?? "")id IN "
    var toSkip = max(query.offset, 0)
    var left = query.limit
    for start in stride(from: 0, to: sorted.count, by: Self.chunk) where left > 0 {
      let part = IntegerList(Array(sorted[start..<min(start + Self.chunk, sorted.count)]))
      try connection.each(
        "\(sql)\(part.sql) ORDER BY id \(order)", values: (inKinds?.values ?? []) + part.values
      ) { row throws(QudoError) in
        if toSkip > 0 { toSkip -= 1 } else if left > 0 { left -= 1; body(row) }
      }
    }
  }
}
