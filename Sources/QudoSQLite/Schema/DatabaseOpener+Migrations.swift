internal import CSQLite
internal import Logging
internal import Qudo

extension DatabaseOpener {
  /// Facts stored in a file that never change while it is open.
  struct Stored {
    let name: String
    /// 16 random bytes that identify the file; only its copies have the same.
    let generation: [UInt8]
    /// The file's first generation, which its restored backups keep.
    let origin: [UInt8]
  }

  /// Migrates and checks the file in one transaction. If several processes open a new file at the same time, one migrates it.
  static func prepare(
    _ connection: Connection, name: String, now: ClockReading,
    migrations: [Schema.Migration] = Schema.migrations,
    logger: Logger = Logger(label: "qudo")
  ) throws(QudoError) -> Stored {
    try connection.run("BEGIN IMMEDIATE")
    do {
      let version = try migrate(connection, now: now.wall, migrations)
      try SchemaCheck(connection).check(version: version, logger)
      try connection.infoTable.setNameIfAbsent(name)
      // The file's own name, which may be an earlier one.
      let name = try connection.infoTable.name() ?? name
      let generation = try connection.infoTable.generation()
      let origin = try connection.infoTable.origin() ?? generation
      try connection.instanceTable.adoptOrphans()
      try connection.run("COMMIT")
      return Stored(name: name, generation: generation, origin: origin)
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
      try connection.schemaTable.insert(migration, appliedAt: now)
    }
    return max(version, migrations.last?.version ?? 0)
  }

  private static func currentVersion(_ connection: Connection) throws(QudoError) -> Int64 {
    let schema = try SchemaCheck(connection)
    guard !schema.isEmpty else { return 0 }
    try schema.checkVersions()
    let version: Int64?
    let lowest: Int64?
    do {
      version = try connection.schemaTable.version()
      lowest = try connection.schemaTable.lowestVersion(.writing)
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
