internal import Qudo

/// `qudo_stop`: the final failures that stop concurrency keys. Usually empty.
struct StopTable {
  let connection: Connection

  /// Whether any key is stopped.
  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasStops { return known }
    let hasAny = try connection.integer("SELECT EXISTS(SELECT 1 FROM qudo_stop)") == 1
    connection.cache.hasStops = hasAny
    return hasAny
  }

  func isStopped(_ key: NumberedKey) throws(QudoError) -> Bool {
    guard try hasAny() else { return false }
    return try connection.integer(
      "SELECT 1 FROM qudo_stop WHERE kind = ? AND key = ? LIMIT 1", .integer(key.kind), .text(key.text))
      != nil
  }

  /// Adds the final failure of a job, which is in the log.
  func insert(_ job: Int64, _ key: NumberedKey, at time: Timestamp) throws(QudoError) {
    (connection.cache.hasStops, connection.cache.hasHeldOrRules) = (true, true)
    try connection.run(
      """
      INSERT INTO qudo_stop(failure, kind, key, job, at)
      SELECT id, ?, ?, job, ? FROM qudo_failure WHERE job = ? AND final ORDER BY id DESC LIMIT 1
      """, .integer(key.kind), .text(key.text), .integer(time.microseconds), .integer(job))
  }

  /// Returns the key that a failure stops; nil if it stops none.
  func key(stoppedBy failure: Int64) throws(QudoError) -> NumberedKey? {
    guard try hasAny() else { return nil }
    var key: NumberedKey?
    try connection.each("SELECT kind, key FROM qudo_stop WHERE failure = ?", .integer(failure)) {
      row throws(QudoError) in key = NumberedKey(kind: row.integer(0), text: row.text(1))
    }
    return key
  }

  func delete(_ failure: Int64) throws(QudoError) {
    try connection.run("DELETE FROM qudo_stop WHERE failure = ?", .integer(failure))
    (connection.cache.hasStops, connection.cache.hasHeldOrRules) = (nil, nil)
  }

  /// Returns the stops of a key, in the order of their failures.
  func stops(of key: NumberedKey, _ kind: Kind) throws(QudoError) -> [KeyStop] {
    guard try hasAny() else { return [] }
    var stops: [KeyStop] = []
    try connection.each(
      "SELECT failure, job, at FROM qudo_stop WHERE kind = ? AND key = ? ORDER BY failure",
      .integer(key.kind), .text(key.text)
    ) { row throws(QudoError) in
      stops.append(
        KeyStop(
          kind, key: key.text, failure: row.integer(0), job: row.integer(1),
          stoppedAt: Timestamp(microseconds: row.integer(2))))
    }
    return stops
  }

  /// Returns a page of stops, in the order of their failures. It passes over those of other kinds, and sorts nothing.
  func page(_ kinds: IntegerList?, after failure: Int64, limit: Int) throws(QudoError) -> [KeyStop] {
    var stops: [KeyStop] = []
    try connection.each(
      """
      SELECT (SELECT name FROM qudo_kind AS k WHERE k.id = kind), key, failure, job, at FROM qudo_stop
      WHERE \(kinds == nil ? "" : "+")\(kinds.inKinds) failure > ? ORDER BY failure LIMIT ?
      """, values: (kinds?.values ?? []) + [.integer(failure), .integer(Int64(max(0, limit)))]
    ) { row throws(QudoError) in
      stops.append(
        KeyStop(
          Kind(row.text(0)), key: row.text(1), failure: row.integer(2), job: row.integer(3),
          stoppedAt: Timestamp(microseconds: row.integer(4))))
    }
    return stops
  }
}
