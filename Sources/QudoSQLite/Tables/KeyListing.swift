internal import Qudo

/// The queries that list concurrency keys.
struct KeyListing {
  let connection: Connection

  /// Returns the ids of all kinds, in ascending order.
  func kinds() throws(QudoError) -> [Int64] {
    var kinds: [Int64] = []
    try connection.each("SELECT id FROM qudo_kind ORDER BY id") { row throws(QudoError) in
      kinds.append(row.integer(0))
    }
    return kinds
  }

  /// Returns the next key of a kind that jobs have, or that is stopped, in the order of bytes. It looks into an index of each table, once.
  func next(after key: NumberedKey) throws(QudoError) -> NumberedKey? {
    var next: String?
    try connection.each(
      """
      SELECT (SELECT key FROM qudo_admitted WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT 1),
        (SELECT key FROM qudo_held WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT 1),
        (SELECT key FROM qudo_stop WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT 1)
      """, .integer(key.kind), .text(key.text)
    ) { row throws(QudoError) in
      for column in 0..<Int32(3) where !row.isNull(column) {
        let found = row.text(column)
        // A key that another program wrote as a BLOB lies behind all texts, and so behind itself.
        guard key.text.utf8.lexicographicallyPrecedes(found.utf8) else { continue }
        if let next, !found.utf8.lexicographicallyPrecedes(next.utf8) { continue }
        next = found
      }
    }
    return next.map { NumberedKey(kind: key.kind, text: $0) }
  }

  /// Returns a key; nil if no job has it and it is not stopped. It reads its admitted and held jobs.
  ///
  /// - Throws: ``QudoError/Code/corrupt`` if its rate is malformed.
  func status(of key: NumberedKey, _ kind: Kind, now: Timestamp) throws(QudoError) -> ConcurrencyKeyStatus? {
    var (admitted, held, stops) = (0, 0, 0)
    try connection.each(
      """
      SELECT (
          SELECT count(*) FROM qudo_admitted AS p WHERE p.kind = ?1 AND p.key = ?2
            AND EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = p.job AND j.concurrency_key = p.key)),
        (SELECT count(*) FROM qudo_held WHERE kind = ?1 AND key = ?2),
        (SELECT count(*) FROM qudo_stop WHERE kind = ?1 AND key = ?2)
      """, .integer(key.kind), .text(key.text)
    ) { row throws(QudoError) in
      (admitted, held, stops) = (Int(row.integer(0)), Int(row.integer(1)), Int(row.integer(2)))
    }
    guard admitted + held + stops > 0 else { return nil }
    let rule = admitted + held > 0 ? try connection.keyRuleTable.rule(of: key) : KeyRule()
    let bucket = rule.rate == nil ? nil : try connection.keyRateTable.bucket(of: key)
    return ConcurrencyKeyStatus(
      kind, rule.key(key.text), admitted: admitted, held: held, stops: stops,
      nextTokenAt: rule.rate.flatMap { bucket?.nextToken($0, now: now) })
  }
}
