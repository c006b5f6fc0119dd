internal import CSQLite
internal import Qudo

extension Snapshot {
  func planImport(_ file: PerlQudoFile) throws(QudoError) -> ImportReport {
    let record = try ImportRecord(connection, file)
    var rows: [ImportReport.Row] = []
    try file.each { row throws(QudoError) in rows.append(row.report(try record.outcome(of: row) ?? .importable)) }
    return ImportReport(source: file.source, rows: rows)
  }
}

extension Transaction {
  func importAll(_ file: PerlQudoFile) throws(QudoError) -> ImportReport {
    var record = try ImportRecord(connection, file)
    var rows: [ImportReport.Row] = []
    try file.each { row throws(QudoError) in
      if let outcome = try record.outcome(of: row) { return rows.append(row.report(outcome)) }
      let id = try store(row, file.options)
      try record.add(row, as: id)
      rows.append(row.report(.imported(id)))
    }
    return ImportReport(source: file.source, rows: rows)
  }

  /// - Returns: its id in this file.
  private func store(_ row: PerlRow, _ options: ImportOptions) throws(QudoError) -> Int64 {
    let kind = try connection.kindID(creating: row.kind)
    switch row.content {
    case .kind: return kind
    case .job(let job): return try store(job, kind, options)
    case .failure(let failure): return try store(failure, kind)
    case .status(let status): return try store(status, kind)
    }
  }

  /// What somebody has grabbed waits until the grab ends, as it would have there: it may be running.
  private func store(_ job: PerlJob, _ kind: Int64, _ options: ImportOptions) throws(QudoError) -> Int64 {
    let isHeld = !options.ignoresGrabs && job.grabbedUntil > now.wall.microseconds
    let due = isHeld ? max(job.runAfter, job.grabbedUntil) : job.runAfter
    let id = try nextID()
    try connection.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload)
      VALUES(?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)
      """,
      .integer(id), .integer(kind), .integer(-job.priority), .integer(due), .integer(job.enqueued), .integer(job.attempt),
      .integer(job.payload.codec.number), .text(job.uniqueKey), scope(job.uniqueKey), .blob(job.payload.bytes))
    try insertWaiting(id, Delay(Due.at(Timestamp(microseconds: due)), now.wall), kind: kind, rank: -job.priority)
    return id
  }

  /// The old log has each failed run with its argument, each can be enqueued again, and nothing says whether it was the
  /// last one: so are they here. Of which job, and as which job it was enqueued again, is not in it; 0 was never a job.
  ///
  /// A message that is not UTF-8 stays as it is in the file.
  private func store(_ failure: PerlFailure, _ kind: Int64) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, payload, replayed_as)
      VALUES(0, ?, 0, ?, ?, 1, CAST(? AS TEXT), 0, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(failure.failed), .integer(FailureReason.failed.number), .blob(failure.message), .text(failure.uniqueKey),
      scope(failure.uniqueKey), .integer(failure.payload.codec.number), .blob(failure.payload.bytes), failure.isReplayed ? 0 : .null)
    return sqlite3_last_insert_rowid(connection.handle)
  }

  private func store(_ status: PerlStatus, _ kind: Int64) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload) VALUES(0, ?, ?, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(status.status.number), .integer(status.started), .integer(status.ended), .text(status.uniqueKey),
      .integer(status.payload.codec.number), .blob(status.payload.bytes))
    return sqlite3_last_insert_rowid(connection.handle)
  }

  private func scope(_ uniqueKey: String?) -> Value {
    uniqueKey == nil ? .null : .integer(UniqueKey.Scope.untilFinished.rawValue)
  }
}
