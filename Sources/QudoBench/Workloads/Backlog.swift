internal import CSQLite
internal import Qudo
internal import QudoSQLite

/// A file with a deep backlog, generated quickly by SQL. It has the rows that the driver would write.
struct Backlog: Hashable {
  var ready = 0
  var delayed = 0
  /// The number of ready jobs of another kind.
  var foreign = 0
  /// Whether those have one concurrency key, so that all but the first are held.
  var isHeld = false
  /// The number of rows in each log.
  var logged = 0
  /// The number of kinds of the ready jobs.
  var kinds = 1
  /// Whether the ready jobs look as if enqueued one at a time, each with its own row.
  var isSingle = false

  /// The kinds of the ready jobs.
  var names: [Kind] { kinds == 1 ? ["bench"] : (0..<kinds).map { Kind("bench.\($0)") } }

  func make(_ path: String) async throws {
    let driver = try SQLiteDriver(path: path, durability: .off)
    let queue = Queue(driver)
    // Insert and delete a job of each kind, so that the kinds have numbers.
    try await queue.enqueue((names + ["bench.other"]).map { NewJob($0) })
    _ = try await driver.settle(
      driver.claim(
        ClaimRequest((names + ["bench.other"]).map { ClaimRequest.KindDemand($0) }, limit: kinds + 1)
      ).jobs
        .map { Settlement($0.lease, .completed()) }, claiming: nil)
    await driver.close()
    let database = try RawDatabase(path, ["PRAGMA synchronous = OFF", "BEGIN IMMEDIATE"])
    try database.run("CREATE TEMP TABLE number AS SELECT id, name FROM qudo_kind")
    let kind =
      kinds == 1
      ? "(SELECT id FROM number WHERE name = 'bench')"
      : "(SELECT id FROM number WHERE name = 'bench.' || (n % \(kinds)))"
    let other = "(SELECT id FROM number WHERE name = 'bench.other')"
    // Due times of long ago and of the year 9999, in microseconds. The waiting jobs look as if enqueued in
    // calls of a thousand.
    try insert(database, ready, kind, due: "n / 1000")
    try enterReady(database, "kind <> \(other)", inRanges: kinds == 1 && !isSingle)
    try insert(database, foreign, other, due: "n / 1000")
    if isHeld {
      let first = "(SELECT min(id) FROM qudo_job WHERE kind = \(other))"
      try database.run("UPDATE qudo_job SET concurrency_key = 'key' WHERE kind = \(other)")
      try database.run("INSERT INTO qudo_admitted(kind, key, job) VALUES(\(other), 'key', \(first))")
      try database.run(
        "INSERT INTO qudo_held(kind, key, id) SELECT kind, 'key', id FROM qudo_job WHERE kind = \(other) AND id <> \(first)"
      )
      try enterReady(database, "id = \(first)", inRanges: true)
    } else {
      try enterReady(database, "kind = \(other)", inRanges: true)
    }
    if delayed > 0 {
      let far = Timestamp.latest.microseconds - 1_000_000_000
      try insert(
        database, delayed, "(SELECT id FROM number WHERE name = 'bench' OR name = 'bench.0')",
        due: "\(far) + n")
      try database.run(
        "INSERT INTO qudo_delayed(due, id, kind, rank) SELECT due, id, kind, rank FROM qudo_job WHERE due >= \(far)"
      )
    }
    if logged > 0 {
      try database.run(
        """
        INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank)
        \(Self.numbers(logged)) SELECT n, 1, 1, n, 0, 0, 'no', 0 FROM numbers
        """)
      try database.run(
        """
        INSERT INTO qudo_status(job, kind, status, started_at, ended_at, codec, payload)
        \(Self.numbers(logged)) SELECT n, 1, 0, n, n, 0, zeroblob(100) FROM numbers
        """)
    }
    try database.run(
      "UPDATE qudo_info SET value = max(value, (SELECT coalesce(max(id), 0) FROM qudo_job)) WHERE key = 'highest_id'"
    )
    try database.run("COMMIT")
    // Only the main file is copied, so move the WAL's content into it.
    try database.run("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  private func insert(_ database: RawDatabase, _ count: Int, _ kind: String, due: String) throws {
    guard count > 0 else { return }
    try database.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, payload)
      \(Self.numbers(count))
      SELECT n + (SELECT coalesce(max(id), 0) FROM qudo_job) + 1000000, \(kind), 0, \(due), 0, 1, 0, 0, 0, zeroblob(100) FROM numbers
      """)
  }

  /// Enters the jobs as ready. Jobs of one kind from one call share a row.
  private func enterReady(_ database: RawDatabase, _ condition: String, inRanges: Bool) throws {
    try database.run(
      """
      INSERT INTO qudo_ready(kind, rank, due, last, first)
      SELECT kind, rank, due, max(id), min(id) FROM qudo_job WHERE \(condition) GROUP BY kind, rank, due\(inRanges ? "" : ", id")
      """)
  }

  private static func numbers(_ count: Int) -> String {
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT \(count))"
  }
}
