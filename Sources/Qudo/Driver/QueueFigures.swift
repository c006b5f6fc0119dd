/// The figures of a database that a dashboard shows. See ``ObservedDriver/figures(limit:)``.
package struct QueueFigures: Hashable, Sendable {
  /// A job under a lease, without its payload.
  package struct RunningJob: Hashable, Sendable {
    package var id: Int64
    package var kind: Kind
    /// The number of the run, from 1.
    package var attempt: Int
    /// The time from which the run could have begun.
    package var dueAt: Timestamp
    /// The time of the claim; nil if the database does not record it.
    package var startedAt: Timestamp?
    /// The process that holds the job, in its own process namespace; nil if the database does not record it.
    package var processID: Int64?

    /// Creates a value; for drivers.
    package init(
      id: Int64, kind: Kind, attempt: Int, dueAt: Timestamp, startedAt: Timestamp?, processID: Int64?
    ) {
      (self.id, self.kind, self.attempt, self.dueAt) = (id, kind, attempt, dueAt)
      (self.startedAt, self.processID) = (startedAt, processID)
    }
  }

  /// A row of the failure log, without its message and payload.
  package struct FailedRun: Hashable, Sendable {
    package var id: Int64
    package var kind: Kind
    package var reason: FailureReason
    package var failedAt: Timestamp

    /// Creates a value; for drivers.
    package init(id: Int64, kind: Kind, reason: FailureReason, failedAt: Timestamp) {
      (self.id, self.kind, self.reason, self.failedAt) = (id, kind, reason, failedAt)
    }
  }

  /// A row of the status log, without its payload.
  package struct EndedRun: Hashable, Sendable {
    package var id: Int64
    package var kind: Kind
    package var status: RunStatus
    package var startedAt: Timestamp
    package var endedAt: Timestamp

    /// Creates a value; for drivers.
    package init(id: Int64, kind: Kind, status: RunStatus, startedAt: Timestamp, endedAt: Timestamp) {
      (self.id, self.kind, self.status) = (id, kind, status)
      (self.startedAt, self.endedAt) = (startedAt, endedAt)
    }
  }

  /// The time by the database's clock.
  package var now: Timestamp
  /// Whether all figures are of one moment, and each id up to ``highestID`` was given to a job. Otherwise the differences of two
  /// of them are estimates.
  package var isExact: Bool
  /// The jobs by kind and state, by the kinds' names.
  package var counts: [JobCount] = []
  /// The time for which jobs have been ready, by the kinds' names.
  package var oldest: [Backlog.Oldest] = []
  /// As in ``Backlog``.
  package var hasWorker: Bool?
  /// The pauses that have not ended.
  package var pauses: [Pause] = []
  /// The highest id that was given to a job; nil if the database does not tell.
  package var highestID: Int64?
  /// The running jobs with the lowest ids.
  package var running: [RunningJob] = []
  /// The newest rows of the failure log, newest first.
  package var failures: [FailedRun] = []
  /// The newest rows of the status log, newest first.
  package var ended: [EndedRun] = []
  /// The size of the database file in bytes; nil for a server.
  package var fileBytes: Int64?
  /// The size of the `-wal` in bytes; nil for a server.
  package var walBytes: Int64?

  /// The processor time that it took to read the figures; nil if they were read by another machine, or it is unknown.
  package var cost: Duration?

  /// Creates figures without any job; for drivers.
  package init(now: Timestamp, isExact: Bool) { (self.now, self.isExact) = (now, isExact) }
}
