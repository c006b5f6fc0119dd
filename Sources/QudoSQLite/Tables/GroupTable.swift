internal import Qudo

/// `qudo_group`: the groups of live jobs, and their places in the ready order. Usually empty.
struct GroupTable {
  let connection: Connection

  /// The group of jobs that have none, of a kind whose other jobs have groups. Enqueues refuse it.
  static let none = ""

  /// The place of the job `j`, which is ready or runs, in the ready order, for statements that read it from `qudo_job`.
  static let place = "coalesce((SELECT place FROM qudo_group AS g WHERE g.job = j.id), j.due)"

  /// Whether a job of `qudo_job` is of a group: a condition for its listing.
  static let isOfGroup = "EXISTS (SELECT 1 FROM qudo_group AS g WHERE g.job = id AND g.grp = ?)"

  /// The group of a job, and its place; nil for none.
  struct Row {
    let group: String
    let place: Int64?
  }

  /// Whether any job has a row.
  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasGroups { return known }
    let hasAny = try connection.integer("SELECT EXISTS(SELECT 1 FROM qudo_group)") == 1
    connection.cache.hasGroups = hasAny
    return hasAny
  }

  /// Whether any job of a kind that has a place has a group.
  func hasGroups(of kind: Int64) throws(QudoError) -> Bool {
    try connection.integer(
      "SELECT 1 FROM qudo_group WHERE kind = ? AND grp > '' AND place IS NOT NULL LIMIT 1", .integer(kind))
      != nil
  }

  func row(of job: Int64) throws(QudoError) -> Row? {
    var found: Row?
    try connection.each("SELECT grp, place FROM qudo_group WHERE job = ?", .integer(job)) {
      row throws(QudoError) in
      found = Row(group: row.text(0), place: row.isNull(1) ? nil : row.integer(1))
    }
    return found
  }

  /// Returns the highest place of a group's jobs of one kind and rank; nil if none has a place.
  func lastPlace(of group: String, kind: Int64, rank: Int64) throws(QudoError) -> Int64? {
    try connection.integer(
      """
      SELECT place FROM qudo_group WHERE kind = ? AND grp = ? AND rank = ? AND place IS NOT NULL AND typeof(place) = 'integer'
      ORDER BY place DESC LIMIT 1
      """, .integer(kind), .text(group), .integer(rank))
  }

  /// Stores a job's group and place, in place of those that it has.
  func set(_ job: Int64, _ group: String, kind: Int64, rank: Int64, place: Int64?) throws(QudoError) {
    connection.cache.hasGroups = true
    try connection.run(
      "INSERT OR REPLACE INTO qudo_group(job, kind, rank, grp, place) VALUES(?, ?, ?, ?, ?)", .integer(job),
      .integer(kind), .integer(rank), .text(group), place.map { .integer($0) } ?? .null)
  }

  /// Takes a job's place, because the job is not ready any more.
  func clearPlace(of job: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_group SET place = NULL WHERE job = ?", .integer(job))
  }

  func delete(_ jobs: ClosedRange<Int64>) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_group WHERE job BETWEEN ? AND ?", .integer(jobs.lowerBound),
      .integer(jobs.upperBound))
    noteDeleted()
  }

  /// Deletes the rows of jobs that another program deleted. It reads all of the table; see ``Transaction/putAside(_:)``.
  ///
  /// - Returns: How many there were.
  func deleteOrphans() throws(QudoError) -> Int {
    try connection.run("DELETE FROM qudo_group WHERE NOT EXISTS (SELECT 1 FROM qudo_job WHERE id = job)")
    noteDeleted()
    return connection.changes
  }

  /// Returns the number of rows that do not agree with the jobs. It reads all rows.
  func check() throws(QudoError) -> Int64 {
    try connection.integer(
      """
      SELECT count(*) FROM qudo_group AS g WHERE typeof(place) NOT IN ('integer', 'null') OR NOT EXISTS (
        SELECT 1 FROM qudo_job AS j WHERE j.id = g.job AND j.kind = g.kind AND (g.place IS NULL OR j.rank = g.rank))
      """) ?? 0
  }

  /// There may be none left: then the next enqueues need not look.
  private func noteDeleted() { if connection.changes > 0 { connection.cache.hasGroups = nil } }
}
