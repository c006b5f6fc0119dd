#if MySQL
internal import Qudo

/// The facts that a server reported at the last connection.
public struct MySQLServerFacts: Sendable {
  /// The version that the server reports, such as `10.11.6-MariaDB`.
  public let version: String
  /// Whether the server is MariaDB.
  public let isMariaDB: Bool
  /// The longest packet that the server accepts, in bytes: its `max_allowed_packet`.
  public let longestPacket: Int
  /// The settings that let a power failure lose acknowledged writes; empty if there are none.
  public let losesOnPowerCut: [String]
  /// How far the server's clock is ahead of this machine's; negative if it is behind.
  public internal(set) var clockAhead = Duration.zero

  init(version: String, longestPacket: Int, losesOnPowerCut: [String]) {
    self.version = version
    self.isMariaDB = version.lowercased().contains("mariadb")
    self.longestPacket = longestPacket
    self.losesOnPowerCut = losesOnPowerCut
  }

  /// - Throws: `QudoError.Code.unsupportedDatabase` if the server is too old. `SKIP LOCKED` came with MariaDB
  ///   10.6 and MySQL 8.0.
  func checkVersion() throws(QudoError) {
    let numbers = Self.numbers(of: version)
    let lowest = isMariaDB ? [10, 6] : [8, 0]
    guard numbers.lexicographicallyPrecedes(lowest) else { return }
    throw QudoError(
      .unsupportedDatabase,
      "the server's version \(version) is too old: use MariaDB 10.6, MySQL 8.0 or newer")
  }

  /// Returns the major and minor version. A MariaDB may put "5.5.5-" before its own version, for old
  /// replicas.
  static func numbers(of version: String) -> [Int] {
    let own =
      version.hasPrefix("5.5.5-") && version.lowercased().contains("mariadb")
      ? String(version.dropFirst(6)) : version
    let parts = own.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false)
    return parts.prefix(2).map { part in Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0 }
  }

  /// Returns the settings that let a power failure lose acknowledged writes.
  ///
  /// "The default setting of 1 is required for full ACID compliance. Logs are written and flushed to disk at
  /// each transaction commit": innodb_flush_log_at_trx_commit. MariaDB's 3 does so too. If there is a binary
  /// log, recovery reads from it which prepared transactions to commit, so the log must be synced as well:
  /// "sync_binlog=1".
  static func losesOnPowerCut(flush: Int64, doublewrite: String, hasBinaryLog: Bool, syncBinaryLog: Int64)
    -> [String]
  {
    var losses: [String] = []
    if flush != 1, flush != 3 { losses.append("innodb_flush_log_at_trx_commit is \(flush): set it to 1") }
    if ["0", "OFF", "DETECT_ONLY"].contains(doublewrite.uppercased()) {
      losses.append(
        "innodb_doublewrite is \(doublewrite): set it to ON, unless the file system writes pages whole")
    }
    if hasBinaryLog, syncBinaryLog != 1 { losses.append("sync_binlog is \(syncBinaryLog): set it to 1") }
    return losses
  }
}
#endif
