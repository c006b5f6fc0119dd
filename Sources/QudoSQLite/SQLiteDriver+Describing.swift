package import Qudo

extension SQLiteDriver: DescribedDriver {
  /// The version of the library. A file goes by the clock of the machine, or of the driver.
  package func describe() async throws(QudoError) -> DatabaseDescription {
    DatabaseDescription(version: "SQLite \(Self.libraryVersion)")
  }
}
