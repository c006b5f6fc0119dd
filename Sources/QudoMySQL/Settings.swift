#if MySQL
internal import Qudo

/// What a server's URL says about the connections to it.
struct Settings: Sendable {
  var server: DatabaseServer
  /// What jobs are named by.
  var name: String
  var connectTimeout = Duration.seconds(5)
  var readTimeout = Duration.seconds(30)
  var writeTimeout = Duration.seconds(30)
  /// Instead of TCP.
  var socket: String?
  /// How many connections at most.
  var pool = 4
  var tls: TLS?
  /// Of the file with the password, instead of one in the URL.
  var passwordFile: String?

  struct TLS: Sendable, Equatable {
    /// The PEM file with the certificates that are trusted; nil for the system's.
    var authorities: String?
    /// The client's own, where the server asks for them.
    var certificate: String?
    var key: String?
  }

  /// - Throws: `QudoError.Code.invalidArgument` for an option that is unknown or has a value that it cannot have.
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
          the database's URL has the option '\(option.name.prefix(40))', which there is not: there are name, pool, socket, \
          password-file, connect-timeout, read-timeout, write-timeout, tls, tls-ca, tls-cert and tls-key
          """)
      }
    }
    try setTLS(tls, usesTLS)
    guard passwordFile == nil || server.password == nil else {
      throw QudoError(
        .invalidArgument, "the database's URL has a password and the option password-file: leave one out")
    }
    guard !name.isEmpty else {
      throw QudoError(
        .invalidArgument, "the option name is empty: leave it out, or give the name that jobs are named by")
    }
    guard !server.name.isEmpty, server.name.utf8.count <= 64 else {
      throw QudoError(.invalidArgument, "the name of the server's database must have 1 to 64 characters")
    }
    let texts =
      [server.host, server.name, name, server.user, server.password, socket, passwordFile] + [
        self.tls?.authorities, self.tls?.certificate, self.tls?.key,
      ]
    guard !texts.contains(where: { $0?.utf8.contains(0) == true }) else {
      throw QudoError(.invalidArgument, "the database's URL has a NUL byte")
    }
  }

  /// Who asks for TLS in any way gets it, or no connection.
  private mutating func setTLS(_ tls: TLS, _ usesTLS: Bool?) throws(QudoError) {
    guard usesTLS != false || tls == TLS() else {
      throw QudoError(
        .invalidArgument, "the database's URL has tls=off and other options of TLS: leave one out")
    }
    guard (tls.certificate == nil) == (tls.key == nil) else {
      throw QudoError(.invalidArgument, "the options tls-cert and tls-key go together")
    }
    if usesTLS == true || tls != TLS() { self.tls = tls }
  }

  /// To be asked for at each connection, so that a password which is changed in its file is used.
  func password() throws(QudoError) -> String? {
    if let passwordFile { try SecretFile(passwordFile).line } else { server.password }
  }

  private static func timeout(_ option: DatabaseServer.Option) throws(QudoError) -> Duration {
    let duration = try Duration(parsing: option.value)
    guard duration > .zero else {
      throw QudoError(
        .invalidArgument,
        "the option \(option.name) is not above 0: without a time-out a dead server would hold a call for ever"
      )
    }
    return duration
  }

  private static func connections(_ option: DatabaseServer.Option) throws(QudoError) -> Int {
    guard let count = Int(option.value), (1...256).contains(count) else {
      throw QudoError(.invalidArgument, "the option pool is not a number of connections from 1 to 256")
    }
    return count
  }

  private static func usesTLS(_ option: DatabaseServer.Option) throws(QudoError) -> Bool {
    switch option.value {
    case "required": true
    case "off": false
    default: throw QudoError(.invalidArgument, "the option tls is neither 'required' nor 'off'")
    }
  }
}

extension Duration {
  /// The library counts in seconds, and takes 0 for no time-out: rounded up.
  var wholeSecondsUp: UInt32 { UInt32(clamping: max(1, (wholeMicroseconds - 1) / 1_000_000 + 1)) }
}
#endif
