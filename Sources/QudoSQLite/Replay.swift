internal import Qudo

extension Transaction {
  func replay(_ failures: [Int64]) throws(QudoError) -> [ReplayResult] {
    var results: [ReplayResult] = []
    for id in failures { results.append(try replay(id)) }
    return results
  }

  private func replay(_ id: Int64) throws(QudoError) -> ReplayResult {
    guard let row = try failure(id) else { return .notFound }
    if let job = row.replayedAs {
      effects.tellsOfOthers = true
      return .alreadyReplayed(job)
    }
    guard row.isFinal, let job = row.job else { return .notFinal }
    switch try insert([job]).first {
    case .inserted(let job):
      try connection.run("UPDATE qudo_failure SET replayed_as = ? WHERE id = ?", .integer(job), .integer(id))
      return .replayed(job)
    case let other: return .conflict(other?.id ?? 0)
    }
  }

  private struct Failure {
    let isFinal: Bool
    let replayedAs: Int64?
    /// The job to enqueue again. Nil if the failure is not final: then `qudo_job` still has the payload.
    let job: NewJob?
  }

  private func failure(_ id: Int64) throws(QudoError) -> Failure? {
    var found: Failure?
    try connection.each(
      """
      SELECT final, replayed_as, name, payload, codec, unique_key, unique_scope, rank, meta
      FROM qudo_failure JOIN qudo_kind ON qudo_kind.id = kind WHERE qudo_failure.id = ?
      """, .integer(id)
    ) { row throws(QudoError) in
      found = Failure(
        isFinal: row.integer(0) != 0, replayedAs: row.isNull(1) ? nil : row.integer(1),
        job: row.isNull(3) ? nil : job(row))
    }
    return found
  }

  /// Returns the job of a failure. A row written by schema 1 has no scope and gets the default.
  private func job(_ row: Statement) -> NewJob {
    let scope = row.isNull(6) ? .untilFinished : UniqueKey.Scope(rawValue: row.integer(6)) ?? .untilFinished
    return NewJob(
      Kind(row.text(2)), payload: Payload(row.blob(3), codec: CodecID(row.integer(4))),
      unique: row.isNull(5) ? nil : UniqueKey(row.text(5), scope: scope, onConflict: .reject),
      priority: 0 &- Int(row.integer(7)),
      metadata: JobMetadata(bytes: row.blob(8)))
  }
}
