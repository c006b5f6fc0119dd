package import Qudo

extension SQLiteDriver: DescribedDriver {
  /// Returns the version of the SQLite library. It names no server clock: a file uses the driver's own clock.
  package func describe() async throws(QudoError) -> DatabaseDescription {
    DatabaseDescription(version: "SQLite \(Self.libraryVersion)")
  }
}

extension SQLiteDriver: ObservedDriver {
  package func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog {
    var backlog = try await reader.read { snapshot throws(QudoError) in
      try snapshot.backlog(kinds, countingUpTo: most)
    }
    backlog.hasWorker = knownWorker(backlog.hasWorker)
    return backlog
  }

  package func sizes() async throws(QudoError) -> DatabaseSizes {
    try await reader.read { snapshot throws(QudoError) in try snapshot.sizes(path: snapshot.connection.path) }
  }

  package func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts {
    try await reader.read { snapshot throws(QudoError) in try snapshot.logRows(countingUpTo: most) }
  }

  package func figures(limit: Int) async throws(QudoError) -> QueueFigures {
    var figures = try await reader.read { snapshot throws(QudoError) in
      try snapshot.figures(limit: limit, path: snapshot.connection.path)
    }
    figures.hasWorker = knownWorker(figures.hasWorker)
    return figures
  }

  /// The kernel tells a driver only of the locks of others, and this driver may have a worker of its own.
  private func knownWorker(_ isElsewhere: Bool?) -> Bool? { isElsewhere == true ? true : nil }
}
