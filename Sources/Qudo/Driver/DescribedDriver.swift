/// What only some drivers can tell.
package protocol DescribedDriver: Driver {
  /// What the database is, and what time it is there.
  func describe() async throws(QudoError) -> DatabaseDescription
}

/// What a database says of itself.
package struct DatabaseDescription: Hashable, Sendable {
  /// The software and its version: `SQLite 3.45.0`.
  package var version: String
  /// Its clock; nil where it goes by this machine's.
  package var clock: Timestamp?
  /// The number of open drivers, of all processes, that have claimed jobs of it. One that has found none to claim yet does not count.
  /// Nil where that is not known.
  package var workers: Int?
  /// Whether a process has it open to enqueue or to work. Nil where that is not known.
  package var isOpen: Bool?

  /// For drivers.
  package init(version: String, clock: Timestamp? = nil, workers: Int? = nil, isOpen: Bool? = nil) {
    self.version = version
    self.clock = clock
    self.workers = workers
    self.isOpen = isOpen
  }
}
