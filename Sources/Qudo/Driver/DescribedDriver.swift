/// What only some drivers can tell.
public protocol DescribedDriver: Driver {
  /// What the database is, and what time it is there.
  func describe() async throws(QudoError) -> DatabaseDescription
}

/// What a database says of itself.
public struct DatabaseDescription: Hashable, Sendable {
  /// The software and its version: `SQLite 3.45.0`.
  public var version: String
  /// Its clock; nil where it goes by this machine's.
  public var clock: Timestamp?

  /// For drivers.
  public init(version: String, clock: Timestamp? = nil) {
    self.version = version
    self.clock = clock
  }
}
