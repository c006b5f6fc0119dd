internal import Qudo

/// The conditions of a filter on the columns of `qudo_job`, but for ids, kinds and states. A job that meets them may still
/// lack entries of the metadata: see ``JobFilter/metadataBytes``. `Find.swift` of QudoMySQL has the same conditions.
struct JobConditions {
  /// Conditions with an AND after each.
  private(set) var sql = ""
  private(set) var values: [Value] = []

  init(_ filter: JobFilter) {
    if let prefix = filter.uniqueKeyPrefix {
      let bytes = Array(prefix.utf8)
      add("substr(CAST(unique_key AS BLOB), 1, ?) = ?", .integer(Int64(bytes.count)), .blob(bytes))
    }
    if let key = filter.concurrencyKey { add("concurrency_key = ?", .text(key)) }
    if let group = filter.group {
      add(GroupTable.isOfGroup, .text(group))
    }
    if let ranks = filter.ranks {
      add("rank BETWEEN ? AND ?", .integer(ranks.lowerBound), .integer(ranks.upperBound))
    }
    if let times = filter.enqueuedAt { add("enqueued", times) }
    if let times = filter.dueAt { add("due", times) }
    if let bytes = filter.payloadContains { add("instr(payload, ?) > 0", .blob(bytes)) }
    for bytes in filter.metadataBytes { add("instr(meta, ?) > 0", .blob(bytes)) }
  }

  private mutating func add(_ column: String, _ times: Range<Timestamp>) {
    add(
      "\(column) >= ? AND \(column) < ?", .integer(times.lowerBound.microseconds),
      .integer(times.upperBound.microseconds))
  }

  private mutating func add(_ condition: String, _ new: Value...) {
    sql += "\(condition) AND "
    values += new
  }
}
