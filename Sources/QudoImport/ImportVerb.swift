internal import Qudo
internal import QudoSQLite

extension PerlQudoFile {
  /// - Parameter tables: Of the new file.
  func planImport(_ tables: ImportTables) throws(QudoError) -> ImportReport {
    let record = try ImportRecord(tables, self)
    var rows: [ImportReport.Row] = []
    try each { row throws(QudoError) in
      rows.append(row.report(try record.outcome(of: row) ?? .importable))
    }
    return ImportReport(source: source, rows: rows)
  }
}

extension ImportTransaction {
  func importAll(_ file: PerlQudoFile) throws(QudoError) -> ImportReport {
    var record = try ImportRecord(tables, file)
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
    let kind = try kind(creating: row.kind)
    switch row.content {
    case .kind: return kind
    case .job(let job): return try store(job, kind, options)
    case .failure(let failure): return try store(failure, kind)
    case .status(let status):
      return try insertStatus(
        kind: kind, payload: status.payload, uniqueKey: status.uniqueKey, status: status.status,
        startedAt: Timestamp(microseconds: status.started), endedAt: Timestamp(microseconds: status.ended))
    }
  }

  /// Stores a job. A grabbed job may be running, so it waits until the grab expires, as in the old queue.
  private func store(_ job: PerlJob, _ kind: Int64, _ options: ImportOptions) throws(QudoError) -> Int64 {
    let isHeld = !options.ignoresGrabs && job.grabbedUntil > now.microseconds
    let due = isHeld ? max(job.runAfter, job.grabbedUntil) : job.runAfter
    return try insertJob(
      kind: kind, payload: job.payload, uniqueKey: job.uniqueKey, priority: job.priority,
      attempt: job.attempt, enqueuedAt: Timestamp(microseconds: job.enqueued),
      dueAt: Timestamp(microseconds: due))
  }

  /// Stores a failure as final, so that it can be replayed.
  ///
  /// The old log records every failed run with its argument, and does not say which run was the last one; each could
  /// be enqueued again. It names neither the job nor the job that a replay created. The message is stored byte for
  /// byte even if it is not UTF-8.
  private func store(_ failure: PerlFailure, _ kind: Int64) throws(QudoError) -> Int64 {
    try insertFailure(
      kind: kind, payload: failure.payload, uniqueKey: failure.uniqueKey, message: failure.message,
      failedAt: Timestamp(microseconds: failure.failed), isReplayed: failure.isReplayed)
  }
}
