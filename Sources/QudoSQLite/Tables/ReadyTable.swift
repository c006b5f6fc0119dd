internal import Qudo

/// `qudo_ready`: the ready jobs of each kind in claim order. A row is an id range with one sort key.
struct ReadyTable {
  let connection: Connection

  // MARK: Inserting

  func insert(_ ids: ClosedRange<Int64>, _ key: SortKey) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)", .integer(key.kind),
      .integer(key.rank), .integer(key.due), .integer(ids.upperBound), .integer(ids.lowerBound))
    connection.readyLists.invalidate(key.kind)
  }

  /// Inserts one row for each job of a range, with the sort keys from `qudo_job`. The caller has dropped the cached
  /// ready jobs of their kinds.
  func insertEach(_ ids: ClosedRange<Int64>) throws(QudoError) {
    if try connection.groupTable.hasAny() {
      return try connection.run(
        """
        INSERT INTO qudo_ready(kind, rank, due, last, first)
        SELECT kind, rank, \(GroupTable.place), id, id FROM qudo_job AS j WHERE id BETWEEN ? AND ?
        """, values: [.integer(ids.lowerBound), .integer(ids.upperBound)])
    }
    try connection.run(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id BETWEEN ? AND ?",
      .integer(ids.lowerBound), .integer(ids.upperBound))
  }

  /// Inserts a job with the sort key from `qudo_job`, or at its place among the groups if it has one.
  func insert(_ id: Int64) throws(QudoError) {
    if try connection.groupTable.hasAny() {
      try connection.run(
        """
        INSERT INTO qudo_ready(kind, rank, due, last, first)
        SELECT kind, rank, \(GroupTable.place), id, id FROM qudo_job AS j WHERE id = ?
        """, values: [.integer(id)])
    } else {
      try connection.run(
        "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id = ?",
        .integer(id))
    }
    connection.waitingCounts.invalidate()
    try invalidateLists(of: id)
  }

  /// Drops the cached ready jobs of a job's kind.
  func invalidateLists(of id: Int64) throws(QudoError) {
    guard !connection.readyLists.isEmpty, let kind = try connection.jobTable.kind(of: id) else { return }
    connection.readyLists.invalidate(kind)
  }

  // MARK: Taking from the front

  // Values that are not integers are left to `front`, which has them repaired: SQLite calculates with them otherwise
  // than Swift does.

  /// Takes the first `count` jobs from a kind's first row, if the row has more.
  func takePart(_ count: Int, of kind: Int64) throws(QudoError) -> ReadyRow? {
    var taken: ReadyRow?
    try connection.each(
      """
      UPDATE qudo_ready SET first = first + ?2
      WHERE (kind, rank, due, last) =
          (SELECT kind, rank, due, last FROM qudo_ready WHERE kind = ?1 ORDER BY rank, due, last LIMIT 1)
        AND last - first >= ?2 AND typeof(first) = 'integer' AND typeof(last) = 'integer'
      RETURNING rank, due, first - ?2, first - 1
      """, .integer(kind), .integer(Int64(count))
    ) { row throws(QudoError) in taken = try ReadyRow(row, kind: kind) }
    connection.waitingCounts.noteLeft(kind)
    return taken
  }

  /// Takes a kind's first row, if it has at most `count` jobs.
  func takeRow(atMost count: Int, of kind: Int64) throws(QudoError) -> ReadyRow? {
    var taken: ReadyRow?
    try connection.each(
      """
      DELETE FROM qudo_ready
      WHERE (kind, rank, due, last) =
          (SELECT kind, rank, due, last FROM qudo_ready WHERE kind = ?1 ORDER BY rank, due, last LIMIT 1)
        AND last - first < ?2 AND typeof(first) = 'integer' AND typeof(last) = 'integer'
      RETURNING rank, due, first, last
      """, .integer(kind), .integer(Int64(count))
    ) { row throws(QudoError) in taken = try ReadyRow(row, kind: kind) }
    connection.waitingCounts.noteLeft(kind)
    return taken
  }

  /// Calls `body` with each of the first `count` ready jobs of a kind, in claim order: the columns of ``ClaimedRow``,
  /// then the last and the first id of the job's row here.
  @inline(__always)
  func front(_ kind: Int64, _ count: Int, _ body: (Statement) throws(QudoError) -> Void) throws(QudoError) {
    if try connection.groupTable.hasAny() { return try frontOfGroups(kind, count, body) }
    // SQLite does not reorder a LEFT JOIN, and it returns a ready row without jobs as well, with NULL for the job.
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, r.rank, r.due, j.id, r.last, r.first
      FROM qudo_ready AS r LEFT JOIN qudo_job AS j ON j.id BETWEEN r.first AND r.last
      WHERE r.kind = ? ORDER BY r.rank, r.due, r.last, j.id LIMIT ?
      """, .integer(kind), .integer(Int64(count)), body: body)
  }

  /// The same for jobs with groups: the due time is that of the job, and the place is the last column.
  private func frontOfGroups(_ kind: Int64, _ count: Int, _ body: (Statement) throws(QudoError) -> Void)
    throws(QudoError)
  {
    try connection.each(
      """
      SELECT payload, codec, unique_key, unique_scope, attempt, enqueued, meta, r.rank, j.due, j.id, r.last, r.first, r.due
      FROM qudo_ready AS r LEFT JOIN qudo_job AS j ON j.id BETWEEN r.first AND r.last
      WHERE r.kind = ? ORDER BY r.rank, r.due, r.last, j.id LIMIT ?
      """, .integer(kind), .integer(Int64(count)), body: body)
  }

  /// Removes the jobs that a claim has read from the first rows of a kind.
  func removeFront(_ rows: [ReadyRow]) throws(QudoError) {
    guard let last = rows.last else { return }
    connection.readyLists.invalidate(last.key.kind)
    let whole = last.isRead ? rows.count : rows.count - 1
    if whole == 1 {
      try delete(rows[0])
    } else if whole > 1 {
      try deleteFront(upTo: rows[whole - 1].key, rows[whole - 1].last, count: whole)
    }
    if !last.isRead { try shorten(last) }
  }

  /// Deletes the first rows of a kind, up to and including one, and checks that they were `count`.
  func deleteFront(upTo key: SortKey, _ last: Int64, count: Int) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND (rank, due, last) <= (?, ?, ?)", .integer(key.kind),
      .integer(key.rank), .integer(key.due), .integer(last))
    try checkChanged(count, key.kind)
  }

  func delete(_ row: ReadyRow) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_ready WHERE kind = ? AND rank = ? AND due = ? AND last = ?", .integer(row.key.kind),
      .integer(row.key.rank), .integer(row.key.due), .integer(row.last))
    try checkChanged(1, row.key.kind)
  }

  /// Removes the ids up to the highest one read from a row.
  func shorten(_ row: ReadyRow) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_ready SET first = ? WHERE kind = ? AND rank = ? AND due = ? AND last = ?",
      .integer(row.read + 1), .integer(row.key.kind), .integer(row.key.rank), .integer(row.key.due),
      .integer(row.last))
    try checkChanged(1, row.key.kind)
  }

  private func checkChanged(_ count: Int, _ kind: Int64) throws(QudoError) {
    connection.waitingCounts.noteLeft(kind)
    guard connection.changes == count else { throw ReadyRow.missing(kind) }
  }

  /// Removes a job, wherever in its row it is.
  ///
  /// - Returns: False if the job is not ready; then nothing has changed.
  func remove(_ id: Int64) throws(QudoError) -> Bool {
    guard let row = try row(of: id) else { return false }
    try remove(id...id, from: row)
    return true
  }

  /// Removes ids from the row that has them.
  func remove(_ ids: ClosedRange<Int64>, from row: ReadyRow) throws(QudoError) {
    connection.readyLists.invalidate(row.key.kind)
    var row = row
    row.read = ids.upperBound
    if row.isRead { try delete(row) } else { try shorten(row) }
    if row.first < ids.lowerBound { try insert(row.first...ids.lowerBound - 1, row.key) }
  }

  /// Returns the row with a job, read up to the job, or nil if the job is not ready.
  func row(of id: Int64) throws(QudoError) -> ReadyRow? {
    var found: ReadyRow?
    let read = { (row: Statement) in
      let key = SortKey(kind: row.integer(0), rank: row.integer(1), due: row.integer(2))
      found = ReadyRow(key: key, first: row.integer(4), last: row.integer(3), read: id)
    }
    if try connection.groupTable.hasAny() {
      try connection.each(
        """
        SELECT r.kind, r.rank, r.due, r.last, r.first
        FROM qudo_job AS j CROSS JOIN qudo_ready AS r ON r.kind = j.kind AND r.rank = j.rank AND r.due = \(GroupTable.place)
          AND r.last >= j.id
        WHERE j.id = ? ORDER BY r.last LIMIT 1
        """, values: [.integer(id)]
      ) { row throws(QudoError) in read(row) }
    } else {
      try connection.each(
        """
        SELECT r.kind, r.rank, r.due, r.last, r.first
        FROM qudo_job AS j CROSS JOIN qudo_ready AS r ON r.kind = j.kind AND r.rank = j.rank AND r.due = j.due AND r.last >= j.id
        WHERE j.id = ? ORDER BY r.last LIMIT 1
        """, .integer(id)
      ) { row throws(QudoError) in read(row) }
    }
    return found.flatMap { $0.first <= id ? $0 : nil }
  }

  // MARK: Reading

  func hasAny(of kind: Int64) throws(QudoError) -> Bool {
    try connection.integer("SELECT 1 FROM qudo_ready WHERE kind = ? LIMIT 1", .integer(kind)) != nil
  }

  /// Whether any of the kinds has a job.
  ///
  /// - Parameter most: The maximum number of kinds to look up.
  /// - Returns: Nil if more kinds than that have jobs, and more than that are asked for.
  func hasAny(of kinds: Set<Int64>, lookingUp most: Int) throws(QudoError) -> Bool? {
    if kinds.count <= most {
      for kind in kinds where try hasAny(of: kind) { return true }
      return false
    }
    // A worker of many kinds: go through those that have jobs.
    var last = Int64.min
    for _ in 0..<most {
      guard
        let kind = try connection.integer(
          "SELECT kind FROM qudo_ready WHERE kind > ? ORDER BY kind LIMIT 1", .integer(last))
      else { return false }
      if kinds.contains(kind) { return true }
      last = kind
    }
    return nil
  }

  /// Returns the due time or place of the first job of a kind and rank; nil if there is none.
  func firstPlace(of kind: Int64, rank: Int64) throws(QudoError) -> Int64? {
    do {
      return try connection.integer(
        "SELECT due FROM qudo_ready WHERE kind = ? AND rank = ? ORDER BY due LIMIT 1", .integer(kind),
        .integer(rank))
    } catch {
      throw error.of(.ready(kinds: [kind]))
    }
  }

  /// Counts the jobs of a kind, and stops at `most`.
  func waiting(_ kind: Int64, atMost most: Int) throws(QudoError) -> Int {
    let statement = try connection.statement(
      "SELECT first, last FROM qudo_ready WHERE kind = ?" as StaticString)
    defer { statement.reset() }
    try statement.bind([.integer(kind)])
    var count: Int64 = 0
    while count < most, try statement.step() {
      let length = statement.integer(1).clampedMinus(statement.integer(0)).clampedPlus(1)
      count = count.clampedPlus(max(length, 0))
    }
    return Int(min(count, Int64(most)))
  }

  /// Calls `body` with rank, due, last and first of up to `count` rows of a kind, in claim order, from the row with
  /// `key` on.
  func page(
    _ kind: Int64, after key: ReadyKey, _ count: Int, _ body: (Statement) throws(QudoError) -> Void
  ) throws(QudoError) {
    try connection.each(
      "SELECT rank, due, last, first FROM qudo_ready WHERE kind = ? AND (rank, due, last) > (?, ?, ?) ORDER BY rank, due, last LIMIT ?",
      .integer(kind), .integer(key.rank), .integer(key.due), .integer(key.id), .integer(Int64(count)),
      body: body)
  }

  /// Returns kinds with ready jobs in order, from `lowest` to the first one from `highest` on, at most `most` of them.
  /// The query skips from kind to kind.
  func kinds(from lowest: Int64, to highest: Int64, atMost most: Int) throws(QudoError) -> [Int64] {
    var kinds: [Int64] = []
    try connection.each(
      """
      WITH RECURSIVE next(kind) AS (
        SELECT min(kind) FROM qudo_ready WHERE kind >= ?
        UNION ALL SELECT (SELECT min(kind) FROM qudo_ready WHERE qudo_ready.kind > next.kind) FROM next WHERE next.kind < ?
        LIMIT ?)
      SELECT kind FROM next WHERE kind IS NOT NULL
      """, .integer(lowest), .integer(highest), .integer(Int64(most))
    ) { row throws(QudoError) in kinds.append(row.integer(0)) }
    return kinds
  }

  /// Calls `body` with each kind, of `kinds` or of all, that has ready jobs, and their number.
  func counts(_ kinds: IntegerList?, _ body: (_ kind: Int64, _ count: Int) -> Void) throws(QudoError) {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    try connection.each(
      "SELECT kind, count(*) + total(last - first) FROM qudo_ready \(filter) GROUP BY kind",
      values: kinds?.values ?? []
    ) { row throws(QudoError) in body(row.integer(0), Int(row.integer(1))) }
  }

  /// Returns the earliest due time of the ready jobs of a kind, at up to `most` priorities; nil if it has none.
  ///
  /// The first row of each priority has it. The query skips from priority to priority.
  func oldest(of kind: Int64, atMost most: Int) throws(QudoError) -> Int64? {
    if try connection.groupTable.hasAny() {
      var oldest: Int64?
      try earliest(from: kind, to: kind, atMost: most) { _, due in oldest = min(oldest ?? due, due) }
      return oldest
    }
    return try connection.integer(
      """
      WITH RECURSIVE next(rank) AS (
        SELECT min(rank) FROM qudo_ready WHERE kind = ?1
        UNION ALL SELECT (SELECT min(rank) FROM qudo_ready WHERE kind = ?1 AND qudo_ready.rank > next.rank) FROM next
          WHERE next.rank IS NOT NULL
        LIMIT ?2)
      SELECT min((SELECT due FROM qudo_ready WHERE kind = ?1 AND qudo_ready.rank = next.rank ORDER BY due LIMIT 1))
      FROM next WHERE rank IS NOT NULL
      """, .integer(kind), .integer(Int64(most)))
  }

  /// Calls `body` with each kind, of `kinds` or of all, and the earliest due time of its jobs, once for each priority.
  ///
  /// The query skips from priority to priority: within one, the index has the jobs by their due times.
  func earliest(_ kinds: [Int64]?, _ body: (_ kind: Int64, _ due: Int64) -> Void) throws(QudoError) {
    guard let kinds else { return try earliest(from: .min, to: .max, body) }
    for kind in kinds { try earliest(from: kind, to: kind, body) }
  }

  /// The number of rows among whose jobs the one that is due first is looked for, where the first row has a place instead.
  private static let placesRead = 100

  /// Returns the earliest true due time of the first jobs of a kind and rank. Each of a hundred groups has its first job among them.
  private func earliestDue(of kind: Int64, rank: Int64) throws(QudoError) -> Int64? {
    try connection.integer(
      """
      SELECT min(due) FROM qudo_job WHERE id IN (
        SELECT first FROM qudo_ready WHERE kind = ? AND rank = ? ORDER BY due, last LIMIT ?)
      """, .integer(kind), .integer(rank), .integer(Int64(Self.placesRead)))
  }

  private func earliest(
    from lowest: Int64, to highest: Int64, atMost most: Int = .max,
    _ body: (_ kind: Int64, _ due: Int64) -> Void
  ) throws(QudoError) {
    let hasPlaces = try connection.groupTable.hasAny()
    var next: (kind: Int64, rank: Int64)? = (lowest, .min)
    var count = 0
    while let (kind, rank) = next, count < most {
      next = nil
      count += 1
      var found: Int64?
      // SQLite begins at the first row that is not below the three values, and only then compares: with two of them it would
      // read all rows of the priority. Values that are not integers, from another program, are passed over: the next look must
      // begin behind this one.
      try connection.each(
        """
        SELECT kind, rank, due FROM qudo_ready
        WHERE (kind, rank, due) > (?1, ?2, 9223372036854775807) AND kind <= ?3 AND (kind <> ?1 OR rank <> ?2)
          AND typeof(kind) = 'integer' AND typeof(rank) = 'integer'
        ORDER BY kind, rank, due, last LIMIT 1
        """, .integer(kind), .integer(rank), .integer(highest)
      ) { row throws(QudoError) in
        next = (row.integer(0), row.integer(1))
        found = row.integer(2)
      }
      guard let (kind, rank) = next, let found else { return }
      let earliest = try hasPlaces ? earliestDue(of: kind, rank: rank) : nil
      body(kind, earliest ?? found)
    }
  }

  /// Returns how many rows the kinds have, or `most` if they have more.
  func count(_ kinds: IntegerList?, atMost most: Int) throws(QudoError) -> Int {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    let count = try connection.integer(
      "SELECT count(*) FROM (SELECT 1 FROM qudo_ready \(filter) LIMIT ?)",
      values: (kinds?.values ?? []) + [.integer(Int64(most))])
    return Int(count ?? 0)
  }

  /// Calls `body` with the first and last id of each row that ends after an id, ordered by the first.
  func ranges(
    _ kinds: IntegerList?, after id: Int64, limit: Int, _ body: (_ first: Int64, _ last: Int64) -> Void
  ) throws(QudoError) {
    try connection.each(
      "SELECT first, last FROM qudo_ready WHERE \(kinds.inKinds) last > ? ORDER BY first LIMIT ?",
      values: (kinds?.values ?? []) + [.integer(id), .integer(Int64(limit))]
    ) { row throws(QudoError) in body(row.integer(0), row.integer(1)) }
  }

  // MARK: Repairing

  /// Returns the number of rows that do not agree with the jobs, and how many jobs the others name. It reads all rows.
  func check() throws(QudoError) -> (bad: Int64, jobs: Int64) {
    let place = try connection.groupTable.hasAny() ? GroupTable.place : "j.due"
    let bad = try connection.integer(
      """
      SELECT count(*) FROM qudo_ready AS r
      WHERE typeof(rank) <> 'integer' OR typeof(due) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer'
        OR first > last OR (SELECT count(*) FROM qudo_job AS j
          WHERE j.id BETWEEN r.first AND r.last AND j.kind = r.kind AND j.rank = r.rank AND \(place) = r.due) <= last - first
      """, values: [])
    let jobs = try connection.integer(
      "SELECT count(*) + CAST(total(last - first) AS INTEGER) FROM qudo_ready")
    return (bad ?? 0, jobs ?? 0)
  }

  /// Returns the well-formed rows of a kind that name more jobs than there are.
  func rowsWithMissingJobs(of kind: Int64) throws(QudoError) -> [ReadyRow] {
    var rows: [ReadyRow] = []
    // If the length of a range overflows an integer, SQLite computes it as a floating-point number, which compares
    // as greater.
    try connection.each(
      """
      SELECT rank, due, first, last FROM qudo_ready AS r
      WHERE kind = ? AND typeof(rank) = 'integer' AND typeof(due) = 'integer' AND typeof(first) = 'integer' AND typeof(last) = 'integer'
        AND first <= last AND (SELECT count(*) FROM qudo_job AS j WHERE j.id BETWEEN r.first AND r.last) <= last - first
      """, .integer(kind)
    ) { row throws(QudoError) in rows.append(try ReadyRow(row, kind: kind)) }
    return rows
  }

  /// Inserts a row unless there is one with the same key and last id.
  func insertIfAbsent(_ ids: ClosedRange<Int64>, _ key: SortKey) throws(QudoError) {
    connection.waitingCounts.invalidate()
    try connection.run(
      "INSERT OR IGNORE INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)",
      .integer(key.kind), .integer(key.rank), .integer(key.due), .integer(ids.upperBound),
      .integer(ids.lowerBound))
  }

  /// Inserts the due jobs of a range that are not there yet, one row for each.
  func insertDueIfAbsent(_ ids: ClosedRange<Int64>, now: Timestamp) throws(QudoError) {
    connection.waitingCounts.invalidate()
    try connection.run(
      """
      INSERT OR IGNORE INTO qudo_ready(kind, rank, due, last, first)
      SELECT kind, rank, coalesce((SELECT place FROM qudo_group WHERE job = qudo_job.id), due), id, id FROM qudo_job
      WHERE id BETWEEN ? AND ? AND due <= ? AND NOT (\(JobTable.isHeld))
      """, values: [.integer(ids.lowerBound), .integer(ids.upperBound), .integer(now.microseconds)])
  }

  /// Deletes the rows of a kind with a value that is not an integer, or without an id between first and last.
  ///
  /// - Returns: The id ranges of those with one, and the number of all.
  func deleteMalformed(of kind: Int64) throws(QudoError) -> (ranges: [ClosedRange<Int64>], count: Int) {
    connection.waitingCounts.invalidate()
    var ranges: [ClosedRange<Int64>] = []
    var count = 0
    try connection.each(
      """
      SELECT first, last, typeof(first) = 'integer' AND typeof(last) = 'integer' FROM qudo_ready WHERE kind = ? AND (
        typeof(rank) <> 'integer' OR typeof(due) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last)
      """, .integer(kind)
    ) { row throws(QudoError) in
      count += 1
      if row.integer(2) != 0, row.integer(0) <= row.integer(1) {
        ranges.append(row.integer(0)...row.integer(1))
      }
    }
    try connection.run(
      """
      DELETE FROM qudo_ready WHERE kind = ? AND (
        typeof(rank) <> 'integer' OR typeof(due) <> 'integer' OR typeof(first) <> 'integer' OR typeof(last) <> 'integer' OR first > last)
      """, .integer(kind))
    return (ranges, count)
  }
}

/// The sort key of ready jobs.
struct SortKey: Equatable {
  let kind: Int64
  let rank: Int64
  let due: Int64
}

/// A row of `qudo_ready`: an id range with one sort key, and how far a claim has read it.
struct ReadyRow {
  let key: SortKey
  let first: Int64
  let last: Int64
  /// The highest id that the claim has read.
  var read: Int64

  var isRead: Bool { read == last }
  var ids: ClosedRange<Int64> { first...last }

  init(key: SortKey, first: Int64, last: Int64, read: Int64) {
    (self.key, self.first, self.last, self.read) = (key, first, last, read)
  }

  /// - Parameter row: The columns rank, due, first, last.
  init(_ row: Statement, kind: Int64) throws(QudoError) {
    let (first, last) = (row.integer(2), row.integer(3))
    guard first <= last else { throw Self.missing(kind) }
    self.init(
      key: SortKey(kind: kind, rank: row.integer(0), due: row.integer(1)), first: first, last: last,
      read: last)
  }

  static func missing(_ kind: Int64) -> QudoError { missing([kind]) }

  /// - Parameter kinds: The kinds to which the row may belong.
  static func missing(_ kinds: some Sequence<Int64>) -> QudoError {
    QudoError(
      .corrupt, "qudo_ready refers to a missing job: \(QudoError.modified)",
      cause: BadRows.ready(kinds: kinds.sorted()))
  }
}
