package import Qudo
internal import QudoSQLSupport

/// `qudo_import_source` and `qudo_import`: the imported rows: where each came from, and its row in this file.
package struct ImportTables {
  let connection: Connection

  /// Returns the number of a source, or nil if nothing was imported from it.
  package func source(named name: String) throws(QudoError) -> Int64? {
    try connection.integer("SELECT id FROM qudo_import_source WHERE name = ?", .text(name))
  }

  /// Returns all sources, in the order of their first imports.
  package func sources() throws(QudoError) -> [(number: Int64, name: String)] {
    var known: [(number: Int64, name: String)] = []
    try connection.each("SELECT id, name FROM qudo_import_source ORDER BY id") { row throws(QudoError) in
      known.append((row.integer(0), row.text(1)))
    }
    return known
  }

  /// Adds a source and returns its number.
  package func addSource(_ name: String) throws(QudoError) -> Int64 {
    let highest = try connection.integer("SELECT max(id) FROM qudo_import_source") ?? 0
    guard highest < .max else {
      throw QudoError(.corrupt, "qudo_import_source has no free id: another program modified the file")
    }
    let number = highest + 1
    try connection.run("INSERT INTO qudo_import_source(name, id) VALUES(?, ?)", .text(name), .integer(number))
    return number
  }

  /// Returns the number and the fingerprint of an imported row, or nil if it was not imported.
  package func row(_ old: Int64, of origin: Int64, in source: Int64)
    throws(QudoError) -> (new: Int64, print: Int64)?
  {
    var found: (new: Int64, print: Int64)?
    try connection.each(
      "SELECT new, print FROM qudo_import WHERE source = ? AND origin = ? AND old = ?", .integer(source),
      .integer(origin), .integer(old)
    ) { row throws(QudoError) in found = (row.integer(0), row.integer(1)) }
    return found
  }

  /// Records that a row of a source's table was imported.
  package func add(_ old: Int64, of origin: Int64, in source: Int64, as new: Int64, print: Int64)
    throws(QudoError)
  {
    try connection.run(
      "INSERT INTO qudo_import(source, origin, old, new, print) VALUES(?, ?, ?, ?, ?)", .integer(source),
      .integer(origin), .integer(old), .integer(new), .integer(print))
  }

  /// Returns the id of the unfinished job that holds a unique key.
  package func holder(of key: String, kind: Kind) throws(QudoError) -> Int64? {
    guard let kind = try connection.kindTable.id(of: kind) else { return nil }
    return try connection.jobTable.holder(of: key, kind: kind)
  }
}

extension JobTable {
  func insertImported(
    _ id: Int64, kind: Int64, rank: Int64, dueAt: Timestamp, enqueuedAt: Timestamp, attempt: Int64,
    uniqueKey: String?, _ payload: Payload
  ) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload)
      VALUES(?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)
      """,
      .integer(id), .integer(kind), .integer(rank), .integer(dueAt.microseconds),
      .integer(enqueuedAt.microseconds), .integer(attempt), .integer(payload.codec.number), .text(uniqueKey),
      importedScope(uniqueKey), .blob(payload.bytes))
  }
}

extension FailureTable {
  /// The job and the replaying job are unknown: both are 0, which is never a job's id.
  func insertImported(
    kind: Int64, message: [UInt8], failedAt: Timestamp, isReplayed: Bool, uniqueKey: String?,
    _ payload: Payload
  ) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_failure(
        job, kind, attempt, failed_at, reason, final, message, rank, unique_key, unique_scope, codec, payload, replayed_as)
      VALUES(0, ?, 0, ?, ?, 1, CAST(? AS TEXT), 0, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(failedAt.microseconds), .integer(FailureReason.failed.number), .blob(message),
      .text(uniqueKey), importedScope(uniqueKey), .integer(payload.codec.number), .blob(payload.bytes),
      isReplayed ? 0 : .null)
    return connection.lastInsertedRow
  }
}

extension StatusTable {
  /// The job is unknown: 0, which is never a job's id.
  func insertImported(
    kind: Int64, _ status: RunStatus, startedAt: Timestamp, endedAt: Timestamp, uniqueKey: String?,
    _ payload: Payload
  ) throws(QudoError) -> Int64 {
    try connection.run(
      """
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      VALUES(0, ?, ?, ?, ?, ?, ?, ?)
      """,
      .integer(kind), .integer(status.number), .integer(startedAt.microseconds),
      .integer(endedAt.microseconds), .text(uniqueKey), .integer(payload.codec.number), .blob(payload.bytes))
    return connection.lastInsertedRow
  }
}

private func importedScope(_ uniqueKey: String?) -> Value {
  uniqueKey == nil ? .null : .integer(UniqueKey.Scope.untilFinished.rawValue)
}
