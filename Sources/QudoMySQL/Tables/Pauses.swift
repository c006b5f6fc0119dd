#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole pause verb.
  ///
  /// - Parameter check: Receives the server's time, and throws if the end is not after it.
  func run(
    pausing wanted: [Kind]?, until end: Due?, reason: String?, check: (Timestamp) throws(QudoError) -> Void
  ) throws(QudoError) {
    if try wasCommitted() != nil { return }
    if let wanted { try makeKinds(wanted) }
    _ = try read(["SELECT @n"], clock: .statement(0))
    try check(now)
    var numbers: Set<Int64> = wanted == nil ? [PausedKinds.everything] : []
    for kind in wanted ?? [] { numbers.insert(try requireNumber(of: kind)) }
    write("DELETE FROM qudo_pause WHERE ends <= \(now.microseconds)")
    let ends = end?.moment(now).microseconds
    for part in numbers.sorted().parts() {
      let rows = part.map { number -> SQL in
        "(\(number),\(now.microseconds),\(ends),\(reason.map { Array($0.utf8) }))"
      }
      write("REPLACE INTO qudo_pause(kind, paused_at, ends, reason) VALUES\(rows.joined(","))")
    }
    try commit()
  }

  /// Runs the whole resume verb.
  func run(resuming kinds: [Kind]?) throws(QudoError) -> [Pause] {
    if let done = try wasCommitted() { return done.resumed }
    let select: SQL = "\(PauseRow.select) FOR UPDATE"
    var rows = try read(select).map { PauseRow($0) }
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    if rows.isEmpty { rows = try read(select).map { PauseRow($0) } }
    if let kinds {
      let kinds = Set(kinds)
      rows = rows.filter { row in row.pause.kind.map(kinds.contains) ?? false }
    }
    for part in rows.map(\.number).sorted().parts() {
      write("DELETE FROM qudo_pause WHERE kind IN \(list: part)", count: part.count)
    }
    let ended = PauseRow.pauses(rows, now)
    if !ended.isEmpty { wakes = true }
    receipt.resumed = ended
    try commit()
    return ended
  }

  func pauses() throws(QudoError) -> [Pause] {
    let rows = try look("\(PauseRow.select) WHERE ends IS NULL OR ends > @n")
    return PauseRow.pauses(rows.map { PauseRow($0) }, Timestamp(microseconds: .min))
  }
}

/// A row of `qudo_pause`.
private struct PauseRow {
  let number: Int64
  let pause: Pause

  static let select: SQL =
    "SELECT kind, paused_at, ends, reason, (SELECT name FROM qudo_kind WHERE id = kind) FROM qudo_pause"

  init(_ row: Row) {
    number = row.integer(0)
    pause = Pause(
      number == PausedKinds.everything ? nil : Kind(row.text(4)),
      pausedAt: Timestamp(microseconds: row.integer(1)),
      endsAt: row.integerIfAny(2).map { Timestamp(microseconds: $0) }, reason: row.textIfAny(3))
  }

  /// Returns the pauses that have not ended: that of everything first, then by kind.
  static func pauses(_ rows: [PauseRow], _ now: Timestamp) -> [Pause] {
    rows.map(\.pause).filter { pause in pause.endsAt.map { $0 > now } ?? true }
      .sorted { a, b in
        guard let second = b.kind else { return false }
        return a.kind.map { $0 < second } ?? true
      }
  }
}
#endif
