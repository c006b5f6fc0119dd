/// The rules that Qudo's tables keep at every moment, because each transaction is whole or not there.
///
/// - Each job is in exactly one of `qudo_ready`, `qudo_delayed`, `qudo_running` and `qudo_held`.
/// - Each row of these has its job, and says of it what the job's own row says.
/// - No table has an id twice.
/// - Each unique key that a job holds until it ends is its own, and no key belongs to a job that is gone.
/// - Each waiting job with an expiry has a row in `qudo_expiry` with the same time, and its own row says so.
/// - Each concurrency key that jobs have or that is stopped, and no other, has a row in `qudo_key`, which counts its admitted and its held
///   jobs, and its stops, and has the same rate as its row in `qudo_key_rate`. Of a key that is not stopped, none is held while fewer are admitted than the limit allows.
/// - The row of an admitted job says that it has a key.
/// - Each row of a group has a job, and a place while the job is ready or runs, and only then. The job's row says that it has a group.
///
/// All rules are checked in one snapshot, so that they can be checked while workers and enqueuers are busy.
public enum TableInvariants {
  /// Returns one line per broken rule and job; empty if the tables keep all rules.
  ///
  /// - Parameters:
  ///   - database: The name of a database on `server` that has Qudo's tables.
  ///   - server: The server; it may stop statements of its other sessions meanwhile.
  ///   - most: The maximum number of lines for each rule.
  public static func violations(in database: String, on server: MariaDBServer, atMost most: Int = 20)
    async throws -> [String]
  {
    let lines = try await server.query(script(atMost: most), in: database)
    // Without the last line, something stopped the statements, and nothing is known.
    guard lines.last == end else {
      throw ServerTrouble(description: "the invariants were not read to the end: \(lines)")
    }
    return lines.dropLast().map { line in line.replacing("\t", with: " ") }
  }

  private static let end = "all rules were read"

  private static func script(atMost most: Int) -> String {
    let statements = rules.map { rule, select in
      "SELECT '\(rule)', broken.* FROM (\(select)) AS broken LIMIT \(most)"
    }
    let begin = [
      // A longer one is a BLOB, and the temporary tables with it are files.
      "SET SESSION group_concat_max_len = 512",
      "SET SESSION max_statement_time = 0", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
      "START TRANSACTION WITH CONSISTENT SNAPSHOT",
    ]
    return (begin + statements + ["COMMIT", "SELECT '\(end)'"]).joined(separator: ";\n") + ";\n"
  }

  private static let places = """
    SELECT id, kind, ranking, due, 'ready' AS place FROM qudo_ready
    UNION ALL SELECT id, kind, ranking, due, 'delayed' FROM qudo_delayed
    UNION ALL SELECT id, kind, ranking, due, 'running' FROM qudo_running
    """
  private static let allPlaces = "\(places) UNION ALL SELECT id, kind, NULL, NULL, 'held' FROM qudo_held"

  private static let rules = [
    (
      "a job is in no place",
      """
      SELECT j.id FROM qudo_job AS j WHERE j.id NOT IN (SELECT id FROM qudo_ready) AND j.id NOT IN (SELECT id FROM qudo_delayed)
      AND j.id NOT IN (SELECT id FROM qudo_running) AND j.id NOT IN (SELECT id FROM qudo_held)
      """
    ),
    (
      "an id is in several places",
      "SELECT id, GROUP_CONCAT(place ORDER BY place) FROM (\(allPlaces)) AS p GROUP BY id HAVING COUNT(*) > 1"
    ),
    (
      "a row has no job",
      "SELECT p.id, p.place FROM (\(allPlaces)) AS p LEFT JOIN qudo_job AS j ON j.id = p.id WHERE j.id IS NULL"
    ),
    (
      "a row differs from its job",
      """
      SELECT p.id, p.place FROM (\(places)) AS p JOIN qudo_job AS j ON j.id = p.id
      WHERE p.kind <> j.kind OR p.ranking <> j.ranking OR p.due <> j.due
      """
    ),
    (
      "a unique key has no job",
      """
      SELECT u.job, u.name FROM qudo_unique AS u LEFT JOIN qudo_job AS j ON j.id = u.job AND j.kind = u.kind
      LEFT JOIN qudo_rest AS s ON s.job = u.job WHERE j.id IS NULL AND s.ends IS NULL
      """
    ),
    (
      "a throttle has no job, or a rest no unique key",
      """
      SELECT s.job, s.ends FROM qudo_rest AS s LEFT JOIN qudo_job AS j ON j.id = s.job LEFT JOIN qudo_unique AS u ON u.job = s.job
      WHERE u.job IS NULL OR (j.id IS NULL) <> (s.ends IS NOT NULL)
      """
    ),
    (
      "a waiting job has a throttle that it does not know",
      """
      SELECT w.id FROM (SELECT id, flags FROM qudo_ready UNION ALL SELECT id, flags FROM qudo_delayed) AS w
      JOIN qudo_rest AS s ON s.job = w.id WHERE w.flags & 3 <> 3
      """
    ),
    (
      "a job does not hold its unique key",
      """
      SELECT j.id, j.unique_key FROM qudo_job AS j LEFT JOIN qudo_unique AS u ON u.kind = j.kind AND u.name = j.unique_key AND u.job = j.id
      WHERE j.unique_key IS NOT NULL AND u.job IS NULL
      AND (j.unique_scope = 0 OR j.id IN (SELECT id FROM qudo_ready WHERE flags & 3 = 1) OR j.id IN (SELECT id FROM qudo_delayed WHERE flags & 3 = 1)
        OR j.id IN (SELECT id FROM qudo_held))
      """
    ),
    (
      "a waiting job does not expire",
      """
      SELECT w.id FROM (SELECT id, flags FROM qudo_ready UNION ALL SELECT id, flags FROM qudo_delayed
        UNION ALL SELECT id, 4 FROM qudo_held) AS w
      JOIN qudo_job AS j ON j.id = w.id LEFT JOIN qudo_expiry AS e ON e.id = w.id AND e.expires = j.expires
      WHERE j.expires IS NOT NULL AND (e.id IS NULL OR w.flags & 4 = 0)
      """
    ),
    (
      "a held row differs from its job",
      """
      SELECT h.id, h.name FROM qudo_held AS h JOIN qudo_job AS j ON j.id = h.id
      WHERE h.kind <> j.kind OR NOT h.name <=> j.concurrency_key
      """
    ),
    (
      "the counts of a concurrency key are wrong",
      """
      SELECT kind, name, SUM(admitted), SUM(held), SUM(jobs), SUM(held_jobs) FROM (
        SELECT kind, name, admitted, held, 0 AS jobs, 0 AS held_jobs FROM qudo_key
        UNION ALL SELECT kind, concurrency_key, 0, 0, COUNT(*), 0 FROM qudo_job WHERE concurrency_key IS NOT NULL GROUP BY kind, concurrency_key
        UNION ALL SELECT kind, name, 0, 0, 0, COUNT(*) FROM qudo_held GROUP BY kind, name) AS c
      GROUP BY kind, name HAVING SUM(held) <> SUM(held_jobs) OR SUM(admitted) + SUM(held) <> SUM(jobs)
      """
    ),
    (
      "a concurrency key has no job",
      "SELECT kind, name FROM qudo_key WHERE admitted < 1 AND stopped < 1"
    ),
    (
      "a job is held although its concurrency key has room",
      "SELECT kind, name, allowed, admitted, held FROM qudo_key WHERE held > 0 AND admitted < allowed AND stopped < 1"
    ),
    (
      "the stops of a concurrency key are miscounted",
      """
      SELECT kind, name, SUM(stopped), SUM(stops) FROM (
        SELECT kind, name, stopped, 0 AS stops FROM qudo_key
        UNION ALL SELECT kind, name, 0, COUNT(*) FROM qudo_stop GROUP BY kind, name) AS c
      GROUP BY kind, name HAVING SUM(stopped) <> SUM(stops)
      """
    ),
    (
      "a concurrency key has another rate than its bucket",
      """
      SELECT kind, name, GROUP_CONCAT(rate ORDER BY rate) FROM (
        SELECT kind, name, rate FROM qudo_key WHERE rate IS NOT NULL
        UNION ALL SELECT kind, name, rate FROM qudo_key_rate WHERE rate IS NOT NULL) AS r
      GROUP BY kind, name HAVING COUNT(*) <> 2 OR MIN(rate) <> MAX(rate)
      """
    ),
    (
      "a row does not say that its job has a concurrency key",
      """
      SELECT w.id FROM (SELECT id, flags & 8 AS says FROM qudo_ready UNION ALL SELECT id, flags & 8 FROM qudo_delayed
        UNION ALL SELECT id, token & 4 FROM qudo_running) AS w JOIN qudo_job AS j ON j.id = w.id
      WHERE j.concurrency_key IS NOT NULL AND w.says = 0
      """
    ),
    (
      "a group has no job",
      "SELECT g.job FROM qudo_group AS g LEFT JOIN qudo_job AS j ON j.id = g.job WHERE j.id IS NULL"
    ),
    (
      "a job is not at its place among the groups",
      """
      SELECT g.job, g.place, p.place AS state FROM qudo_group AS g JOIN (\(allPlaces)) AS p ON p.id = g.job JOIN qudo_job AS j ON j.id = g.job
      WHERE IF(p.place IN ('delayed', 'held'), g.place IS NOT NULL OR g.due IS NOT NULL,
        g.due IS NULL OR NOT g.place <=> j.due OR g.ranking <> j.ranking OR g.kind <> j.kind)
      """
    ),
    (
      "a row does not say that its job has a group",
      """
      SELECT w.id FROM (SELECT id, flags & 16 AS says FROM qudo_ready UNION ALL SELECT id, flags & 16 FROM qudo_delayed
        UNION ALL SELECT id, token & 16 FROM qudo_running) AS w JOIN qudo_group AS g ON g.job = w.id WHERE w.says = 0
      """
    ),
  ]
}
