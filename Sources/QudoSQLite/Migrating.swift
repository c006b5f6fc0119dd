internal import CSQLite
internal import Qudo

extension Opening {
  /// Migrates in one transaction; ten processes that open a new file at once find nine times that it is done.
  static func prepare(
    _ connection: Connection, name: String, now: ClockReading, migrations: [Schema.Migration] = Schema.migrations
  ) throws(QudoError) -> (name: String, boot: Int64) {
    try connection.run("BEGIN IMMEDIATE")
    do {
      let name = try migrate(connection, name: name, now: now.wall, migrations)
      try connection.run("INSERT OR IGNORE INTO qudo_boot(boot) VALUES(?)", .text(now.boot))
      let boot = try connection.integer("SELECT id FROM qudo_boot WHERE boot = ?", .text(now.boot)) ?? 0
      try connection.run("COMMIT")
      return (name, boot)
    } catch {
      try? connection.endTransaction()
      throw error
    }
  }

  private static func migrate(
    _ connection: Connection, name: String, now: Timestamp, _ migrations: [Schema.Migration]
  ) throws(QudoError) -> String {
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
        "INSERT INTO qudo_schema VALUES(?, ?, ?, ?)", .integer(migration.version), .integer(now.microseconds),
        .integer(migration.lowestReader), .integer(migration.lowestWriter))
    }
    try connection.run("INSERT OR IGNORE INTO qudo_info VALUES('name', ?)", .text(name))
    var stored = name
    try connection.each("SELECT value FROM qudo_info WHERE key = 'name'") { row throws(QudoError) in stored = row.text(0) }
    return stored
  }

  private static func currentVersion(_ connection: Connection) throws(QudoError) -> Int64 {
    let tables = try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'qudo\\_%' ESCAPE '\\'") ?? 0
    guard tables > 0 else { return 0 }
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
