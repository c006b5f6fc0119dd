#if MySQL
package import Qudo

extension MySQLDriver: DescribedDriver {
  /// Returns the server's version and clock time; connects if necessary.
  package func describe() async throws(QudoError) -> DatabaseDescription {
    let facts = try await connect()
    let now = try await pool.transact { transaction throws(QudoError) in
      try transaction.look("SELECT @n").next()?.integer(0)
    }
    return DatabaseDescription(
      version: "\(facts.isMariaDB ? "MariaDB" : "MySQL") \(facts.version.prefix { $0 != "-" })",
      clock: now.map { Timestamp(microseconds: $0) })
  }
}

extension MySQLDriver: ObservedDriver {
  /// A server does not tell whether a worker is there.
  package func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog {
    try await pool.transact { transaction throws(QudoError) in
      try transaction.backlog(kinds, countingUpTo: most)
    }
  }

  package func sizes() async throws(QudoError) -> DatabaseSizes {
    try await pool.transact { transaction throws(QudoError) in try transaction.sizes() }
  }

  package func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts {
    try await pool.transact { transaction throws(QudoError) in try transaction.logRows(countingUpTo: most) }
  }

  package func figures(limit: Int) async throws(QudoError) -> QueueFigures {
    let limit = max(limit, 0)
    return try await pool.transact { transaction throws(QudoError) in try transaction.figures(limit: limit) }
  }
}
#endif
