#if MySQL
package import Qudo

/// A connection that is set up as the driver's are, for statements of others: what is measured against the driver.
package final class RawConnection {
  private let connection: Connection
  /// A `MYSQL *`, used by one thread at a time, good as long as this object is there.
  package var handle: UnsafeMutableRawPointer { UnsafeMutableRawPointer(connection.handle) }
  package let facts: MySQLServerFacts

  /// Connects, and makes no tables.
  package init(_ server: DatabaseServer) throws(QudoError) {
    (connection, facts, _) = try DatabaseOpener.connect(Settings(server))
    try connection.run("SET SESSION autocommit = 1")
  }
}

extension MySQLDriver {
  /// How often this driver has asked the server and waited for the answer; setting up connections does not count.
  package var roundTrips: Int { pool.access.roundTrips.withLock { $0 } }
}
#endif
