internal import Qudo

/// A row of `qudo_ready`: an id range with one sort key, and how far a claim has read it.
struct ReadyRow {
  let place: ReadyRange.SortKey
  let first: Int64
  let last: Int64
  /// The highest id that the claim has read.
  var read: Int64

  var isRead: Bool { read == last }

  static func missing(_ kind: Int64) -> QudoError { missing([kind]) }

  /// - Parameter kinds: The kinds to which the row may belong.
  static func missing(_ kinds: some Sequence<Int64>) -> QudoError {
    QudoError(
      .corrupt, "qudo_ready refers to a missing job: the file is damaged, or another program modified it",
      cause: BadRows.ready(kinds: kinds.sorted()))
  }
}

/// The first rows of a kind, collected while a claim reads their jobs.
struct ReadyFront {
  let kind: Int64
  private(set) var rows: [ReadyRow] = []
  /// The id ranges of the jobs; a range may span several rows.
  private(set) var runs: [ClosedRange<Int64>] = []

  init(kind: Int64) { self.kind = kind }

  /// Adds the next job and its row. Throws if a job of a row was skipped.
  mutating func read(_ key: ReadyKey, last: Int64, first: Int64) throws(QudoError) {
    let place = ReadyRange.SortKey(kind: kind, rank: key.rank, due: key.due)
    if let row = rows.last, !row.isRead {
      guard row.last == last, row.place == place, row.read &+ 1 == key.id else {
        throw ReadyRow.missing(kind)
      }
      rows[rows.count - 1].read = key.id
    } else {
      guard first == key.id, first <= last else { throw ReadyRow.missing(kind) }
      rows.append(ReadyRow(place: place, first: first, last: last, read: key.id))
    }
    add(key.id)
  }

  /// Adds an id to the ranges.
  mutating func add(_ id: Int64) {
    if let run = runs.last, run.upperBound &+ 1 == id, run.upperBound < id {
      runs[runs.count - 1] = run.lowerBound...id
    } else {
      runs.append(id...id)
    }
  }
}

extension Transaction {
  /// Removes a job from the ready jobs.
  ///
  /// - Returns: False if the job is not among them; then nothing has changed.
  func removeFromReady(_ id: Int64) throws(QudoError) -> Bool {
    var found: ReadyRow?
    try connection.each(
      """
      SELECT r.kind, r.rank, r.due, r.last, r.first
      FROM qudo_job AS j CROSS JOIN qudo_ready AS r ON r.kind = j.kind AND r.rank = j.rank AND r.due = j.due AND r.last >= j.id
      WHERE j.id = ? ORDER BY r.last LIMIT 1
      """, .integer(id)
    ) { row throws(QudoError) in
      let place = ReadyRange.SortKey(kind: row.integer(0), rank: row.integer(1), due: row.integer(2))
      found = ReadyRow(place: place, first: row.integer(4), last: row.integer(3), read: id)
    }
    guard let row = found, row.first <= id else { return false }
    if row.last == id {
      try delete(row)
    } else {
      try shorten(row)
    }
    if row.first < id { try insertReady(row.first...id - 1, row.place) }
    return true
  }

  /// Removes the jobs that a claim has read from the first rows of a kind.
  func removeFromReady(_ rows: [ReadyRow]) throws(QudoError) {
    guard let last = rows.last else { return }
    let whole = last.isRead ? rows.count : rows.count - 1
    if whole == 1 {
      try delete(rows[0])
    } else if whole > 1 {
      try removeFromReady(upTo: rows[whole - 1].place, rows[whole - 1].last, count: whole)
    }
    if !last.isRead { try shorten(last) }
  }

  /// Deletes the first rows of a kind, up to and including one, and checks that they were `count`.
  func removeFromReady(upTo place: ReadyRange.SortKey, _ last: Int64, count: Int) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND (rank, due, last) <= (?, ?, ?)", .integer(place.kind),
      .integer(place.rank),
      .integer(place.due), .integer(last))
    try check(count, place.kind)
  }

  func delete(_ row: ReadyRow) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND rank = ? AND due = ? AND last = ?", .integer(row.place.kind),
      .integer(row.place.rank),
      .integer(row.place.due), .integer(row.last))
    try check(1, row.place.kind)
  }

  /// Removes the ids up to the highest one read from a row.
  func shorten(_ row: ReadyRow) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_ready SET first = ? WHERE kind = ? AND rank = ? AND due = ? AND last = ?",
      .integer(row.read + 1),
      .integer(row.place.kind), .integer(row.place.rank), .integer(row.place.due), .integer(row.last))
    try check(1, row.place.kind)
  }

  private func check(_ count: Int, _ kind: Int64) throws(QudoError) {
    guard connection.changes == count else { throw ReadyRow.missing(kind) }
  }
}
