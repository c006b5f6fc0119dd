internal import Qudo

/// `qudo_pause`: the kinds that are not claimed. Usually empty.
struct PauseTable {
  let connection: Connection
  /// The number that stands for all kinds.
  static let everything: Int64 = 0

  func insert(_ kind: Int64, pausedAt: Timestamp, endsAt: Timestamp?, reason: String?) throws(QudoError) {
    connection.cache.pauses = nil
    try connection.run(
      "INSERT OR REPLACE INTO qudo_pause(kind, paused_at, ends, reason) VALUES(?, ?, ?, ?)", .integer(kind),
      .integer(pausedAt.microseconds), endsAt.map { .integer($0.microseconds) } ?? .null, .text(reason))
  }

  func deleteEnded(_ now: Timestamp) throws(QudoError) {
    connection.cache.pauses = nil
    try connection.run("DELETE FROM qudo_pause WHERE ends <= ?", .integer(now.microseconds))
  }

  func delete(_ kind: Int64) throws(QudoError) {
    connection.cache.pauses = nil
    try connection.run("DELETE FROM qudo_pause WHERE kind = ?", .integer(kind))
  }

  /// Returns what ``read()`` does, from the writer's hints if it can.
  func all() throws(QudoError) -> [PauseRow] {
    if let known = connection.cache.pauses { return known }
    let all = try read()
    connection.cache.pauses = all
    return all
  }

  /// Returns all pauses, ended ones included, that of everything first, then by kind.
  func read() throws(QudoError) -> [PauseRow] {
    var all: [PauseRow] = []
    try connection.each(
      """
      SELECT kind, paused_at, ends, reason, (SELECT name FROM qudo_kind WHERE id = kind) AS name
      FROM qudo_pause ORDER BY kind <> 0, name
      """
    ) { row throws(QudoError) in
      let kind = row.integer(0)
      guard kind == Self.everything || !row.isNull(4) else { return }
      all.append(
        PauseRow(
          number: kind,
          pause: Pause(
            kind == Self.everything ? nil : Kind(row.text(4)),
            pausedAt: Timestamp(microseconds: row.integer(1)),
            endsAt: row.isNull(2) ? nil : Timestamp(microseconds: row.integer(2)),
            reason: row.isNull(3) ? nil : row.text(3))))
    }
    return all
  }
}

/// A row of `qudo_pause`.
struct PauseRow {
  /// The kind's id in `qudo_kind`, or ``PauseTable/everything``.
  let number: Int64
  let pause: Pause

  func isOver(_ now: Timestamp) -> Bool { pause.endsAt.map { $0 <= now } ?? false }
}
