#if MySQL
internal import Qudo

/// The random id in `qudo_info`, made with the tables: the same on each replica, and another one after the tables were made anew.
///
/// A dump has it too, so that a database restored from its own dump is the same one until somebody changes the id.
struct DatabaseIdentity {
  let generation: [UInt8]

  /// The version and the id. Fails where there are no tables of Qudo, or those of a version without the id.
  static let read: SQL = """
    SELECT version, lowest_writer, (SELECT value FROM qudo_info WHERE name = 'generation')
    FROM qudo_schema ORDER BY version DESC LIMIT 1
    """

  /// - Parameter rows: of ``read``; they can be read again.
  /// - Returns: Nil while the tables are made or restored.
  init?(_ rows: Rows?) {
    defer { rows?.rewind() }
    guard let row = rows?.next(), let generation = row.bytesIfAny(2), !generation.isEmpty else { return nil }
    self.generation = generation
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
      "Qudo's tables are missing or incomplete: finish the restore, or restart the process to make new tables",
      cause: cause)
  }
}
#endif
