#if MySQL
internal import Qudo

/// The tables. Each version is a migration from the previous one. A migration never changes once it is
/// released.
///
/// The table of a job determines its state: `qudo_job` has each live job once; thin tables hold the ready
/// jobs in the order of claims, the delayed jobs and the running jobs.
///
/// A server commits implicitly before and after each CREATE or ALTER, so a migration is not one transaction.
/// Each of its statements can run again after it took effect, and the row that records the version comes
/// last.
///
/// `flags`, which was `frees` until version 11, is the hold of a waiting job on its unique key, and whether the job may have an
/// expiry and a concurrency key: see ``Candidate/flags``.
///
/// `ranking` is the negated priority: MySQL 8 reserves the word `rank`. Texts are binary: the server compares
/// and returns them as bytes, without padding and folding. Times are in microseconds since 1970, UTC.
enum Schema {
  struct Migration: Sendable {
    let version: Int64
    /// The lowest schema versions whose Qudo may still read and write the database after the migration.
    let lowestReader: Int64
    let lowestWriter: Int64
    let statements: [SQL]
  }

  static let version: Int64 = 15

  static let migrations = [
    Migration(version: 1, lowestReader: 1, lowestWriter: 1, statements: first),
    // A Qudo that knows only version 1 writes its own receipts to qudo_receipt.
    Migration(version: 2, lowestReader: 1, lowestWriter: 1, statements: pooled),
    Migration(version: 3, lowestReader: 3, lowestWriter: 3, statements: fewerIndexes),
    Migration(version: 4, lowestReader: 4, lowestWriter: 4, statements: fewerReads + receiptRows),
    // A Qudo of version 4 can use the database, but does not notice if it was replaced.
    Migration(version: 5, lowestReader: 4, lowestWriter: 4, statements: identity),
    // A Qudo of version 5 would claim jobs of paused kinds, and repeat jobs that are cancelled while they run.
    Migration(version: 6, lowestReader: 4, lowestWriter: 6, statements: control),
    // A Qudo of version 6 keeps the indexes up by itself.
    Migration(version: 7, lowestReader: 4, lowestWriter: 6, statements: outcomes),
    // A Qudo of version 7 would run expired jobs, and enqueue nothing after final failures.
    Migration(version: 8, lowestReader: 4, lowestWriter: 8, statements: expiries),
    // A Qudo of version 8 enqueues no ticks, and does no harm.
    Migration(version: 9, lowestReader: 4, lowestWriter: 8, statements: schedules),
    // A Qudo of version 9 states no rate, and obeys none.
    Migration(version: 10, lowestReader: 4, lowestWriter: 8, statements: rates),
    // A Qudo of version 10 would leave the places of keyed jobs behind, and list held jobs as ready.
    Migration(version: 11, lowestReader: 11, lowestWriter: 11, statements: keys),
    // A Qudo of version 11 would let no key rest, and enqueue while one does.
    Migration(version: 12, lowestReader: 11, lowestWriter: 12, statements: rests),
    // A Qudo of version 12 would leave the rows of jobs behind that it ends, and place no job.
    Migration(version: 13, lowestReader: 11, lowestWriter: 13, statements: groups),
    // A Qudo of version 13 would let a stopped key go on.
    Migration(version: 14, lowestReader: 11, lowestWriter: 14, statements: stops),
    // A Qudo of version 14 would begin jobs without a token of their key.
    Migration(version: 15, lowestReader: 11, lowestWriter: 15, statements: keyRates),
  ]

  static func record(_ migration: Migration) -> SQL {
    """
    INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer)
      SELECT \(migration.version), \(Transaction.serverTime), \(migration.lowestReader), \(migration.lowestWriter)
      FROM (SELECT 1 AS one) AS nothing WHERE NOT EXISTS (SELECT 1 FROM qudo_schema WHERE version = \(migration.version))
    """
  }

  /// The script that gives an empty database the same tables as a first start.
  static var script: String {
    var lines: [String] = []
    for migration in migrations {
      lines.append("-- version \(migration.version)")
      for statement in migration.statements + [record(migration)] { lines.append(statement.text + ";") }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static let first: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_schema(
      version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL,
      lowest_reader BIGINT NOT NULL, lowest_writer BIGINT NOT NULL) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_kind(
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARBINARY(255) NOT NULL, UNIQUE KEY qudo_kind_name(name)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_job(
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, kind BIGINT NOT NULL, ranking INT NOT NULL, due BIGINT NOT NULL,
      enqueued BIGINT NOT NULL, attempt BIGINT NOT NULL, lost BIGINT NOT NULL, state TINYINT NOT NULL, codec BIGINT NOT NULL,
      unique_key VARBINARY(255), unique_scope TINYINT, held_key VARBINARY(255), concurrency_key VARBINARY(255), expires BIGINT,
      meta LONGBLOB, payload LONGBLOB NOT NULL, UNIQUE KEY qudo_job_unique(kind, held_key)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_ready(
      kind BIGINT NOT NULL, ranking INT NOT NULL, due BIGINT NOT NULL, id BIGINT NOT NULL, frees TINYINT NOT NULL,
      PRIMARY KEY(kind, ranking, due, id)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_delayed(
      due BIGINT NOT NULL, id BIGINT NOT NULL, kind BIGINT NOT NULL, ranking INT NOT NULL, frees TINYINT NOT NULL,
      PRIMARY KEY(due, id)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_running(
      id BIGINT NOT NULL PRIMARY KEY, ends BIGINT NOT NULL, token BIGINT NOT NULL, kind BIGINT NOT NULL, ranking INT NOT NULL,
      due BIGINT NOT NULL, lost BIGINT NOT NULL, lost_limit BIGINT NOT NULL, KEY qudo_running_ends(ends)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_failure(
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, job BIGINT NOT NULL, kind BIGINT NOT NULL, attempt BIGINT NOT NULL,
      failed_at BIGINT NOT NULL, reason TINYINT NOT NULL, final TINYINT NOT NULL, message LONGBLOB NOT NULL,
      ranking INT NOT NULL, unique_key VARBINARY(255), unique_scope TINYINT, codec BIGINT, meta LONGBLOB, payload LONGBLOB,
      replayed_as BIGINT, KEY qudo_failure_kind(kind)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_status(
      id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, job BIGINT NOT NULL, kind BIGINT NOT NULL, status TINYINT NOT NULL,
      started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL, unique_key VARBINARY(255), codec BIGINT, payload LONGBLOB,
      KEY qudo_status_kind(kind)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_receipt(
      id BINARY(16) NOT NULL PRIMARY KEY, job BIGINT NOT NULL, expires BIGINT NOT NULL, KEY qudo_receipt_expires(expires)) ENGINE = InnoDB
    """,
  ]

  /// One row for the last transaction of each pooled connection, instead of one for each transaction.
  private static let pooled: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_lane(
      lane BINARY(16) NOT NULL, part INT NOT NULL, number BIGINT NOT NULL, job BIGINT NOT NULL, expires BIGINT NOT NULL,
      PRIMARY KEY(lane, part)) ENGINE = InnoDB
    """
  ]

  /// Removes indexes. A secondary index costs each job three times: on insert, on delete, and when InnoDB
  /// purges the entry. The index of unique keys had an entry for each job, with or without a key; now a table
  /// has a row for each job with a key. Running jobs are in the order of their leases' expiry, which a lease
  /// knows, so they need no index by it.
  private static let fewerIndexes: [SQL] =
    [
      """
      CREATE TABLE IF NOT EXISTS qudo_unique(
        kind BIGINT NOT NULL, name VARBINARY(255) NOT NULL, job BIGINT NOT NULL, PRIMARY KEY(kind, name), KEY qudo_unique_job(job)
      ) ENGINE = InnoDB
      """,
      """
      ALTER TABLE qudo_job ALTER COLUMN attempt SET DEFAULT 1, ALTER COLUMN lost SET DEFAULT 0, ALTER COLUMN state SET DEFAULT 0,
        ALTER COLUMN codec SET DEFAULT 0
      """,
    ]
    + [
      "INSERT IGNORE INTO qudo_unique(kind, name, job) SELECT kind, held_key, id FROM qudo_job WHERE held_key IS NOT NULL",
      "UPDATE qudo_ready AS w JOIN qudo_job AS j ON j.id = w.id SET w.frees = 2 WHERE w.frees = 0 AND j.held_key IS NOT NULL",
      "UPDATE qudo_delayed AS w JOIN qudo_job AS j ON j.id = w.id SET w.frees = 2 WHERE w.frees = 0 AND j.held_key IS NOT NULL",
      "ALTER TABLE qudo_job DROP KEY qudo_job_unique, DROP COLUMN held_key",
    ].flatMap { whileThere(key: "qudo_job_unique", of: "qudo_job", $0) }
    + whileThere(
      key: "qudo_running_ends", of: "qudo_running",
      "ALTER TABLE qudo_running DROP KEY qudo_running_ends, DROP PRIMARY KEY, ADD PRIMARY KEY(ends, id)")

  /// Keeps the number of expired leases only in the job's row, where a recovery reads it. So a claim need not
  /// read the job before it files it as running.
  private static let fewerReads = whileThere(
    column: "lost", of: "qudo_running", "ALTER TABLE qudo_running DROP COLUMN lost")

  /// Gives each transaction of a pooled connection its own row, instead of one that each of them changes.
  private static let receiptRows = whileThere(
    "STATISTICS WHERE TABLE_NAME = 'qudo_lane' AND INDEX_NAME = 'PRIMARY' AND COLUMN_NAME = 'part' AND SEQ_IN_INDEX = 2",
    "ALTER TABLE qudo_lane DROP PRIMARY KEY, ADD PRIMARY KEY(lane, number, part)")

  /// Creates the ``DatabaseIdentity``. MariaDB before 10.10 has no RANDOM_BYTES.
  private static let identity: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_info(name VARBINARY(64) NOT NULL PRIMARY KEY, value VARBINARY(255) NOT NULL) ENGINE = InnoDB
    """,
    """
    INSERT IGNORE INTO qudo_info(name, value)
      VALUES('generation', UNHEX(MD5(CONCAT(UUID(), RAND(), RAND(), CONNECTION_ID(), SYSDATE(6)))))
    """,
  ]

  /// Creates the pauses, and the marks of running jobs that are to be cancelled. Both are usually empty.
  private static let control: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_pause(
      kind BIGINT NOT NULL PRIMARY KEY, paused_at BIGINT NOT NULL, ends BIGINT, reason VARBINARY(1024)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_cancel(
      job BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, reason VARBINARY(1024)) ENGINE = InnoDB
    """,
  ]

  /// Finds what became of a job, by its number and by its unique key. Only jobs that fail, and kinds that record
  /// their status, pay for these indexes.
  private static let outcomes: [SQL] = [
    ("qudo_failure_job", "qudo_failure", "ADD KEY qudo_failure_job(job)"),
    ("qudo_failure_key", "qudo_failure", "ADD KEY qudo_failure_key(kind, unique_key, job)"),
    ("qudo_status_job", "qudo_status", "ADD KEY qudo_status_job(job)"),
    ("qudo_status_key", "qudo_status", "ADD KEY qudo_status_key(kind, unique_key, job)"),
  ].flatMap { (key: SQL, table: SQL, change: SQL) in
    whileMissing(key: key, of: table, "ALTER TABLE \(table) \(change)")
  }

  /// Creates the expiries of jobs and the routes of final failures. Both are empty if unused.
  ///
  /// `qudo_job.expires` is as old as the table. It has no index: each insert and delete of a job would pay for it.
  private static let expiries: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_expiry(
      id BIGINT NOT NULL PRIMARY KEY, expires BIGINT NOT NULL, KEY qudo_expiry_expires(expires)) ENGINE = InnoDB
    """,
    """
    CREATE TABLE IF NOT EXISTS qudo_route(kind BIGINT NOT NULL PRIMARY KEY, target BIGINT NOT NULL) ENGINE = InnoDB
    """,
  ]

  /// Creates the schedules. The table is empty if unused.
  ///
  /// `version` rises with each write, so that a scheduler that read an earlier one writes nothing. `last_job` may be gone.
  private static let schedules: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_schedule(
      name VARBINARY(255) NOT NULL PRIMARY KEY, kind BIGINT NOT NULL, rule VARBINARY(2048) NOT NULL, missed VARBINARY(64) NOT NULL,
      skips_overlap TINYINT NOT NULL, ranking INT NOT NULL, next_tick BIGINT, last_tick BIGINT, last_job BIGINT,
      paused TINYINT NOT NULL, reason VARBINARY(1024), version BIGINT NOT NULL, changed_at BIGINT NOT NULL, codec BIGINT NOT NULL,
      meta LONGBLOB, payload LONGBLOB NOT NULL, KEY qudo_schedule_next(next_tick)) ENGINE = InnoDB
    """
  ]

  /// Creates the token buckets of rates. The table is empty if unused.
  private static let rates: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_rate(
      kind BIGINT NOT NULL PRIMARY KEY, full_at BIGINT NOT NULL, written_at BIGINT NOT NULL, spacing BIGINT NOT NULL,
      throttled_until BIGINT NOT NULL) ENGINE = InnoDB
    """
  ]

  /// Creates the concurrency keys in use, and the jobs that wait for others of their key. Both tables are empty if unused.
  ///
  /// `taken` is the number of admitted jobs of a key, and `held` that of the others; see ``KeyRows``.
  ///
  /// `frees` gets another name, so that older programs that are connected fail: each of their transactions that enqueues,
  /// claims, changes, cancels or drops a waiting job names it, and one that ended a keyed job would never admit the next
  /// one. Then they connect again, read `qudo_schema`, and end.
  private static let keys: [SQL] =
    [
      """
      CREATE TABLE IF NOT EXISTS qudo_key(
        kind BIGINT NOT NULL, name VARBINARY(255) NOT NULL, most INT NOT NULL, taken BIGINT NOT NULL, held BIGINT NOT NULL,
        PRIMARY KEY(kind, name)) ENGINE = InnoDB
      """,
      """
      CREATE TABLE IF NOT EXISTS qudo_held(
        kind BIGINT NOT NULL, name VARBINARY(255) NOT NULL, id BIGINT NOT NULL, PRIMARY KEY(kind, name, id)) ENGINE = InnoDB
      """,
    ]
    + step(
      "COLUMNS WHERE TABLE_NAME = 'qudo_failure' AND COLUMN_NAME = 'concurrency_key'", "= 0",
      "ALTER TABLE qudo_failure ADD COLUMN concurrency_key VARBINARY(255), ADD COLUMN concurrency_limit INT")
    + (["qudo_ready", "qudo_delayed"] as [SQL]).flatMap { table in
      whileThere(
        column: "frees", of: table, "ALTER TABLE \(table) CHANGE COLUMN frees flags TINYINT NOT NULL")
    }
  /// Creates the throttles of unique keys. The table is empty if unused.
  ///
  /// `ends` is NULL while the job is live. While a key rests, its row in `qudo_unique` stays.
  private static let rests: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_rest(
      job BIGINT NOT NULL PRIMARY KEY, throttle BIGINT NOT NULL, ends BIGINT, KEY qudo_rest_ends(ends)) ENGINE = InnoDB
    """
  ]

  /// Creates the groups of live jobs, and where the failure log keeps them. The table is empty if unused.
  ///
  /// `place` and `due`, the true due time, are NULL while the job is delayed or held; see ``GroupRows``.
  private static let groups: [SQL] =
    [
      """
      CREATE TABLE IF NOT EXISTS qudo_group(
        job BIGINT NOT NULL PRIMARY KEY, kind BIGINT NOT NULL, ranking INT NOT NULL, grp VARBINARY(255) NOT NULL, place BIGINT, due BIGINT,
        KEY qudo_group_place(kind, grp, ranking, place)) ENGINE = InnoDB
      """
    ]
    + step(
      "COLUMNS WHERE TABLE_NAME = 'qudo_failure' AND COLUMN_NAME = 'grp'", "= 0",
      "ALTER TABLE qudo_failure ADD COLUMN grp VARBINARY(255)")

  /// Creates the stops of concurrency keys. The table is empty if unused.
  ///
  /// `stops` is 1 if a final failure of a job stops the key, and `stopped` the number of failures that do: see ``KeyRows``.
  ///
  /// `most` gets another name, so that older programs that are connected fail when they enqueue or end a job of a key. Then they connect
  /// again, read `qudo_schema`, and end.
  private static let stops: [SQL] =
    [
      """
      CREATE TABLE IF NOT EXISTS qudo_stop(
        failure BIGINT NOT NULL PRIMARY KEY, kind BIGINT NOT NULL, name VARBINARY(255) NOT NULL, job BIGINT NOT NULL, at BIGINT NOT NULL,
        KEY qudo_stop_key(kind, name)) ENGINE = InnoDB
      """
    ]
    + whileThere(
      column: "most", of: "qudo_key",
      "ALTER TABLE qudo_key CHANGE COLUMN most allowed INT NOT NULL, ADD COLUMN stops TINYINT NOT NULL DEFAULT 0, ADD COLUMN stopped BIGINT NOT NULL DEFAULT 0"
    )
    + step(
      "COLUMNS WHERE TABLE_NAME = 'qudo_failure' AND COLUMN_NAME = 'concurrency_stops'", "= 0",
      "ALTER TABLE qudo_failure ADD COLUMN concurrency_stops TINYINT")

  /// Creates the rates of concurrency keys, and their token buckets. The table is empty if unused.
  ///
  /// `rate` is that of ``RateLimit/text``, and NULL for a key without one, whose bucket stays until it is full: see ``KeyRateRows``.
  ///
  /// `taken` gets another name, so that older programs that are connected fail when they enqueue or end a job of a key. Then they connect
  /// again, read `qudo_schema`, and end. What they claimed before, they ran without a token.
  private static let keyRates: [SQL] =
    [
      """
      CREATE TABLE IF NOT EXISTS qudo_key_rate(
        kind BIGINT NOT NULL, name VARBINARY(255) NOT NULL, rate VARBINARY(64), full_at BIGINT NOT NULL, written_at BIGINT NOT NULL,
        spacing BIGINT NOT NULL, throttled_until BIGINT NOT NULL, PRIMARY KEY(kind, name), KEY qudo_key_rate_full(rate, full_at)
      ) ENGINE = InnoDB
      """
    ]
    + whileThere(
      column: "taken", of: "qudo_key",
      "ALTER TABLE qudo_key CHANGE COLUMN taken admitted BIGINT NOT NULL, ADD COLUMN rate VARBINARY(64)")
    + step(
      "COLUMNS WHERE TABLE_NAME = 'qudo_failure' AND COLUMN_NAME = 'concurrency_rate'", "= 0",
      "ALTER TABLE qudo_failure ADD COLUMN concurrency_rate VARBINARY(64)")

  /// Runs a statement only while the key exists, because MySQL has no DROP KEY IF EXISTS.
  ///
  /// - Parameter statement: A statement without quotes. It drops the key, or the last statement for the same
  ///   key does.
  private static func whileThere(key: SQL, of table: SQL, _ statement: SQL) -> [SQL] {
    whileThere("STATISTICS WHERE TABLE_NAME = '\(table)' AND INDEX_NAME = '\(key)'", statement)
  }

  /// Runs a statement only while the key does not exist, because MySQL has no ADD KEY IF NOT EXISTS.
  ///
  /// - Parameter statement: A statement without quotes that adds the key.
  private static func whileMissing(key: SQL, of table: SQL, _ statement: SQL) -> [SQL] {
    step("STATISTICS WHERE TABLE_NAME = '\(table)' AND INDEX_NAME = '\(key)'", "= 0", statement)
  }

  private static func whileThere(column: SQL, of table: SQL, _ statement: SQL) -> [SQL] {
    whileThere("COLUMNS WHERE TABLE_NAME = '\(table)' AND COLUMN_NAME = '\(column)'", statement)
  }

  private static func whileThere(_ place: SQL, _ statement: SQL) -> [SQL] { step(place, "> 0", statement) }

  private static func step(_ place: SQL, _ count: SQL, _ statement: SQL) -> [SQL] {
    [
      """
      SET @qudo_step = IF((SELECT COUNT(*) FROM information_schema.\(place) AND TABLE_SCHEMA = DATABASE()) \(count), '\(statement)', 'DO 0')
      """, "PREPARE qudo_step FROM @qudo_step", "EXECUTE qudo_step", "DEALLOCATE PREPARE qudo_step",
    ]
  }
}
#endif
