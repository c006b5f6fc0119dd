internal import CSQLite
internal import Qudo

extension Snapshot {
  func planImport(_ file: PerlQudoFile) throws(QudoError) -> ImportReport {
    let record = try ImportRecord(connection, file)
    var rows: [ImportReport.Row] = []
    try file.each { row throws(QudoError) in
      rows.append(row.report(try record.outcome(of: row) ?? .importable))
    }
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

  /// Writes a row.
  ///
  /// - Returns: The row's id in this file.
  private func store(_ row: PerlRow, _ options: ImportOptions) throws(QudoError) -> Int64 {
    let kind = try kindTable.id(creating: row.kind)
    switch row.content {
    case .kind: return kind
    case .job(let job): return try store(job, kind, options)
    case .failure(let failure): return try store(failure, kind)
    case .status(let status): return try store(status, kind)
    }
  }

  /// Stores a job. A grabbed job may be running, so it waits until the grab expires, as in the old queue.
  private func store(_ job: PerlJob, _ kind: Int64, _ options: ImportOptions) throws(QudoError) -> Int64 {
    let isHeld = !options.ignoresGrabs && job.grabbedUntil > now.wall.microseconds
    let due = isHeld ? max(job.runAfter, job.grabbedUntil) : job.runAfter
    let id = try nextID()
    try connection.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload)
      VALUES(?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)
      """,
      .integer(id), .integer(kind), .integer(-job.priority), .integer(due), .integer(job.enqueued),
      .integer(job.attempt),
      .integer(job.payload.codec.number), .text(job.uniqueKey), scope(job.uniqueKey), .blob(job.payload.bytes)
    )
    try insertWaiting(
      id, Delay(Due.at(Timestamp(microseconds: due)), now.wall), kind: kind, rank: -job.priority)
    return id
  }

  /// Stores a failure as final, so that it can be replayed.
  ///
  /// The old log records every failed run with its argument, and does not say which run was the last one; each could
  /// be enqueued again. It names neither the job nor the job that a replay created, so both are 0, which is never a
  /// job's id. The message is stored byte for byte even if it is not UTF-8.
  private func store(_ failure: PerlFailure, _ kind: Int64) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, payload, replayed_as)
      VALUES(0, ?, 0, ?, ?, 1, CAST(? AS TEXT), 0, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(failure.failed), .integer(FailureReason.failed.number), .blob(failure.message),
      .text(failure.uniqueKey),
      scope(failure.uniqueKey), .integer(failure.payload.codec.number), .blob(failure.payload.bytes),
      failure.isReplayed ? 0 : .null)
    return sqlite3_last_insert_rowid(connection.handle)
  }

  private func store(_ status: PerlStatus, _ kind: Int64) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload) VALUES(0, ?, ?, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(status.status.number), .integer(status.started), .integer(status.ended),
      .text(status.uniqueKey),
      .integer(status.payload.codec.number), .blob(status.payload.bytes))
    return sqlite3_last_insert_rowid(connection.handle)
  }

  private func scope(_ uniqueKey: String?) -> Value {
    uniqueKey == nil ? .null : .integer(UniqueKey.Scope.untilFinished.rawValue)
  }
}
