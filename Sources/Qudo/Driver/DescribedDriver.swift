/// A driver that can describe its database.
package protocol DescribedDriver: Driver {
  /// Returns the version, the clock and the users of the database.
  func describe() async throws(QudoError) -> DatabaseDescription
}

/// The version, clock and users of a database.
package struct DatabaseDescription: Hashable, Sendable {
  /// The database software and its version: `SQLite 3.45.0`.
  package var version: String
  /// The time by the database's clock; nil if it uses this machine's.
  package var clock: Timestamp?
  /// The number of open drivers, of all processes, that have claimed jobs; nil if unknown. A driver that has
  /// not yet found a job to claim does not count.
  package var workers: Int?
  /// Whether a process has the database open to enqueue or to work; nil if unknown.
  package var isOpen: Bool?

  /// Creates a description; for drivers.
  package init(version: String, clock: Timestamp? = nil, workers: Int? = nil, isOpen: Bool? = nil) {
    self.version = version
    self.clock = clock
    self.workers = workers
    self.isOpen = isOpen
  }
}
