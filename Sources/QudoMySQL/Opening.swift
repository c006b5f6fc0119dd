#if MySQL
internal import CMariaDB
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// From settings to a connection that is set up for Qudo.
enum Opening {
  /// "mysql_library_init() is not thread-safe": once, before the first connection. A macro for this.
  private static let isInitialized = mysql_server_init(0, nil, nil) == 0

  static func connect(_ settings: Settings, timeout: Duration = .seconds(30)) throws(QudoError) -> (Connection, MySQLServerFacts) {
    guard isInitialized, let handle = mysql_init(nil) else { throw QudoError(.outOfMemory, "libmariadb could not be set up") }
    let connection = Connection(handle)
    try setOptions(settings, connection)
    try connect(connection, settings)
    return (connection, try setUp(connection, settings, timeout))
  }

  private static func connect(_ connection: Connection, _ settings: Settings) throws(QudoError) {
    let server = settings.server
    // Several statements in one round trip; the library takes CLIENT_MULTI_RESULTS along with it.
    let flags = UInt(CLIENT_MULTI_STATEMENTS)
    guard
      mysql_real_connect(
        connection.handle, server.host, server.user, server.password, server.name, UInt32(server.port), settings.socket, flags) != nil
    else { throw .mysql(connection.error) }
  }

  private static func setOptions(_ settings: Settings, _ connection: Connection) throws(QudoError) {
    let handle = connection.handle
    func set(_ option: mysql_option, _ value: UInt32) {
      withUnsafePointer(to: value) { _ = mysql_options(handle, option, $0) }  // unsafe: the library copies it
    }
    func set(_ option: mysql_option, isOn: Bool) {
      withUnsafePointer(to: my_bool(isOn ? 1 : 0)) { _ = mysql_options(handle, option, $0) }  // unsafe: the library copies it
    }
    set(MYSQL_OPT_CONNECT_TIMEOUT, settings.connectTimeout.wholeSecondsUp)
    set(MYSQL_OPT_READ_TIMEOUT, settings.readTimeout.wholeSecondsUp)
    set(MYSQL_OPT_WRITE_TIMEOUT, settings.writeTimeout.wholeSecondsUp)
    set(MYSQL_OPT_RECONNECT, isOn: false)
    // A server could ask for any file of the client.
    set(MYSQL_OPT_LOCAL_INFILE, 0)
    // "localhost" means the socket otherwise.
    set(MYSQL_OPT_PROTOCOL, settings.socket == nil ? MYSQL_PROTOCOL_TCP.rawValue : MYSQL_PROTOCOL_SOCKET.rawValue)
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4")
    guard let tls = settings.tls else { return }
    // Only both together check the chain and the name; SSL_ENFORCE alone goes on in clear with a server without TLS.
    let authorities = if let given = tls.authorities { given } else { try systemAuthorities() }
    for path in [authorities, tls.certificate, tls.key].compactMap(\.self) where access(path, R_OK) != 0 {
      throw QudoError(.invalidArgument, "the file \(path) of a tls- option cannot be read")
    }
    mysql_ssl_set(handle, tls.key, tls.certificate, authorities, nil, nil)
    set(MYSQL_OPT_SSL_ENFORCE, isOn: true)
    set(MYSQL_OPT_SSL_VERIFY_SERVER_CERT, isOn: true)
  }

  /// Where systems keep the certificates that they trust.
  private static func systemAuthorities() throws(QudoError) -> String {
    let places = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"]
    guard let place = places.first(where: { access($0, R_OK) == 0 }) else {
      throw QudoError(.invalidArgument, "the system's trusted certificates were not found: name a PEM file with tls-ca")
    }
    return place
  }

  /// What Qudo relies on must not depend on how the server is set up.
  private static func setUp(_ connection: Connection, _ settings: Settings, _ timeout: Duration) throws(QudoError) -> MySQLServerFacts {
    let (facts, stepsByOne) = try readFacts(connection)
    try facts.checkVersion()
    // Hexadecimal doubles payloads; parts of a batch go in packets of 4 MiB at most.
    connection.packet = facts.longestPacket
    connection.setsInStatements = facts.isMariaDB
    connection.longest = min(max(facts.longestPacket - 1024, 1024), 4 << 20)
    let lockWait = Int64(max(1, min(10, timeout.wholeSecondsUp, settings.readTimeout.wholeSecondsUp / 2)))
    try connection.run([
      "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'", "SET SESSION autocommit = 0",
      "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
      // Shorter than the read time-out, so that it is the server that gives up first.
      "SET SESSION innodb_lock_wait_timeout = \(lockWait)", idleLimit(facts),
    ])
    // The ids of the rows of one INSERT follow each other. Before MySQL 8.0.18 it takes a right to say so.
    if !stepsByOne { try connection.run(["SET SESSION auto_increment_increment = 1", "SET SESSION auto_increment_offset = 1"]) }
    return facts
  }

  private static func readFacts(_ connection: Connection) throws(QudoError) -> (MySQLServerFacts, stepsByOne: Bool) {
    let asked = SystemClock().now().wall
    let result = try connection.run("""
      SELECT @@version, @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite, @@log_bin, @@sync_binlog,
        @@auto_increment_increment, @@auto_increment_offset, \(Transaction.serverTime)
      """)
    guard let row = result.rows?.next() else { throw QudoError(.database, "the server does not tell its version") }
    let losses = MySQLServerFacts.losesOnPowerCut(
      flush: row.integer(2), doublewrite: row.text(3), hasBinaryLog: row.integer(4) != 0, syncBinaryLog: row.integer(5))
    var facts = MySQLServerFacts(version: row.text(0), longestPacket: Int(clamping: row.integer(1)), losesOnPowerCut: losses)
    facts.clockAhead = MySQLServerFacts.clockAhead(row.integer(8), asked: asked, answered: SystemClock().now().wall)
    return (facts, stepsByOne: row.integer(6) == 1 && row.integer(7) == 1)
  }
}
#endif
