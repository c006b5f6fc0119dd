public import Qudo

/// The result of a backup.
public struct BackupReport: Hashable, Sendable {
  /// The database's name, as in its job ids.
  public let database: String
  /// The absolute path of the backup.
  public let file: String
  /// The size of the backup, in bytes.
  public let bytes: Int
  /// The version of the schema in the backup.
  public let schemaVersion: Int
  /// The jobs in the backup, by kind. A job that a worker held when the backup began is running, and a due one is ready.
  /// Nil for the schema of an older Qudo, whose jobs this one does not count.
  public let jobs: [JobCount]?
  /// The time of the backup's state: it has what was committed before, and nothing that was committed later.
  public let takenAt: Timestamp
  /// The duration of the read transaction. Meanwhile no checkpoint was complete, and the WAL grew with each commit.
  public let read: Duration
  /// The total time that writers had to wait so that the WAL did not grow further.
  public let held: Duration
  /// The duration of the backup, including the sync and the check.
  public let took: Duration
}

/// The effects of a restore, planned or done.
public struct RestorePlan: Hashable, Sendable {
  /// The database's name, as in its job ids.
  public let database: String
  /// The absolute path of the restored file.
  public let file: String
  /// The absolute path of the backup.
  public let backup: String
  /// The size of the backup, in bytes.
  public let bytes: Int
  /// The version of the schema in the backup. The restored file has this Qudo's.
  public let schemaVersion: Int
  /// The jobs that will run, by kind: the ready, the delayed and the held ones, and those that were running when the
  /// backup was made, which run again. Those of a paused kind wait until it is resumed. Nil for the schema of an older
  /// Qudo, whose jobs this one does not count before it has migrated them.
  public let jobs: [JobCount]?
  /// The number of jobs of the backup that do not run: they were running, and their cancellation was requested. The restore ends them
  /// as cancelled. Nil if ``jobs`` is.
  public let cancelled: Int?
  /// The number of jobs of the backup that do not run because their expiry has passed by now. The first worker ends them as expired.
  /// Nil if ``jobs`` is.
  public let expired: Int?
  /// The schedules with ticks that have passed since the backup, by name. Their policy for missed ticks decides which
  /// ones a worker catches up on.
  public let overdueSchedules: [OverdueSchedule]
  /// The database that is at the path, which the restore replaces; nil if there is none.
  public let replaced: ReplacedDatabase?

  /// A schedule with ticks that have passed.
  public struct OverdueSchedule: Hashable, Sendable {
    /// The schedule's name.
    public let name: String
    /// The kind of its jobs.
    public let kind: Kind
    /// The first tick that was missed.
    public let nextTick: Timestamp
    /// The policy for missed ticks: `skip`, `latest`, `last:N` or `all:N`.
    public let missed: String
  }
}

/// A database that a restore replaces.
public struct ReplacedDatabase: Hashable, Sendable {
  /// The number of jobs that run although they are no longer in the replaced database: they ended since the backup, and run a second
  /// time. Nil if the backup is not of this database, or if it cannot be read.
  public let ended: Int?
  /// The number of its jobs that are not in the backup: the restore removes them. Nil if the backup is not of this database,
  /// or if it cannot be read.
  public let removed: Int?
  /// Why it cannot be read; nil if it can.
  public let damage: String?
  /// The programs that have it open, such as `process 123 (qudo)`. A restore refuses to replace it as long as there are any.
  public let users: [String]
}
