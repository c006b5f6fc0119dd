#if MySQL
package import Qudo

/// A connection with the driver's session settings, for statements that benchmarks compare with the driver.
package final class RawConnection {
  private let connection: Connection
  /// A `MYSQL *`, used by one thread at a time, and valid as long as this object exists.
  package var handle: UnsafeMutableRawPointer { UnsafeMutableRawPointer(connection.handle) }
  package let facts: MySQLServerFacts

  /// Connects, without creating tables.
  package init(_ server: DatabaseServer) throws(QudoError) {
    (connection, facts, _) = try DatabaseOpener.connect(Settings(server))
    try connection.run("SET SESSION autocommit = 1")
  }
}

extension MySQLDriver {
  /// The number of round trips of this driver, except those that set connections up.
  package var roundTrips: Int { pool.access.roundTrips.withLock { $0 } }
}
#endif
