#if MySQL
internal import Qudo

/// An error of the server or of the client library: the `cause` of a `QudoError`.
public struct MySQLError: Error, Sendable, CustomStringConvertible {
  /// The number of the error. The client library uses 2000 to 2999 and 5000 to 5999, the server the other
  /// numbers.
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
  var isOfStop: Bool { [1317, 1969, 3024, Self.noID].contains(code) }
  /// Whether the server accepts no writes, because it was demoted or is being promoted. Its host name may
  /// lead to another server by now.
  var isOfDemotion: Bool { [1290, 1792, 1836, 3100, 3989].contains(code) }
  /// Whether the server refuses the user.
  var isOfRefusal: Bool { [1044, 1045, 1130, 1698, 3118, 4151].contains(code) }
  /// Whether tables, columns or the whole database are missing: a restore may be in progress.
  var isOfMissingTables: Bool { [1046, 1049, 1051, 1054, 1146, 1932].contains(code) }
  /// Whether a check of ``Write`` failed. No other statement causes these errors, because no value of a job
  /// can be NULL or out of range.
  var isShort: Bool { code == Self.short || code == 1048 }
  static let short: UInt32 = 1690
  static let interrupted: UInt32 = 1317
  /// "Failed to read auto-increment value from storage engine": the server was told to stop at that point, or
  /// all ids were given out.
  static let noID: UInt32 = 1467

  /// The errors with which the server closes a connection: it shut down, killed the connection, or timed out.
  private static let connection: Set<UInt32> = [
    1053, 1077, 1080, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927, 4031,
  ]
}

extension QudoError {
  /// The cause, if it is a MySQL error.
  var mysql: MySQLError? { cause as? MySQLError }

  static func mysql(_ error: MySQLError) -> QudoError {
    let (code, advice) = meaning(error)
    return QudoError(code, advice, cause: error)
  }

  // The names of these numbers are in mysqld_error.h and errmsg.h.
  private static func meaning(_ error: MySQLError) -> (Code, String) {
    switch error.code {
    case 1044, 1045, 1130, 1131, 1132, 1251, 1396, 1698, 1820, 1862, 2049, 2059, 2061, 3118, 4151:
      (
        .accessDenied,
        "the server refuses the user: check the user, the password and the hosts it may connect from"
      )
    case 1142, 1143, 1227, 1370:
      (
        .accessDenied,
        """
        the user lacks a privilege: grant SELECT, INSERT, UPDATE and DELETE on the database, and CREATE and \
        ALTER for the first start
        """
      )
    case 1049: (.cannotOpen, "the server has no such database: create it with CREATE DATABASE")
    case 1205, 1213, 1020: (.busy, "other sessions held the needed locks until the timeout: try again later")
    case 1290, 1792, 1836, 3100, 3989:
      (.readOnly, "the server is read-only, perhaps because it is a replica: use the primary")
    case 1021, 1114, 1883:
      (
        .diskFull,
        "the server's disk or tablespace is full, nothing was written: free some space, then try again"
      )
    case 1037, 1038, 1041, 5, 2008:
      (.outOfMemory, "the server or the client is out of memory: try again later")
    case 1153, 2020:
      (.invalidArgument, "a statement is longer than the server accepts: raise its max_allowed_packet")
    case 1034, 1035, 1194, 1195, 1712: (.corrupt, "a table is damaged: restore it from a backup")
    case 1030, 1026, 1024, 1023:
      (.ioError, "the server's storage reported an error: check the server's error log")
    case 1317, 1969, 3024:
      (
        .busy,
        "KILL QUERY or a time limit of the server stopped the statement, nothing was written: try again later"
      )
    case MySQLError.noID:
      (
        .busy,
        """
        KILL QUERY or a time limit of the server stopped the statement, or the table has no id left; nothing was \
        written: try again later
        """
      )
    case MySQLError.short, 1048:
      (
        .busy,
        "the server stopped a statement halfway and reported success, nothing was written: try again later"
      )
    case 1665:
      (
        .unsupportedDatabase,
        "the server's binary log does not support READ COMMITTED: set its binlog_format to MIXED or ROW"
      )
    case 1040, 1203, 1226:
      (
        .unreachable,
        "the server accepts no more connections: raise its max_connections, or lower the option pool"
      )
    case 1129:
      (
        .unreachable,
        "the server blocks this machine after too many failed connections: run FLUSH HOSTS on the server"
      )
    case 2026:
      (
        .unreachable,
        """
        the TLS connection failed: check that the server supports TLS, and that its certificate matches \
        tls-ca and the host
        """
      )
    case 2013, 2006, 2055, 1927, 4031, 1053, 1077, 1080:
      (
        .unreachable,
        "the connection was lost, because the server stopped or did not answer in time: check the server"
      )
    case 2002, 2003, 2004, 2005, 2012:
      (.unreachable, "cannot reach the server: check the host, the port and that the server runs")
    case _ where error.isOfConnection: (.unreachable, "the connection to the server failed")
    default: (.database, "the server reported an error")
    }
  }
}
#endif
