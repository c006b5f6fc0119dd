internal import CSQLite
internal import Logging
internal import Qudo

extension DatabaseOpener {
  /// Facts stored in a file that never change while it is open.
  struct Stored {
    let name: String
    /// 16 random bytes that identify the file; only its copies have the same.
    let generation: [UInt8]
  }

  /// Migrates and checks the file in one transaction. If processes open a new file at once, one migrates it.
  static func prepare(
    _ connection: Connection, name: String, now: ClockReading,
    migrations: [Schema.Migration] = Schema.migrations,
    logger: Logger = Logger(label: "qudo")
  ) throws(QudoError) -> Stored {
    try connection.run("BEGIN IMMEDIATE")
    do {
      let version = try migrate(connection, now: now.wall, migrations)
      try SchemaCheck(connection).check(version: version, logger)
      let name = try keep(name, connection)
      let generation = try generation(connection)
      try adoptOrphans(connection)
      try connection.run("COMMIT")
      return Stored(name: name, generation: generation)
    } catch {
      try? connection.endTransaction()
      throw error
    }
  }

  /// - Returns: The schema version of the file afterwards.
  private static func migrate(_ connection: Connection, now: Timestamp, _ migrations: [Schema.Migration])
    throws(QudoError) -> Int64
  {
    let version = try currentVersion(connection)
    for migration in migrations where migration.version > version {
      do {
        try connection.execute(migration.sql)
      } catch  where error.code == .database {
        throw QudoError(
          .foreignSchema,
          "cannot create schema \(migration.version) because of foreign tables or indexes: "
            + "remove them, or use another file", cause: error.cause)
      }
      try connection.run(
        "INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer) VALUES(?, ?, ?, ?)",
        .integer(migration.version),
        .integer(now.microseconds), .integer(migration.lowestReader), .integer(migration.lowestWriter))
    }
    return max(version, migrations.last?.version ?? 0)
  }

  /// Stores the name in a file without one.
  ///
  /// - Returns: The file's name, which may be an earlier one.
  private static func keep(_ name: String, _ connection: Connection) throws(QudoError) -> String {
    try connection.run("INSERT OR IGNORE INTO qudo_info(key, value) VALUES('name', ?)", .text(name))
    var stored = name
    try connection.each("SELECT value FROM qudo_info WHERE key = 'name'") { row throws(QudoError) in
      stored = row.text(0)
    }
    return stored
  }

  /// Adds the missing instances of running jobs, which another program may have deleted. They count as dead.
  private static func adoptOrphans(_ connection: Connection) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_instance(id, boot, locked, pid, opened_at)
      SELECT DISTINCT instance, '', 1, 0, 0 FROM qudo_running WHERE instance NOT IN (SELECT id FROM qudo_instance)
      """)
  }

  private static func generation(_ connection: Connection) throws(QudoError) -> [UInt8] {
    var stored: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'generation'") { row throws(QudoError) in
      stored = row.blob(0)
    }
    guard stored.count == 16 else {
      throw QudoError(
        .corrupt,
        "qudo_info has no valid generation: another program modified the file. Restore it from a backup")
    }
    return stored
  }

  private static func currentVersion(_ connection: Connection) throws(QudoError) -> Int64 {
    let schema = try SchemaCheck(connection)
    guard !schema.isEmpty else { return 0 }
    try schema.checkVersions()
    let version: Int64?
    let lowest: Int64?
    do {
      version = try connection.integer("SELECT max(version) FROM qudo_schema")
      lowest = try connection.integer("SELECT lowest_writer FROM qudo_schema ORDER BY version DESC LIMIT 1")
    } catch  where error.code == .database {
      throw QudoError(
        .foreignSchema, "the file has foreign tables with qudo_ names: use another file", cause: error.cause)
    }
    guard let version, let lowest else {
      throw QudoError(.foreignSchema, "the file has a qudo_schema table without a version: use another file")
    }
    guard lowest <= Schema.version else {
      throw QudoError(
        .newerSchema,
        "the file has schema \(version), and this Qudo knows \(Schema.version): update this program")
    }
    return version
  }
}
