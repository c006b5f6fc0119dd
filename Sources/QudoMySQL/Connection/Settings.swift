#if MySQL
internal import Qudo

/// The connection settings in a server's URL.
struct Settings: Sendable {
  var server: DatabaseServer
  /// The database's name in job names.
  var name: String
  var connectTimeout = Duration.seconds(5)
  var readTimeout = Duration.seconds(30)
  var writeTimeout = Duration.seconds(30)
  /// How long a transaction may be idle. If a client vanishes in the middle of a transaction, with its
  /// machine or its network, its locks must not stay: the server may consider the connection alive for
  /// hours. A client that was merely delayed repeats the transaction.
  ///
  /// "idle_transaction_timeout: time in seconds that the server waits for idle transactions before it closes
  /// the connection" (MariaDB). MySQL has only `wait_timeout`, which ends connections without a transaction
  /// as well; the driver opens those again when it needs them.
  var idleTransactionTimeout = Duration.seconds(5)
  /// The path of the server's socket, which replaces TCP.
  var socket: String?
  /// The maximum number of connections.
  var pool = 4
  var tls: TLS?
  /// The path of the password file, which replaces a password in the URL.
  var passwordFile: String?

  struct TLS: Sendable, Equatable {
    /// The PEM file with the trusted certificates; nil for the system's.
    var authorities: String?
    /// The client's own certificate, for a server that requests one.
    var certificate: String?
    var key: String?
  }

  /// - Throws: `QudoError.Code.invalidArgument` for an unknown option or an invalid value.
  init(_ server: DatabaseServer) throws(QudoError) {
    self.server = server
    name = "\(server.host.lowercased()):\(server.port)/\(server.name)"
    var tls = TLS()
    var usesTLS: Bool?
    for option in server.options {
      switch option.name {
      case "name": name = option.value
      case "connect-timeout": connectTimeout = try Self.timeout(option)
      case "read-timeout": readTimeout = try Self.timeout(option)
      case "write-timeout": writeTimeout = try Self.timeout(option)
      case "password-file": passwordFile = option.value
      case "socket": socket = option.value
      case "pool": pool = try Self.connections(option)
      case "tls": usesTLS = try Self.usesTLS(option)
      case "tls-ca": tls.authorities = option.value
      case "tls-cert": tls.certificate = option.value
      case "tls-key": tls.key = option.value
      default:
        throw QudoError(
          .invalidArgument,
          """
          the database's URL has the unknown option '\(option.name.prefix(40))': use only name, pool, \
          socket, password-file, connect-timeout, read-timeout, write-timeout, tls, tls-ca, tls-cert and \
          tls-key
          """)
      }
    }
    try setTLS(tls, usesTLS)
    guard passwordFile == nil || server.password == nil else {
      throw QudoError(
        .invalidArgument,
        "the database's URL has both a password and the option password-file: leave one out")
    }
    guard !name.isEmpty else {
      throw QudoError(
        .invalidArgument, "the option name is empty: leave it out, or pass the database's name in job names")
    }
    guard !server.name.isEmpty, server.name.utf8.count <= 64 else {
      throw QudoError(.invalidArgument, "the database's name is empty or too long: use 1 to 64 characters")
    }
    let texts =
      [server.host, server.name, name, server.user, server.password, socket, passwordFile] + [
        self.tls?.authorities, self.tls?.certificate, self.tls?.key,
      ]
    guard !texts.contains(where: { $0?.utf8.contains(0) == true }) else {
      throw QudoError(.invalidArgument, "the database's URL has a NUL byte: remove it")
    }
  }

  /// Requires TLS if any option asks for it: the connection is encrypted or fails.
  private mutating func setTLS(_ tls: TLS, _ usesTLS: Bool?) throws(QudoError) {
    guard usesTLS != false || tls == TLS() else {
      throw QudoError(
        .invalidArgument, "the database's URL has tls=off and other TLS options: leave out one or the other")
    }
    guard (tls.certificate == nil) == (tls.key == nil) else {
      throw QudoError(.invalidArgument, "one of tls-cert and tls-key is missing: pass both options or none")
    }
    if usesTLS == true || tls != TLS() { self.tls = tls }
  }

  /// Returns the password. Call this for each connection, so that a password changed in its file takes
  /// effect.
  func password() throws(QudoError) -> String? {
    if let passwordFile { try SecretFile(passwordFile).line } else { server.password }
  }

  private static func timeout(_ option: DatabaseServer.Option) throws(QudoError) -> Duration {
    let duration = try Duration(parsing: option.value)
    guard duration > .zero else {
      throw QudoError(
        .invalidArgument,
        """
        the option \(option.name) is not above 0: pass a longer timeout, or a dead server blocks calls \
        forever
        """
      )
    }
    return duration
  }

  private static func connections(_ option: DatabaseServer.Option) throws(QudoError) -> Int {
    guard let count = Int(option.value), (1...256).contains(count) else {
      throw QudoError(
        .invalidArgument, "the option pool is out of range: pass a number of connections from 1 to 256")
    }
    return count
  }

  private static func usesTLS(_ option: DatabaseServer.Option) throws(QudoError) -> Bool {
    switch option.value {
    case "required": true
    case "off": false
    default: throw QudoError(.invalidArgument, "the option tls is invalid: pass 'required' or 'off'")
    }
  }
}

extension Duration {
  /// The duration in seconds, rounded up: the library counts in seconds, and takes 0 for no timeout.
  var wholeSecondsUp: UInt32 { UInt32(clamping: max(1, (wholeMicroseconds - 1) / 1_000_000 + 1)) }
}
#endif
