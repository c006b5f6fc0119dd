#if MySQL
internal import Qudo

/// What tells a database from the one that is there after its tables were dropped, restored or replaced.
///
/// `qudo_info` has a random generation, made with the tables. A dump has it too: so the next job id is compared as well.
/// On the server that gave an id, the next one is always higher, unless the tables were restored to an earlier state.
/// A replica that was promoted may lack the last jobs, and is the same database.
struct DatabaseIdentity: Equatable {
  let generation: [UInt8]
  /// The id of the next job; 0 if the server does not say.
  let nextID: Int64
  /// What tells the server from others of a fleet.
  let server: [UInt8]

  /// The columns of ``read`` from this one on are of the identity.
  static let firstColumn = 2

  /// The version and the identity. Fails where there are no tables of Qudo, or those of a version without a generation.
  static let read: SQL = """
    SELECT version, lowest_writer, (SELECT value FROM qudo_info WHERE name = 'generation'),
      (SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'qudo_job'),
      CONCAT_WS(':', @@hostname, @@port, @@server_id)
    FROM qudo_schema ORDER BY version DESC LIMIT 1
    """

  /// - Parameter rows: of ``read``; they can be read again.
  /// - Returns: Nil while the tables are made or restored.
  init?(_ rows: Rows?) {
    defer { rows?.rewind() }
    guard let row = rows?.next(), let generation = row.bytesIfAny(Self.firstColumn), !generation.isEmpty else { return nil }
    self.generation = generation
    nextID = row.integer(Self.firstColumn + 1)
    server = row.bytes(Self.firstColumn + 2)
  }
}

/// What a driver knows about the identity of its database.
struct KnownIdentity {
  enum Answer: Equatable {
    case same
    case other
    /// The generation is the same, and ids that this driver has seen are still to be given.
    case restored
  }

  private(set) var first: DatabaseIdentity?
  /// The highest id of a job that this driver has seen committed, and the server of the last identity.
  private(set) var highest: Int64 = 0
  private var server: [UInt8] = []
  /// What every call fails with once the database is another one.
  var replaced: QudoError?

  mutating func saw(_ id: Int64) { highest = max(highest, id) }

  mutating func compare(_ found: DatabaseIdentity, highest: Int64) -> Answer {
    guard let first else {
      (self.first, server) = (found, found.server)
      return .same
    }
    guard found.generation == first.generation else { return .other }
    guard found.server == server else {
      server = found.server
      // A replica may lack the last ones.
      self.highest = 0
      return .same
    }
    return found.nextID > 0 && found.nextID <= highest ? .restored : .same
  }
}

extension QudoError {
  /// - Parameter sign: how it was noticed.
  static func replaced(_ sign: String) -> QudoError {
    QudoError(
      .databaseReplaced,
      "the tables were dropped, restored or replaced while the database was open (\(sign)); nothing was written. Close the queue and open it again")
  }

  static func tablesMissing(_ cause: MySQLError?) -> QudoError {
    QudoError(
      .unreachable, "Qudo's tables are missing or incomplete: finish the restore, or restart the process to make new tables", cause: cause)
  }
}
#endif
