internal import CSQLite
internal import Logging
internal import Qudo

extension DatabaseOpener {
  /// What stands in a file and is asked for once.
  struct Stored {
    let name: String
    /// 16 random bytes, which no other file has but its copies.
    let generation: [UInt8]
  }

  /// Migrates in one transaction; ten processes that open a new file at once find nine times that it is done.
  static func prepare(
    _ connection: Connection, name: String, now: ClockReading, migrations: [Schema.Migration] = Schema.migrations,
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

  /// - Returns: the version that the file has now.
  private static func migrate(_ connection: Connection, now: Timestamp, _ migrations: [Schema.Migration]) throws(QudoError) -> Int64 {
    let version = try currentVersion(connection)
    for migration in migrations where migration.version > version {
      do {
        try connection.execute(migration.sql)
      } catch where error.code == .database {
        throw QudoError(
          .foreignSchema, "schema \(migration.version) cannot be made, something that is not Qudo's is in the way: remove it, or use another file",
          cause: error.cause)
      }
      try connection.run(
        "INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer) VALUES(?, ?, ?, ?)", .integer(migration.version),
        .integer(now.microseconds), .integer(migration.lowestReader), .integer(migration.lowestWriter))
    }
    return max(version, migrations.last?.version ?? 0)
  }

  /// - Returns: the name that the file had before, if it had one.
  private static func keep(_ name: String, _ connection: Connection) throws(QudoError) -> String {
    try connection.run("INSERT OR IGNORE INTO qudo_info(key, value) VALUES('name', ?)", .text(name))
    var stored = name
    try connection.each("SELECT value FROM qudo_info WHERE key = 'name'") { row throws(QudoError) in stored = row.text(0) }
    return stored
  }

  /// Whoever changed the tables may have left running jobs without a holder. One that nobody is counts as dead.
  private static func adoptOrphans(_ connection: Connection) throws(QudoError) {
    try connection.run(
      """
      INSERT INTO qudo_instance(id, boot, locked, pid, opened_at)
      SELECT DISTINCT instance, '', 1, 0, 0 FROM qudo_running WHERE instance NOT IN (SELECT id FROM qudo_instance)
      """)
  }

  private static func generation(_ connection: Connection) throws(QudoError) -> [UInt8] {
    var stored: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'generation'") { row throws(QudoError) in stored = row.blob(0) }
    guard stored.count == 16 else {
      throw QudoError(.corrupt, "qudo_info has no valid generation: the file was changed by another program. Restore it from a backup")
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
    } catch where error.code == .database {
      throw QudoError(.foreignSchema, "the file has qudo_ tables that are not Qudo's: use another file", cause: error.cause)
    }
    guard let version, let lowest else {
      throw QudoError(.foreignSchema, "the file has a qudo_schema table without a version: use another file")
    }
    guard lowest <= Schema.version else {
      throw QudoError(.newerSchema, "the file has schema \(version), which needs a newer Qudo (this one knows \(Schema.version))")
    }
    return version
  }
}
