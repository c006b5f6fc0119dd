/// A driver that reports on its database for monitoring. Where a call says so, its cost does not grow with the waiting
/// jobs.
package protocol ObservedDriver: LogDriver {
  /// Returns how long jobs have been ready, without reading all of them: one look for each kind and priority, and one
  /// row for each delayed job that is due and that no claim has promoted yet.
  ///
  /// - Parameters:
  ///   - kinds: The kinds to look at; nil for all.
  ///   - most: How many ready jobs to count at most, of all kinds that are not paused.
  func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog

  /// Returns the sizes of the logs and of the files. It counts the rows of both logs.
  func sizes() async throws(QudoError) -> DatabaseSizes

  /// Returns the numbers of rows of the logs, at a cost that does not grow with the rows beyond `most`.
  ///
  /// - Parameter most: How many rows of each log to count at most.
  func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts

  /// Returns the figures that a dashboard shows, of one moment where ``QueueFigures/isExact`` says so.
  ///
  /// It counts the waiting jobs as ``Driver/count(_:)`` does, and reads a bounded number of everything else. It reads no
  /// payload.
  ///
  /// - Parameter limit: The maximum number of running jobs, and of rows of each log.
  func figures(limit: Int) async throws(QudoError) -> QueueFigures
}

/// The ready jobs of a database, as far as monitoring asks.
package struct Backlog: Hashable, Sendable {
  /// The ready jobs of one kind.
  package struct Oldest: Hashable, Sendable {
    package var kind: Kind
    /// The time for which the kind's longest-waiting ready job has been due, by the database's clock. For a job whose lease expired:
    /// how long ago that was, or zero if its holder died before.
    package var age: Duration
    /// Whether the kind, or everything, is paused.
    package var isPaused: Bool

    /// Creates a value; for drivers.
    package init(kind: Kind, age: Duration, isPaused: Bool) {
      (self.kind, self.age, self.isPaused) = (kind, age, isPaused)
    }
  }

  /// The kinds with ready jobs, by name.
  package var oldest: [Oldest]
  /// The number of ready jobs of the kinds that are not paused, or the number up to which the caller counts.
  package var ready: Int
  /// Whether a living process has the database open and has looked there for jobs; nil if the database does not tell.
  package var hasWorker: Bool?

  /// Creates a value; for drivers.
  package init(oldest: [Oldest] = [], ready: Int = 0, hasWorker: Bool? = nil) {
    (self.oldest, self.ready, self.hasWorker) = (oldest, ready, hasWorker)
  }
}

/// The numbers of rows of a database's logs, as far as they were counted.
package struct LogRowCounts: Hashable, Sendable {
  /// The rows of the failure log, or the number up to which the caller counts.
  package var failures: Int
  /// The rows of the status log, or the number up to which the caller counts.
  package var statuses: Int
  /// How many rows the failure log has ever had; nil if the database does not tell.
  package var failuresEver: Int64?

  /// Creates a value; for drivers.
  package init(failures: Int, statuses: Int, failuresEver: Int64? = nil) {
    (self.failures, self.statuses, self.failuresEver) = (failures, statuses, failuresEver)
  }
}

/// The sizes of a database's logs and files.
package struct DatabaseSizes: Hashable, Sendable {
  /// The number of rows of the failure log, by kind.
  package var failures: [Kind: Int]
  /// The number of rows of the status log, by kind.
  package var statuses: [Kind: Int]
  /// How many rows the failure log has ever had; nil if the database does not tell.
  package var failuresEver: Int64?
  /// The size of the database file in bytes; nil for a server.
  package var fileBytes: Int64?
  /// The size of the `-wal` in bytes; nil for a server.
  package var walBytes: Int64?

  /// Creates a value; for drivers.
  package init(
    failures: [Kind: Int] = [:], statuses: [Kind: Int] = [:], failuresEver: Int64? = nil,
    fileBytes: Int64? = nil, walBytes: Int64? = nil
  ) {
    (self.failures, self.statuses, self.failuresEver) = (failures, statuses, failuresEver)
    (self.fileBytes, self.walBytes) = (fileBytes, walBytes)
  }
}
