#if MySQL
internal import Qudo

extension DatabaseOpener {
  /// Migrates the tables to this version. If ten processes arrive at the same time, one of them migrates and the
  /// others wait for it.
  ///
  /// This costs nothing if the tables have this version. An empty database gets its tables in three round
  /// trips, or in more if the server is slow.
  ///
  /// - Parameters:
  ///   - found: The result of ``DatabaseIdentity/read``, the last query on the connection.
  ///   - silence: How long the server may be silent.
  /// - Returns: The database's identity.
  static func prepare(
    _ connection: Connection, timeout: Duration, migrations: [Schema.Migration] = Schema.migrations,
    found: Result<Rows?, QudoError>,
    silence: Duration = .seconds(30)
  ) throws(QudoError) -> DatabaseIdentity? {
    let latest = migrations.last?.version ?? 0
    if let version = try version(found, latest), version >= latest {
      let rows = try found.get()
      rows?.rewind()
      return DatabaseIdentity(rows)
    }
    // "a lock name ... maximum length of 64 characters", and the name belongs to the server, not to the
    // database.
    let lock: SQL = "CONCAT('qudo:', SHA1(DATABASE()))"
    let start = ContinuousClock.now
    let results = try connection.run(["ROLLBACK", "SELECT GET_LOCK(\(lock), 1)", tables])
    let trip = ContinuousClock.now - start
    // Statements that only read have begun a transaction as well.
    var isReleased = false
    defer { if !isReleased { _ = try? connection.run(["COMMIT", "DO RELEASE_LOCK(\(lock))"]) } }
    var names = results[2].rows?.map { $0.text(0).lowercased() } ?? []
    if results[1].rows?.next()?.integer(0) != 1 {
      try take(lock, connection, timeout)
      names = try connection.run(tables).rows?.map { $0.text(0).lowercased() } ?? []
    }
    guard !names.isEmpty else {
      let rows = try make(migrations, connection, releasing: lock, silence: silence, trip: trip)
      isReleased = true
      return DatabaseIdentity(rows)
    }
    guard names.contains("qudo_schema") else {
      throw QudoError(
        .foreignSchema, "the database has foreign tables with qudo_ names: use another database")
    }
    let version =
      try version(Result { () throws(QudoError) in try connection.run(schemaVersion).rows }, latest) ?? 0
    for migration in migrations where migration.version > version {
      for statement in migration.statements + [Schema.record(migration)] {
        try apply(statement, of: migration, connection)
      }
    }
    return try DatabaseIdentity(connection.run([DatabaseIdentity.read, "COMMIT"]).first?.rows)
  }

  /// - Parameter found: The result of ``DatabaseIdentity/read``.
  /// - Returns: The identity of a database that was in use before; nil if it was not found.
  static func identity(_ found: Result<Rows?, QudoError>) throws(QudoError) -> DatabaseIdentity? {
    let rows = try found.get()
    _ = try version(found, Schema.version)
    rows?.rewind()
    return DatabaseIdentity(rows)
  }

  private static let tables: SQL =
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'qudo\\_%'"

  /// Fails if Qudo's tables are missing.
  private static let schemaVersion: SQL =
    "SELECT version, lowest_writer FROM qudo_schema ORDER BY version DESC LIMIT 1"

  /// Creates all tables of an empty database, in as few texts as the permitted silence of the server allows:
  /// the server answers a text only when all of it is done.
  ///
  /// - Parameters:
  ///   - silence: How long the server may be silent.
  ///   - trip: The duration of a round trip.
  /// - Returns: The result of ``DatabaseIdentity/read``.
  private static func make(
    _ migrations: [Schema.Migration], _ connection: Connection, releasing lock: SQL, silence: Duration,
    trip: Duration
  ) throws(QudoError) -> Rows? {
    let statements = migrations.flatMap { migration in
      (migration.statements + [Schema.record(migration)]).map { (migration, $0) }
    }
    // Other processes may be creating tables as well, and each waits for the server's data dictionary.
    let begin: [SQL] = [
      "SET @qudo_wait = @@SESSION.innodb_lock_wait_timeout", "SET SESSION innodb_lock_wait_timeout = 10",
    ]
    let end: [SQL] = [
      DatabaseIdentity.read, "COMMIT", "SET SESSION innodb_lock_wait_timeout = @qudo_wait",
      "DO RELEASE_LOCK(\(lock))",
    ]
    var rest = statements[...]
    // The first statement shows how long each of them takes.
    var count = 1
    var identity: Rows?
    while !rest.isEmpty {
      let part = rest.prefix(count)
      rest = rest.dropFirst(count)
      let before = part.startIndex == 0 ? begin : []
      let start = ContinuousClock.now
      var results: [StatementResult] = []
      do {
        try connection.run(before + part.map { $0.1 } + (rest.isEmpty ? end : []), into: &results)
      } catch {
        let index = part.startIndex + results.count - before.count
        guard error.code == .database, part.indices.contains(index) else { throw error }
        throw inTheWay(of: part[index].0, error)
      }
      if rest.isEmpty, results.count >= end.count { identity = results[results.count - end.count].rows }
      let each = max(.milliseconds(1), (ContinuousClock.now - start - trip) / part.count)
      count = max(1, Int(min(1000, silence / 8 / each)))
    }
    return identity
  }

  private static func take(_ lock: SQL, _ connection: Connection, _ timeout: Duration) throws(QudoError) {
    let deadline = ContinuousClock.now + timeout
    // Wait one second at a time, so that no read timeout interrupts the wait.
    while try connection.run("SELECT GET_LOCK(\(lock), 1)").rows?.next()?.integer(0) != 1 {
      guard .now < deadline else {
        throw QudoError(
          .busy, "another process was still creating the tables at the timeout: try again later")
      }
    }
  }

  private static func apply(_ statement: SQL, of migration: Schema.Migration, _ connection: Connection)
    throws(QudoError)
  {
    do {
      try connection.run([statement, "COMMIT"])
    } catch  where error.code == .database {
      throw inTheWay(of: migration, error)
    }
  }

  private static func inTheWay(of migration: Schema.Migration, _ error: QudoError) -> QudoError {
    QudoError(
      .foreignSchema,
      """
      a foreign object blocks the migration to schema \(migration.version): remove it, or use another \
      database
      """,
      cause: error.cause)
  }

  /// - Returns: Nil if the table with the versions is missing.
  private static func version(_ found: Result<Rows?, QudoError>, _ latest: Int64) throws(QudoError) -> Int64?
  {
    let rows: Rows?
    do {
      rows = try found.get()
    } catch  where error.mysql?.code == 1146 {
      return nil
    } catch  where error.code == .database {
      throw QudoError(
        .foreignSchema, "the database has foreign tables with qudo_ names: use another database",
        cause: error.cause)
    }
    // A migration began and did not finish.
    guard let row = rows?.next() else { return 0 }
    guard row.integer(1) <= latest else {
      throw QudoError(
        .newerSchema,
        """
        a newer Qudo migrated the database to schema \(row.integer(0)), and this one knows \(latest): \
        update this program
        """)
    }
    return max(row.integer(0), 0)
  }
}
#endif
