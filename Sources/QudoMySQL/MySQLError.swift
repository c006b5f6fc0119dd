#if MySQL
internal import Qudo

/// An error of the server or of the client library: the `cause` of a `QudoError`.
public struct MySQLError: Error, Sendable, CustomStringConvertible {
  /// The number of the error. The client library uses 2000 to 2999 and 5000 to 5999, the server the other numbers.
  public let code: UInt32
  /// The text of the error. It contains no password.
  public let message: String
  public var description: String { "MySQL \(code): \(message)" }

  /// Whether the connection cannot be used any more. The statement that was sent may have taken effect.
  var isOfConnection: Bool {
    Self.connection.contains(code) || (2000..<3000).contains(code) && code != 2020
      || code >= 5000 && code < 6000
  }
  /// Whether two transactions blocked each other. The transaction may be repeated.
  var isOfContention: Bool { [1020, 1205, 1213].contains(code) }
  var isDuplicate: Bool { code == 1062 }
  /// Whether KILL QUERY or a limit of the server stopped the statement. It may be repeated.
  var isOfStop: Bool { [1317, 1969, 3024].contains(code) }
  /// Whether the server takes no writes, because it was demoted or is being promoted. Its name may lead to another server by now.
  var isOfDemotion: Bool { [1290, 1792, 1836, 3100, 3989].contains(code) }
  /// Whether the server refuses the user.
  var isOfRefusal: Bool { [1044, 1045, 1130, 1698, 3118, 4151].contains(code) }
  /// Whether tables, columns or the whole database are missing: a restore may be in progress.
  var isOfMissingTables: Bool { [1046, 1049, 1051, 1054, 1146, 1932].contains(code) }
  /// Whether a check of ``Write`` failed. No other statement causes these errors: no value of a job can be NULL or out of range.
  var isShort: Bool { code == Self.short || code == 1048 }
  static let short: UInt32 = 1690
  static let interrupted: UInt32 = 1317
  /// "Failed to read auto-increment value from storage engine": the server was told to stop at that point.
  static let noID: UInt32 = 1467

  /// The errors with which the server closes a connection: it shuts down, killed the connection, or timed out.
  private static let connection: Set<UInt32> = [
    1053, 1077, 1080, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927, 4031,
  ]
}

extension QudoError {
  /// The error below, where it is one of MySQL's.
  var mysql: MySQLError? { cause as? MySQLError }

  static func mysql(_ error: MySQLError) -> QudoError {
    let (code, advice) = meaning(error)
    return QudoError(code, advice, cause: error)
  }

  // The names of the numbers are in mysqld_error.h and errmsg.h.
  private static func meaning(_ error: MySQLError) -> (Code, String) {
    switch error.code {
    case 1044, 1045, 1130, 1131, 1132, 1251, 1396, 1698, 1820, 1862, 2049, 2059, 2061, 3118, 4151:
      (.accessDenied, "the server refuses the user: check user, password and from where the user may come")
    case 1142, 1143, 1227, 1370:
      (
        .accessDenied,
        "the user lacks a right: grant SELECT, INSERT, UPDATE, DELETE, and CREATE and ALTER for the first start, on the database"
      )
    case 1049: (.cannotOpen, "the server has no such database: CREATE DATABASE makes it, Qudo does not")
    case 1205, 1213, 1020: (.busy, "others held what was needed until the time-out: try again later")
    case 1290, 1792, 1836, 3100, 3989:
      (.readOnly, "the server is read-only: it may be a replica, use the primary")
    case 1021, 1114, 1883:
      (.diskFull, "the server's disk or table space is full: make room, then repeat; nothing was written")
    case 1037, 1038, 1041, 5, 2008: (.outOfMemory, "memory ran out")
    case 1153, 2020:
      (.invalidArgument, "a statement is longer than the server takes: raise its max_allowed_packet")
    case 1034, 1035, 1194, 1195, 1712: (.corrupt, "a table is damaged: restore it from a backup")
    case 1030, 1026, 1024, 1023: (.ioError, "the server's storage reported an error")
    case 1317, 1969, 3024:
      (
        .busy,
        "the statement was stopped by the server: by KILL QUERY or its own time limit; nothing was written"
      )
    case MySQLError.short, 1048:
      (.busy, "the server stopped a statement half-way and reported success; nothing was written")
    case 1665:
      (
        .unsupportedDatabase,
        "the server's binary log cannot take READ COMMITTED: set its binlog_format to MIXED or ROW"
      )
    case 1040, 1203, 1226:
      (.unreachable, "the server takes no more connections: raise max_connections, or lower the pools")
    case 1129:
      (
        .unreachable,
        "the server blocks this machine after too many failed connections: FLUSH HOSTS lets it in again"
      )
    case 2026:
      (
        .unreachable,
        "the encrypted connection failed: check that the server has TLS and that its certificate fits `tls-ca` and the host"
      )
    case 2013, 2006, 2055, 1927, 4031, 1053, 1077, 1080:
      (.unreachable, "the connection was lost: the server was stopped, or did not answer in time")
    case 2002, 2003, 2004, 2005, 2012:
      (.unreachable, "the server cannot be reached: check host, port and that it runs")
    case _ where error.isOfConnection: (.unreachable, "the connection to the server failed")
    default: (.database, "the server reported an error")
    }
  }
}
#endif
