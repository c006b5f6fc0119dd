#if MySQL
internal import Qudo

extension Opening {
  /// Brings the tables up to this version. Of ten that come at once one does it, and the others wait for it.
  static func prepare(
    _ connection: Connection, timeout: Duration, migrations: [Schema.Migration] = Schema.migrations
  ) throws(QudoError) {
    let latest = migrations.last?.version ?? 0
    // What only reads has begun a transaction as well.
    defer { _ = try? connection.run("COMMIT") }
    if try version(connection, latest) >= latest { return }
    // "a lock name ... maximum length of 64 characters", and it is the server's, not the database's.
    let lock: SQL = "CONCAT('qudo:', SHA1(DATABASE()))"
    try take(lock, connection, timeout)
    defer { _ = try? connection.run("DO RELEASE_LOCK(\(lock))") }
    let version = try version(connection, latest)
    for migration in migrations where migration.version > version {
      for statement in migration.statements + [Schema.record(migration)] { try apply(statement, of: migration, connection) }
    }
  }

  private static func take(_ lock: SQL, _ connection: Connection, _ timeout: Duration) throws(QudoError) {
    let deadline = ContinuousClock.now + timeout
    // A second at a time, so that no read time-out comes in between.
    while try connection.run("SELECT GET_LOCK(\(lock), 1)").rows?.next()?.integer(0) != 1 {
      guard .now < deadline else { throw QudoError(.busy, "another process kept making the tables until the time-out: try again later") }
    }
  }

  private static func apply(_ statement: SQL, of migration: Schema.Migration, _ connection: Connection) throws(QudoError) {
    do {
      try connection.run([statement, "COMMIT"])
    } catch where error.code == .database {
      throw QudoError(
        .foreignSchema,
        "schema \(migration.version) cannot be made, something that is not Qudo's is in the way: remove it, or use another database",
        cause: error.cause)
    }
  }

  /// 0 for a database without tables of Qudo.
  private static func version(_ connection: Connection, _ latest: Int64) throws(QudoError) -> Int64 {
    let rows = try connection.run(
      "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'qudo\\_%'")
    let tables = rows.rows?.map { $0.text(0).lowercased() } ?? []
    guard !tables.isEmpty else { return 0 }
    guard tables.contains("qudo_schema") else {
      throw QudoError(.foreignSchema, "the database has qudo_ tables that are not Qudo's: use another database")
    }
    let row: Row?
    let found: Rows?
    do {
      found = try connection.run("SELECT version, lowest_writer FROM qudo_schema ORDER BY version DESC LIMIT 1").rows
      row = found?.next()
    } catch where error.code == .database {
      throw QudoError(.foreignSchema, "the database has qudo_ tables that are not Qudo's: use another database", cause: error.cause)
    }
    // Somebody began and did not come to the end.
    guard let row else { return 0 }
    guard row.integer(1) <= latest else {
      throw QudoError(.newerSchema, "the database has schema \(row.integer(0)), which needs a newer Qudo (this one knows \(latest))")
    }
    return max(row.integer(0), 0)
  }
}
#endif
