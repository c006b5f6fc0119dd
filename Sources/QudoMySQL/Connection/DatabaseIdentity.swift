#if MySQL
internal import Qudo

/// The random id in `qudo_info`, created together with the tables. Each replica has the same id; recreated
/// tables have another one.
///
/// A dump includes the id, so a database restored from its own dump counts as the same one, unless an
/// administrator changes the id.
struct DatabaseIdentity {
  let generation: [UInt8]
  /// When the table of the kinds was created; nil if the server does not say. It differs after a restore from a dump, and may differ
  /// between replicas.
  let created: String?

  /// The query for the version, the id and the time of the creation. It fails if Qudo's tables are missing, or if they have a version
  /// without the id.
  static let read: SQL = """
    SELECT version, lowest_writer, (SELECT value FROM qudo_info WHERE name = 'generation'),
      (SELECT CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'qudo_kind')
    FROM qudo_schema ORDER BY version DESC LIMIT 1
    """

  /// - Parameter rows: The result of ``read``, which can be read again afterwards.
  /// - Returns: Nil while the tables are being created or restored.
  init?(_ rows: Rows?) {
    defer { rows?.rewind() }
    guard let row = rows?.next(), let generation = row.bytesIfAny(2), !generation.isEmpty else { return nil }
    self.generation = generation
    created = row.textIfAny(3)
  }
}

extension QudoError {
  static var otherGeneration: QudoError {
    QudoError(
      .databaseReplaced,
      "the tables were replaced while the database was open (they have another generation); nothing was written. "
        + "Close the queue and open it again")
  }

  static func tablesMissing(_ cause: MySQLError?) -> QudoError {
    QudoError(
      .unreachable,
      "Qudo's tables are missing or incomplete: finish the restore, or restart the process to create them",
      cause: cause)
  }
}
#endif
