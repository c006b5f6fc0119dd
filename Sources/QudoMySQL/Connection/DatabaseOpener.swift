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

/// Opens connections and sets them up for Qudo.
enum DatabaseOpener {
  /// "mysql_library_init() is not thread-safe": call it once, before the first connection.
  /// `mysql_library_init` is a macro for `mysql_server_init`.
  private static let isInitialized = mysql_server_init(0, nil, nil) == 0

  /// Opens a connection and sets it up. After the authentication, this takes one round trip, which includes
  /// the look at the schema.
  ///
  /// - Parameter watch: Ends the connection if the server leaves out answers.
  /// - Returns: The connection, the server's facts, and the result of ``DatabaseIdentity/read``.
  static func connect(
    _ settings: Settings, timeout: Duration = .seconds(30), watch: SessionWatch? = nil
  ) throws(QudoError) -> (Connection, MySQLServerFacts, Result<Rows?, QudoError>) {
    let connection = try connectPlain(settings)
    if let watch { connection.beWatched(by: watch) }
    let (facts, schema) = try setUp(connection, settings, timeout)
    return (connection, facts, schema)
  }

  /// Opens a connection with the server's own session settings.
  static func connectPlain(_ settings: Settings) throws(QudoError) -> Connection {
    guard isInitialized, let handle = mysql_init(nil) else {
      throw QudoError(.outOfMemory, "cannot initialize libmariadb")
    }
    let connection = Connection(handle)
    try setOptions(settings, connection)
    try connect(connection, settings)
    return connection
  }

  private static func connect(_ connection: Connection, _ settings: Settings) throws(QudoError) {
    let (server, password) = (settings.server, try settings.password())
    // Allow several statements in one round trip; the library adds CLIENT_MULTI_RESULTS. An UPDATE reports
    // how many rows it found, not how many of them it changed.
    let flags = UInt(CLIENT_MULTI_STATEMENTS) | UInt(CLIENT_FOUND_ROWS)
    guard
      mysql_real_connect(
        connection.handle, server.host, server.user, password, server.name, UInt32(server.port),
        settings.socket, flags) != nil
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
    // Otherwise a server could request any file of the client.
    set(MYSQL_OPT_LOCAL_INFILE, 0)
    // Otherwise "localhost" means the socket.
    set(
      MYSQL_OPT_PROTOCOL,
      settings.socket == nil ? MYSQL_PROTOCOL_TCP.rawValue : MYSQL_PROTOCOL_SOCKET.rawValue)
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4")
    guard let tls = settings.tls else { return }
    // Only both options together verify the chain and the name. With SSL_ENFORCE alone, the connection
    // continues unencrypted if the server has no TLS.
    let authorities = if let given = tls.authorities { given } else { try systemAuthorities() }
    for path in [authorities, tls.certificate, tls.key].compactMap(\.self) where access(path, R_OK) != 0 {
      throw QudoError(
        .invalidArgument, "cannot read the file \(path) of a tls- option: check its path and permissions")
    }
    mysql_ssl_set(handle, tls.key, tls.certificate, authorities, nil, nil)
    set(MYSQL_OPT_SSL_ENFORCE, isOn: true)
    set(MYSQL_OPT_SSL_VERIFY_SERVER_CERT, isOn: true)
  }

  /// Returns the file with the certificates that the system trusts.
  private static func systemAuthorities() throws(QudoError) -> String {
    let places = [
      "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
      "/etc/ssl/cert.pem",
    ]
    guard let place = places.first(where: { access($0, R_OK) == 0 }) else {
      throw QudoError(
        .invalidArgument, "cannot find the system's trusted certificates: name a PEM file with tls-ca")
    }
    return place
  }

  private static func setUp(
    _ connection: Connection, _ settings: Settings, _ timeout: Duration
  ) throws(QudoError) -> (MySQLServerFacts, Result<Rows?, QudoError>) {
    let lockWait = Int64(max(1, min(10, timeout.wholeSecondsUp, settings.readTimeout.wholeSecondsUp / 2)))
    let idleSeconds = Int64(settings.idleTransactionTimeout.wholeSecondsUp)
    var asked = SystemClock().now().wall
    var (results, failure) = ask(connection, SessionSettings.statements(lockWait: lockWait, idleSeconds: idleSeconds))
    // "The server is running with the --secure-timestamp option": then no session can have set it.
    if results.count == 1, let cause = failure?.mysql, [1227, 1290].contains(cause.code) {
      asked = SystemClock().now().wall
      (results, failure) = ask(
        connection, SessionSettings.statements(lockWait: lockWait, idleSeconds: idleSeconds, setsTime: false))
    }
    guard results.count > SessionSettings.count, let row = results[SessionSettings.count].rows?.next() else {
      throw failure ?? QudoError(.database, "the server did not report its version")
    }
    var facts = try SessionSettings.facts(row)
    facts.clockAhead = MySQLServerFacts.clockAhead(
      row.integer(10), asked: asked, answered: SystemClock().now().wall)
    // Hexadecimal doubles payloads. The parts of a batch go in packets of at most 4 MiB.
    connection.packet = facts.longestPacket
    connection.setsInStatements = facts.isMariaDB
    connection.longest = min(max(facts.longestPacket - 1024, 1024), 4 << 20)
    // Before MySQL 8.0.18, setting these takes a privilege.
    if row.integer(6) != 1 || row.integer(7) != 1 {
      try connection.run([
        "SET SESSION auto_increment_increment = 1", "SET SESSION auto_increment_offset = 1",
      ])
    }
    if let failure, results.count == SessionSettings.count + 1 { return (facts, .failure(failure)) }
    if let failure { throw failure }
    return (facts, .success(results[SessionSettings.count + 1].rows))
  }

  private static func ask(_ connection: Connection, _ statements: [SQL]) -> ([StatementResult], QudoError?) {
    var results: [StatementResult] = []
    do throws(QudoError) {
      // The query for the identity fails if there are no tables yet.
      try connection.run(statements + [DatabaseIdentity.read, "COMMIT"], into: &results)
      return (results, nil)
    } catch {
      return (results, error)
    }
  }
}
#endif
