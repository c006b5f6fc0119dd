#if MySQL
internal import Qudo

/// `qudo_stop`: the final failures that stop concurrency keys. Usually empty.
///
/// A transaction that adds or deletes a row locks the key in `qudo_key` before, which has the number of its stops: a `SELECT` that the
/// server was told to stop may find too few rows, see ``Write``, and then a key would go on too early, or never.
enum StopRows {
  /// Returns the statement that adds the final failure of a job, which was logged.
  static func insert(_ job: Int64, _ key: NumberedKey, at time: Timestamp) -> SQL {
    """
    INSERT INTO qudo_stop(failure, kind, name, job, at)
    SELECT id, \(key.kind), \(key.name), job, \(time.microseconds) FROM qudo_failure WHERE job = \(job) AND final = 1 ORDER BY id DESC LIMIT 1
    """
  }

  /// Returns the query for the stops of a key.
  static func ofKey(_ key: NumberedKey) -> SQL {
    "SELECT failure, job, at FROM qudo_stop WHERE kind = \(key.kind) AND name = \(key.name)"
  }

  /// Returns the query for a page of stops, in the order of their failures.
  static func page(_ kinds: [Int64]?, after failure: Int64, limit: Int) -> SQL {
    let inKinds: SQL = kinds.map { "kind IN \(list: $0) AND " } ?? ""
    return """
      SELECT failure, kind, (SELECT k.name FROM qudo_kind AS k WHERE k.id = kind), name, job, at FROM qudo_stop
      WHERE \(inKinds)failure > \(failure) ORDER BY failure LIMIT \(max(0, limit))
      """
  }
}

extension Transaction {
  /// Whether a final failure of a job stops its concurrency key, which is locked.
  func stopsKey(_ job: Int64) -> Bool {
    guard let key = keyOfJob[job] ?? nil else { return false }
    return lockedKeys[key]?.counts.rule.stops ?? false
  }

  /// Stops the key of a job that failed for good: see ``stopsKey(_:)``. Call it after the failure was logged, and before the job is deleted.
  func stopKey(ofFailed job: Int64) {
    guard let key = keyOfJob[job] ?? nil else { return }
    lockedKeys[key]?.counts.stopped += 1
    write(StopRows.insert(job, key, at: now), count: 1)
  }

  /// Whether a failure stops a key, which is locked.
  func isStop(_ failure: Int64, of key: NumberedKey) throws(QudoError) -> Bool {
    guard let counts = lockedKeys[key]?.counts, counts.stopped > 0 else { return false }
    return try stops(of: key).contains { $0.failure == failure }
  }

  private func stops(of key: NumberedKey) throws(QudoError) -> [(failure: Int64, job: Int64, at: Int64)] {
    let rows = try read(StopRows.ofKey(key)).map {
      (failure: $0.integer(0), job: $0.integer(1), at: $0.integer(2))
    }
    let expected = lockedKeys[key]?.counts.stopped ?? 0
    guard rows.count == expected else { throw .short(rows.count, Int(clamping: expected)) }
    return rows
  }

  /// Ends stops of keys. Those that are not stopped any more go on.
  ///
  /// - Parameter isOne: Whether the stop of a failure ends.
  /// - Returns: The stops.
  func endStops(of keys: some Sequence<NumberedKey>, where isOne: (Int64) -> Bool) throws(QudoError)
    -> [(key: NumberedKey, failure: Int64, job: Int64, at: Int64)]
  {
    var ended: [(key: NumberedKey, failure: Int64, job: Int64, at: Int64)] = []
    let keys = Set(keys).sorted()
    try lock(keys: keys, making: true)
    for key in keys where lockedKeys[key]?.counts.stopped ?? 0 > 0 {
      let stops = try stops(of: key).filter { isOne($0.failure) }
      for part in stops.map(\.failure).sorted().parts() {
        write("DELETE FROM qudo_stop WHERE failure IN \(list: part)", count: part.count)
      }
      lockedKeys[key]?.counts.stopped -= Int64(stops.count)
      ended += stops.map { (key, $0.failure, $0.job, $0.at) }
      try admit(key)
    }
    writeKeys()
    return ended
  }

  /// Runs the whole verb that lets stopped keys go on.
  func run(resuming keys: [String], of kind: Kind) throws(QudoError) -> [KeyStop] {
    if let done = try wasCommitted() { return done.resumedKeys }
    guard let number = try numbers(of: [kind])?.first else { return [] }
    let keys = keys.map { NumberedKey(kind: number, name: Array($0.utf8)) }
    let ended = try endStops(of: keys) { _ in true }.map { stop in
      KeyStop(
        kind, key: String(decoding: stop.key.name, as: UTF8.self), failure: stop.failure, job: stop.job,
        stoppedAt: Timestamp(microseconds: stop.at))
    }.sorted { $0.failure < $1.failure }
    receipt.resumedKeys = ended
    try commit()
    return ended
  }

  /// Returns a page of the final failures that stop keys.
  func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) throws(QudoError) -> [KeyStop] {
    let numbers = try numbers(of: kinds)
    guard numbers?.isEmpty != true else { return [] }
    var stops: [KeyStop] = []
    try look(StopRows.page(numbers, after: failure, limit: limit)).forEach { row throws(QudoError) in
      let kind = Kind(row.text(2))
      know(kind, row.integer(1))
      stops.append(
        KeyStop(
          kind, key: row.text(3), failure: row.integer(0), job: row.integer(4),
          stoppedAt: Timestamp(microseconds: row.integer(5))))
    }
    return stops
  }
}
#endif
