#if MySQL
internal import Qudo

/// The tables. Each version is a migration from the one before; what one of them did is never changed afterwards.
///
/// Where a job is says what state it is in: `qudo_job` has each live job once; thin tables beside it hold the ready, in
/// the order in which they are claimed, the delayed and the running.
///
/// A server commits by itself before and after each CREATE or ALTER, so that a migration is not one transaction: each of
/// its statements can be run again after it was done, and the row that says that the version is there comes last.
///
/// `ranking` is the priority with the other sign: `rank` is a word of MySQL 8's own. Texts are binary: compared and given
/// back as bytes, without padding and folding. Times are in microseconds since 1970, UTC.
enum Schema {
  struct Migration: Sendable {
    let version: Int64
    /// The lowest versions of the schema whose Qudo may still read and write the database after it.
    let lowestReader: Int64
    let lowestWriter: Int64
    let statements: [SQL]
  }

  static let version: Int64 = 2

  static let migrations = [
    Migration(version: 1, lowestReader: 1, lowestWriter: 1, statements: first),
    // Who knows version 1 leaves receipts of its own in qudo_receipt.
    Migration(version: 2, lowestReader: 1, lowestWriter: 1, statements: lanes),
  ]

  static func record(_ migration: Migration) -> SQL {
    """
    INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer)
      SELECT \(migration.version), \(Transaction.serverTime), \(migration.lowestReader), \(migration.lowestWriter)
      FROM (SELECT 1 AS one) AS nothing WHERE NOT EXISTS (SELECT 1 FROM qudo_schema WHERE version = \(migration.version))
    """
  }

  /// All of it as a script that makes an empty database what a first start makes of it.
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

  /// A receipt for each lane's last transaction, instead of one for each transaction.
  private static let lanes: [SQL] = [
    """
    CREATE TABLE IF NOT EXISTS qudo_lane(
      lane BINARY(16) NOT NULL, part INT NOT NULL, number BIGINT NOT NULL, job BIGINT NOT NULL, expires BIGINT NOT NULL,
      PRIMARY KEY(lane, part)) ENGINE = InnoDB
    """
  ]
}
#endif
