internal import Qudo
internal import QudoSQLite

/// A reader that converts an old file row by row.
struct PerlReader {
  let database: ForeignFile
  let options: ImportOptions

  /// - Parameters:
  ///   - body: Called with each row that can be imported.
  ///   - refused: Called for each other row, with its table, its id and the reason.
  func each(_ body: (PerlRow) throws(QudoError) -> Void, refused: (String) throws(QudoError) -> Void)
    throws(QudoError)
  {
    var kinds: [Int64: Kind] = [:]
    for table in ImportReport.Table.allCases {
      let columns = table.columns.joined(separator: ", ")
      try database.each("SELECT \(columns) FROM \(table.rawValue) ORDER BY id") {
        row throws(QudoError) in
        let id = row.integer(0)
        let read: PerlRow
        do throws(PerlRefusal) {
          read = try self.row(
            PerlValues(row: row, columns: table.columns, options: options), table, id, kinds)
        } catch {
          return try refused("\(table.rawValue) \(id): \(error.reason)")
        }
        if table == .func { kinds[id] = read.kind }
        try body(read)
      }
    }
  }

  private func row(
    _ values: PerlValues, _ table: ImportReport.Table, _ id: Int64, _ kinds: [Int64: Kind]
  ) throws(PerlRefusal) -> PerlRow {
    if table == .func { return PerlRow(table: table, id: id, kind: try values.kind("name"), content: .kind) }
    let number = try values.integer("func_id", in: Int64.min...Int64.max)
    guard let kind = kinds[number] else {
      throw PerlRefusal("func_id is \(number), but func has no importable row with that id")
    }
    let content: PerlRow.Content =
      switch table {
      case .func: .kind
      case .job: .job(try job(values))
      case .exceptionLog: .failure(try failure(values))
      case .jobStatus: .status(try status(values))
      }
    return PerlRow(table: table, id: id, kind: kind, content: content)
  }

  private func job(_ values: PerlValues) throws(PerlRefusal) -> PerlJob {
    let runAfter = try values.time("run_after")
    return PerlJob(
      payload: try values.payload(), uniqueKey: try values.uniqueKey(),
      // The Perl Qudo always writes enqueue_time, but the column may be NULL.
      enqueued: try values.isNull("enqueue_time") ? runAfter : values.time("enqueue_time"),
      runAfter: runAfter,
      grabbedUntil: try values.time("grabbed_until"),
      attempt: try values.integer("retry_cnt", in: 0...Int64(Int32.max)) + 1,
      priority: try values.integer(
        "priority", in: Int64(Limits.priorities.lowerBound)...Int64(Limits.priorities.upperBound)))
  }

  private func failure(_ values: PerlValues) throws(PerlRefusal) -> PerlFailure {
    guard let message = values.bytes("message") else { throw PerlRefusal("message is NULL") }
    return PerlFailure(
      payload: try values.payload(), uniqueKey: try values.uniqueKey(),
      failed: try values.time("exception_time"), message: message,
      isReplayed: try values.integer("retried", in: Int64.min...Int64.max) != 0)
  }

  private func status(_ values: PerlValues) throws(PerlRefusal) -> PerlStatus {
    let status: RunStatus
    switch values.bytes("status").map({ String(decoding: $0, as: UTF8.self) }) {
    case "completed": status = .completed
    case "failed": status = .failed
    case "abort": status = .aborted
    case let other:
      throw PerlRefusal("status is \(other?.debugDescription ?? "NULL"), not completed, failed or abort")
    }
    return PerlStatus(
      payload: try values.payload(), uniqueKey: try values.uniqueKey(), status: status,
      started: try values.time("job_start_time"),
      ended: try values.time("job_end_time"))
  }
}
