package import Qudo

extension SQLiteDriver: DescribedDriver {
  /// Returns the version of the SQLite library. It names no server clock: a file uses the driver's own clock.
  package func describe() async throws(QudoError) -> DatabaseDescription {
    DatabaseDescription(version: "SQLite \(Self.libraryVersion)")
  }
}
