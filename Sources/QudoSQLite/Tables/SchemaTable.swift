internal import Qudo

/// `qudo_schema`: the migrations that the file has been through.
struct SchemaTable {
  let connection: Connection

  /// What a version of Qudo does with the file.
  enum Access {
    case reading, writing
  }

  /// Returns the version of the file's schema, or nil if there is none.
  func version() throws(QudoError) -> Int64? {
    try connection.integer("SELECT max(version) FROM qudo_schema")
  }

  /// Returns the lowest version of the schema whose Qudo may still read the file, or write to it.
  func lowestVersion(_ access: Access) throws(QudoError) -> Int64? {
    switch access {
    case .reading:
      try connection.integer("SELECT lowest_reader FROM qudo_schema ORDER BY version DESC LIMIT 1")
    case .writing:
      try connection.integer("SELECT lowest_writer FROM qudo_schema ORDER BY version DESC LIMIT 1")
    }
  }

  func insert(_ migration: Schema.Migration, appliedAt time: Timestamp) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer) VALUES(?, ?, ?, ?)",
      .integer(migration.version), .integer(time.microseconds), .integer(migration.lowestReader),
      .integer(migration.lowestWriter))
  }
}
