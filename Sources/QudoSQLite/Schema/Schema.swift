/// The tables, as migrations. Each version migrates from the one before; a published migration never changes.
///
/// `qudo_job` has each live job once, and a claim does not rewrite it. A job's state is the thin table that lists it:
/// `qudo_ready`, `qudo_delayed` or `qudo_running`, each in read order. Against one table with partial indexes, at
/// `normal` and with 2 KiB pages, batches of 100 settled and claimed 460,000 jobs/s instead of 353,000. One at a time it
/// was 52,000 instead of 36,000.
///
/// Columns whose use is to come are nullable: an unused one costs its byte of row header. ALTER TABLE adds a column of `qudo_job` after the
/// payload, so that reading it reads the whole payload of such a job; what claims read has a table of its own, as groups have.
enum Schema {
  struct Migration {
    let version: Int64
    /// The lowest versions of the schema whose Qudo may still read and write the file after it. An older Qudo may read it if what it lists
    /// is still true, and write to it if what it enqueues, claims, settles and overwrites is still right. ``SchemaCheck`` lets it pass
    /// columns at the end of a table. The other way round, no newer Qudo reads a file before it has migrated it.
    let lowestReader: Int64
    let lowestWriter: Int64
    let sql: String
  }

  static let version: Int64 = 16

  static let migrations = [
    Migration(version: 1, lowestReader: 1, lowestWriter: 1, sql: first),
    Migration(version: 2, lowestReader: 1, lowestWriter: 1, sql: second),
    Migration(version: 3, lowestReader: 1, lowestWriter: 1, sql: third),
    Migration(version: 4, lowestReader: 4, lowestWriter: 4, sql: fourth),
    Migration(version: 5, lowestReader: 5, lowestWriter: 5, sql: fifth),
    Migration(version: 6, lowestReader: 5, lowestWriter: 5, sql: sixth),
    Migration(version: 7, lowestReader: 5, lowestWriter: 7, sql: seventh),
    Migration(version: 8, lowestReader: 5, lowestWriter: 7, sql: eighth),
    Migration(version: 9, lowestReader: 5, lowestWriter: 9, sql: ninth),
    Migration(version: 10, lowestReader: 5, lowestWriter: 9, sql: tenth),
    Migration(version: 11, lowestReader: 5, lowestWriter: 9, sql: eleventh),
    Migration(version: 12, lowestReader: 12, lowestWriter: 12, sql: twelfth),
    Migration(version: 13, lowestReader: 12, lowestWriter: 13, sql: thirteenth),
    Migration(version: 14, lowestReader: 14, lowestWriter: 14, sql: fourteenth),
    Migration(version: 15, lowestReader: 15, lowestWriter: 15, sql: fifteenth),
    Migration(version: 16, lowestReader: 16, lowestWriter: 16, sql: sixteenth),
  ]

  /// A script that sets up an empty file like its first opening.
  static var script: String {
    // The page size first: it holds from the first write on. `applied_at` is in microseconds.
    var parts = ["PRAGMA page_size = 2048;\nPRAGMA journal_mode = WAL;\nBEGIN IMMEDIATE;"]
    for migration in migrations {
      parts.append(
        """
        -- version \(migration.version)
        \(migration.sql)
        INSERT INTO qudo_schema VALUES(
          \(migration.version), CAST(strftime('%s', 'now') AS INTEGER) * 1000000, \(migration.lowestReader), \(migration.lowestWriter));
        """)
    }
    return (parts + ["COMMIT;"]).joined(separator: "\n") + "\n"
  }

  /// Adds the rates of concurrency keys. A Qudo of version 15 would begin jobs without a token, so it may not write any more.
  ///
  /// `qudo_key_rule` gets another name, so that older programs that have the file open fail when they enqueue or end a job of a key with a
  /// rule. They then read `qudo_schema`, and end. An older reader would miss the table, so it may not read either.
  private static let sixteenth = """
    CREATE TABLE qudo_key(
      kind INTEGER NOT NULL, key TEXT NOT NULL, most INTEGER NOT NULL, stops INTEGER NOT NULL, rate TEXT,
      PRIMARY KEY(kind, key)) WITHOUT ROWID;
    INSERT INTO qudo_key(kind, key, most, stops) SELECT kind, key, most, stops FROM qudo_key_rule;
    DROP TABLE qudo_key_rule;
    CREATE TABLE qudo_key_rate(
      kind INTEGER NOT NULL, key TEXT NOT NULL, rate TEXT, full_at INTEGER NOT NULL, written_at INTEGER NOT NULL,
      spacing INTEGER NOT NULL, throttled_until INTEGER NOT NULL,
      PRIMARY KEY(kind, key)) WITHOUT ROWID;
    CREATE INDEX qudo_key_rate_full ON qudo_key_rate(full_at) WHERE rate IS NULL;
    ALTER TABLE qudo_failure ADD COLUMN concurrency_rate TEXT;
    """

  /// Adds the stops of concurrency keys. A Qudo of version 14 would let a stopped key go on, so it may not write any more.
  ///
  /// `qudo_key_limit` gets another name, so that older programs that have the file open fail when they enqueue or end a job of a key: each
  /// of these transactions reads it. They then read `qudo_schema`, and end. An older reader would miss the table, so it may not read either.
  private static let fifteenth = """
    CREATE TABLE qudo_key_rule(
      kind INTEGER NOT NULL, key TEXT NOT NULL, most INTEGER NOT NULL, stops INTEGER NOT NULL,
      PRIMARY KEY(kind, key)) WITHOUT ROWID;
    INSERT INTO qudo_key_rule(kind, key, most, stops) SELECT kind, key, most, 0 FROM qudo_key_limit;
    DROP TABLE qudo_key_limit;
    CREATE TABLE qudo_stop(
      failure INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL, at INTEGER NOT NULL);
    CREATE INDEX qudo_stop_key ON qudo_stop(kind, key);
    ALTER TABLE qudo_failure ADD COLUMN concurrency_stops INTEGER;
    """

  /// Adds the groups of jobs, and their places. A Qudo of version 13 would leave behind the rows of jobs that it ends, and would find no
  /// ready job of a group by its due time, so it cannot read the file any more.
  ///
  /// `qudo_place` gets another name, so that programs of versions 12 and 13 that have the file open fail: each of their transactions reads it
  /// that follows a commit of another connection, and one that changed a ready job of a group would file it twice. They then read
  /// `qudo_schema`, and end.
  private static let fourteenth = """
    CREATE TABLE qudo_admitted(
      kind INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL,
      PRIMARY KEY(kind, key, job)) WITHOUT ROWID;
    INSERT INTO qudo_admitted(kind, key, job) SELECT kind, key, job FROM qudo_place;
    DROP TABLE qudo_place;
    CREATE TABLE qudo_group(
      job INTEGER PRIMARY KEY, kind INTEGER NOT NULL, rank INTEGER NOT NULL, grp TEXT NOT NULL, place INTEGER);
    CREATE INDEX qudo_group_place ON qudo_group(kind, grp, rank, place) WHERE place IS NOT NULL;
    ALTER TABLE qudo_failure ADD COLUMN grp TEXT;
    """

  /// Adds the throttles of unique keys. A Qudo of version 12 would let no key rest, and enqueue while one does, so it may
  /// not write any more. One that has the file open continues without rests; the rows that it leaves behind are orphans.
  private static let thirteenth = """
    CREATE TABLE qudo_rest(
      job INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL, throttle INTEGER NOT NULL, ends INTEGER);
    CREATE INDEX qudo_rest_key ON qudo_rest(kind, key) WHERE ends IS NOT NULL;
    CREATE INDEX qudo_rest_ends ON qudo_rest(ends) WHERE ends IS NOT NULL;
    """

  /// Adds concurrency keys. A Qudo of version 11 would leave the places of keyed jobs behind, and list held jobs as ready.
  ///
  /// `qudo_cancel` gets another name, so that older programs that have the file open fail: each of their transactions that
  /// follows a commit of another connection reads it, and one that deleted a keyed job would never admit the next one. They
  /// then read `qudo_schema`, and end. Those of versions 5 and 6 do not know the table, so `started` gets another name,
  /// which their claims write.
  private static let twelfth = """
    CREATE TABLE qudo_place(
      kind INTEGER NOT NULL, key TEXT NOT NULL, job INTEGER NOT NULL,
      PRIMARY KEY(kind, key, job)) WITHOUT ROWID;
    CREATE TABLE qudo_held(
      kind INTEGER NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, written INTEGER,
      PRIMARY KEY(kind, key, id)) WITHOUT ROWID;
    CREATE TABLE qudo_key_limit(
      kind INTEGER NOT NULL, key TEXT NOT NULL, most INTEGER NOT NULL,
      PRIMARY KEY(kind, key)) WITHOUT ROWID;
    CREATE TABLE qudo_cancellation(job INTEGER PRIMARY KEY, at INTEGER NOT NULL, reason TEXT);
    INSERT INTO qudo_cancellation SELECT job, at, reason FROM qudo_cancel;
    DROP TABLE qudo_cancel;
    ALTER TABLE qudo_failure ADD COLUMN concurrency_key TEXT;
    ALTER TABLE qudo_failure ADD COLUMN concurrency_limit INTEGER;
    CREATE TABLE qudo_copy AS SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_running;
    DROP TABLE qudo_running;
    CREATE TABLE qudo_running(
      instance INTEGER NOT NULL, ends INTEGER NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, token INTEGER NOT NULL,
      lost_limit INTEGER NOT NULL, claimed_at INTEGER NOT NULL, lease INTEGER NOT NULL,
      PRIMARY KEY(instance, ends, last)) WITHOUT ROWID;
    INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, claimed_at, lease)
      SELECT instance, ends, last, first, token, lost_limit, started, lease FROM qudo_copy;
    DROP TABLE qudo_copy;
    """

  /// Adds the token buckets of rates. A worker of version 10 states no rate, and obeys none.
  private static let eleventh = """
    CREATE TABLE qudo_rate(
      kind INTEGER PRIMARY KEY, full_at INTEGER NOT NULL, written_at INTEGER NOT NULL, spacing INTEGER NOT NULL,
      throttled_until INTEGER NOT NULL);
    """

  /// Adds schedules. A worker of version 9 enqueues no ticks, and does no harm.
  private static let tenth = """
    CREATE TABLE qudo_schedule(
      name TEXT PRIMARY KEY, kind INTEGER NOT NULL, rule TEXT NOT NULL, missed TEXT NOT NULL, skips_overlap INTEGER NOT NULL,
      rank INTEGER NOT NULL, next_tick INTEGER, last_tick INTEGER, last_job INTEGER, paused INTEGER NOT NULL, reason TEXT,
      version INTEGER NOT NULL, changed_at INTEGER NOT NULL, codec INTEGER NOT NULL, meta BLOB, payload BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX qudo_schedule_next ON qudo_schedule(next_tick) WHERE next_tick IS NOT NULL;
    """

  /// Finds the jobs that expire, and adds where final failures go. A worker of version 8 would claim expired jobs and drop
  /// the jobs that final failures enqueue, so it may not write any more.
  private static let ninth = """
    CREATE INDEX qudo_job_expires ON qudo_job(expires) WHERE expires IS NOT NULL;
    ALTER TABLE qudo_kind ADD COLUMN on_final_failure INTEGER;
    """

  /// Finds what became of a job, by its number and by its unique key. The logs are written by jobs that fail and by kinds
  /// that ask for it; all others pay nothing.
  private static let eighth = """
    CREATE INDEX qudo_failure_job ON qudo_failure(job);
    CREATE INDEX qudo_failure_key ON qudo_failure(kind, unique_key, job) WHERE unique_key IS NOT NULL;
    CREATE INDEX qudo_status_job ON qudo_status(job);
    CREATE INDEX qudo_status_key ON qudo_status(kind, unique_key, job) WHERE unique_key IS NOT NULL;
    """

  /// Adds pauses and the marks of running jobs that are to be cancelled. A worker of version 6 would claim paused jobs
  /// and run cancelled ones again, so it may not write any more.
  private static let seventh = """
    CREATE TABLE qudo_pause(kind INTEGER PRIMARY KEY, paused_at INTEGER NOT NULL, ends INTEGER, reason TEXT);
    CREATE TABLE qudo_cancel(job INTEGER PRIMARY KEY, at INTEGER NOT NULL, reason TEXT);
    """

  /// Adds the time at which a relative delay was set: a clock that shows an earlier time was set back since. Version 5
  /// still writes NULL.
  private static let sixth = """
    ALTER TABLE qudo_delayed ADD COLUMN written INTEGER;
    CREATE INDEX qudo_delayed_written ON qudo_delayed(written) WHERE written IS NOT NULL;
    """

  /// Makes running rows name their instance instead of a boot, and store the lease duration, which bounds the expiry.
  /// Jobs that already run keep their boot, in instances without a kernel lock. `generation` is random for each file.
  ///
  /// No older version can read them: each of its statements names a column that is gone.
  private static let fifth = """
    CREATE TABLE qudo_instance(
      id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, locked INTEGER NOT NULL, pid INTEGER NOT NULL, opened_at INTEGER NOT NULL);
    INSERT INTO qudo_instance(id, boot, locked, pid, opened_at) SELECT id, boot, 0, 0, 0 FROM qudo_boot;
    DROP TABLE qudo_boot;
    CREATE TABLE qudo_copy AS SELECT boot, ends, last, first, token, lost_limit, started FROM qudo_running;
    DROP TABLE qudo_running;
    CREATE TABLE qudo_running(
      instance INTEGER NOT NULL, ends INTEGER NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, token INTEGER NOT NULL,
      lost_limit INTEGER NOT NULL, started INTEGER NOT NULL, lease INTEGER NOT NULL,
      PRIMARY KEY(instance, ends, last)) WITHOUT ROWID;
    INSERT INTO qudo_running(instance, ends, last, first, token, lost_limit, started, lease)
      SELECT boot, ends, last, first, token, lost_limit, started, ends FROM qudo_copy;
    DROP TABLE qudo_copy;
    INSERT INTO qudo_info(key, value) VALUES('generation', randomblob(16));
    """

  /// Makes each row of `qudo_ready` and `qudo_running` an id range, so that a batch takes one row instead of a thousand.
  /// The key contains the last id, because claims and settlements remove ids from the front. Existing jobs get one row
  /// each. Tables are created again rather than altered, because an application's views could prevent an ALTER TABLE.
  ///
  /// No older version can read them: each of its statements names a column that is gone.
  private static let fourth = """
    CREATE TABLE qudo_copy AS SELECT kind, rank, due, id FROM qudo_ready;
    DROP TABLE qudo_ready;
    CREATE TABLE qudo_ready(
      kind INTEGER NOT NULL, rank INTEGER NOT NULL, due INTEGER NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL,
      PRIMARY KEY(kind, rank, due, last)) WITHOUT ROWID;
    INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_copy;
    DROP TABLE qudo_copy;
    CREATE TABLE qudo_copy AS SELECT boot, ends, id, token, lost_limit, started FROM qudo_running;
    DROP TABLE qudo_running;
    CREATE TABLE qudo_running(
      boot INTEGER NOT NULL, ends INTEGER NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, token INTEGER NOT NULL,
      lost_limit INTEGER NOT NULL, started INTEGER NOT NULL,
      PRIMARY KEY(boot, ends, last)) WITHOUT ROWID;
    INSERT INTO qudo_running(boot, ends, last, first, token, lost_limit, started)
      SELECT boot, ends, id, id, token, lost_limit, started FROM qudo_copy;
    DROP TABLE qudo_copy;
    """

  /// The record of imported rows; only imports read it.
  private static let third = """
    CREATE TABLE qudo_import_source(name TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE qudo_import(
      source INTEGER NOT NULL, origin INTEGER NOT NULL, old INTEGER NOT NULL, new INTEGER NOT NULL, print INTEGER NOT NULL,
      PRIMARY KEY(source, origin, old)) WITHOUT ROWID;
    """

  /// A replay uses the unique key's original scope. Version 1 still writes NULL.
  private static let second = """
    ALTER TABLE qudo_failure ADD COLUMN unique_scope INTEGER;
    """

  private static let first = """
    CREATE TABLE qudo_schema(
      version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL,
      lowest_reader INTEGER NOT NULL, lowest_writer INTEGER NOT NULL);
    CREATE TABLE qudo_info(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE qudo_kind(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE qudo_boot(id INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE);
    CREATE TABLE qudo_job(
      id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, rank INTEGER NOT NULL, due INTEGER NOT NULL,
      enqueued INTEGER NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL, state INTEGER NOT NULL,
      codec INTEGER NOT NULL, unique_key TEXT, unique_scope INTEGER, concurrency_key TEXT, expires INTEGER, meta BLOB,
      payload BLOB NOT NULL);
    CREATE UNIQUE INDEX qudo_job_unique ON qudo_job(kind, unique_key) WHERE unique_scope IS NOT NULL;
    CREATE TABLE qudo_ready(
      kind INTEGER NOT NULL, rank INTEGER NOT NULL, due INTEGER NOT NULL, id INTEGER NOT NULL,
      PRIMARY KEY(kind, rank, due, id)) WITHOUT ROWID;
    CREATE TABLE qudo_delayed(
      due INTEGER NOT NULL, id INTEGER NOT NULL, kind INTEGER NOT NULL, rank INTEGER NOT NULL,
      PRIMARY KEY(due, id)) WITHOUT ROWID;
    CREATE TABLE qudo_running(
      boot INTEGER NOT NULL, ends INTEGER NOT NULL, id INTEGER NOT NULL, token INTEGER NOT NULL,
      kind INTEGER NOT NULL, lost_limit INTEGER NOT NULL, started INTEGER NOT NULL,
      PRIMARY KEY(boot, ends, id)) WITHOUT ROWID;
    CREATE TABLE qudo_failure(
      id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, kind INTEGER NOT NULL, attempt INTEGER NOT NULL,
      failed_at INTEGER NOT NULL, reason INTEGER NOT NULL, final INTEGER NOT NULL, message TEXT NOT NULL,
      rank INTEGER NOT NULL, unique_key TEXT, codec INTEGER, meta BLOB, payload BLOB, replayed_as INTEGER);
    CREATE INDEX qudo_failure_kind ON qudo_failure(kind, id);
    CREATE TABLE qudo_status(
      id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, kind INTEGER NOT NULL, status INTEGER NOT NULL,
      started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, unique_key TEXT, codec INTEGER, payload BLOB);
    CREATE INDEX qudo_status_kind ON qudo_status(kind, id);
    CREATE TABLE qudo_receipt(
      key BLOB PRIMARY KEY, job INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO qudo_info VALUES('highest_id', 0);
    """
}
