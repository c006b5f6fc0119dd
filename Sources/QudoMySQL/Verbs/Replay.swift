#if MySQL
internal import Qudo

extension Transaction {
  func replay(_ failures: [Int64], _ change: JobChange, _ unique: UniqueKey?, _ limits: Limits)
    throws(QudoError) -> [ReplayResult]
  {
    if let done = try wasCommitted() { return done.replayed.map { $0() } }
    var results: [() -> ReplayResult] = []
    var replayed: [Int64: InsertAnswer] = [:]
    let found = try lock(failures)
    try lock(keys: found.values.compactMap(\.replayableKey), making: true)
    for id in failures {
      guard let row = found[id] else { results.append { .notFound }; continue }
      if let job = row.replayedAs, job != FailureRecord.resolved {
        results.append { .alreadyReplayed(job) }; continue
      }
      if let answer = replayed[id], let result = answer.results.first {
        if case .inserted(let job) = result { results.append { .alreadyReplayed(job) }; continue }
      }
      guard row.isFinal, let job = row.job?.replayed(change, unique) else {
        results.append { .notFinal }; continue
      }
      if !change.isEmpty || unique != nil { try limits.check(job) }
      let isStop = if let key = row.key { try isStop(id, of: key) } else { false }
      let answer = try insert([job], keepsRules: true, takesPlace: isStop)
      replayed[id] = answer
      // The statements that follow store the new job's id and make the result known.
      switch answer.answers.first {
      case .known(let result): results.append { .conflict(result.id) }
      default:
        write("UPDATE qudo_failure SET replayed_as = LAST_INSERT_ID() WHERE id = \(id)", count: 1)
        _ = try read([])
        if isStop, let key = row.key { _ = try endStops(of: [key]) { $0 == id } }
        results.append { .replayed(answer.ids.first ?? 0) }
      }
    }
    writeKeys()
    receipt.replayed = results
    try commit()
    return results.map { $0() }
  }

  /// Marks final failures as resolved.
  func resolve(_ failures: [Int64]) throws(QudoError) -> [ResolveResult] {
    var found: [Int64: ResolveResult] = [:]
    if let done = try wasCommitted() {
      found = done.resolved
    } else if !failures.isEmpty {
      let ids = Set(failures).sorted()
      let selects = ids.parts().map { part -> SQL in
        """
        SELECT id, final, replayed_as, kind, concurrency_key, concurrency_stops FROM qudo_failure
        WHERE id IN \(list: part) ORDER BY id FOR UPDATE
        """
      }
      var keys: Set<NumberedKey> = []
      for rows in try read(selects) {
        while let row = rows.next() {
          let result = ResolveResult(isFinal: row.integer(1) != 0, replayedAs: row.integerIfAny(2))
          found[row.integer(0)] = result
          guard result == .resolved, !row.isNull(5), let name = row.bytesIfAny(4) else { continue }
          keys.insert(NumberedKey(kind: row.integer(3), name: name))
        }
      }
      let resolved = ids.filter { found[$0] == .resolved }
      if !keys.isEmpty {
        let ended = Set(resolved)
        _ = try endStops(of: keys) { ended.contains($0) }
      }
      for part in resolved.parts() {
        write(
          "UPDATE qudo_failure SET replayed_as = \(FailureRecord.resolved) WHERE id IN \(list: part)",
          count: part.count)
      }
      receipt.resolved = found
      try commit()
    }
    var told: Set<Int64> = []
    return failures.map { id in
      let result = found[id] ?? .notFound
      return result == .resolved && !told.insert(id).inserted ? .alreadyResolved : result
    }
  }

  private struct Failure {
    let isFinal: Bool
    let replayedAs: Int64?
    /// The job as it was, to be enqueued again; nil if the payload is still with the job.
    let job: NewJob?
    /// The concurrency key of the job; nil if it has none.
    let key: NumberedKey?

    /// The key, if the failure can be replayed.
    var replayableKey: NumberedKey? {
      let isReplayed = replayedAs != nil && replayedAs != FailureRecord.resolved
      return isFinal && job != nil && !isReplayed ? key : nil
    }
  }

  private func lock(_ failures: [Int64]) throws(QudoError) -> [Int64: Failure] {
    var found: [Int64: Failure] = [:]
    let ids = Set(failures).sorted()
    guard !ids.isEmpty else { return found }
    let selects = ids.parts().map { part -> SQL in
      """
      SELECT id, final, replayed_as, (SELECT name FROM qudo_kind AS k WHERE k.id = l.kind), payload, codec, unique_key,
        unique_scope, ranking, meta, kind, concurrency_key, concurrency_limit, grp, concurrency_stops, concurrency_rate
      FROM qudo_failure AS l WHERE id IN \(list: part) FOR UPDATE
      """
    }
    for rows in try read(selects) {
      try rows.forEach { row throws(QudoError) in
        know(Kind(row.text(3)), row.integer(10))
        found[row.integer(0)] = Failure(
          isFinal: row.integer(1) != 0, replayedAs: row.integerIfAny(2),
          job: row.isNull(4) ? nil : try Self.job(row),
          key: row.bytesIfAny(11).map { NumberedKey(kind: row.integer(10), name: $0) })
      }
    }
    return found
  }

  private static func job(_ row: Row) throws(QudoError) -> NewJob {
    let rate = if let text = row.textIfAny(15) { try RateLimit(text: text) } else { RateLimit?.none }
    let scope = row.integerIfAny(7).flatMap { UniqueKey.Scope(rawValue: $0) } ?? .untilFinished
    return NewJob(
      Kind(row.text(3)), payload: Payload(row.bytes(4), codec: CodecID(row.integer(5))),
      unique: row.textIfAny(6).map { UniqueKey($0, scope: scope, onConflict: .reject) },
      concurrencyKey: row.textIfAny(11).map { key in
        ConcurrencyKey(
          key, limit: row.integerIfAny(12).map { Int(clamping: $0) } ?? 1, rate: rate,
          afterFailure: row.isNull(14) ? .goOn : .stop)
      },
      group: row.textIfAny(13), priority: 0 &- Int(row.integer(8)),
      metadata: JobMetadata(bytes: row.bytes(9)))
  }
}
#endif
