#if MySQL
import MariaDBServer
import Qudo
@testable import QudoMySQL

/// A new database on a server.
struct TestDatabase {
  let server: MariaDBServer
  let name: String

  /// - Parameter server: the one that all tests share unless given.
  init(on server: MariaDBServer? = nil) async throws {
    self.server = if let server { server } else { try await MariaDBServer.shared() }
    name = try await self.server.makeDatabase()
  }

  /// One that is there.
  init(on server: MariaDBServer, name: String) { (self.server, self.name) = (server, name) }

  func driver(
    options: String = "", user: String? = nil, password: String? = nil, limits: Limits = Limits(),
    timeout: Duration = .seconds(300),
    clock: (@Sendable () -> Timestamp)? = nil, trustsIdle: Duration = .seconds(1),
    observer: (@Sendable (SQL) -> Void)? = nil, replacing: (@Sendable (SQL) -> [UInt8])? = nil,
    port: UInt16? = nil
  ) throws -> MySQLDriver {
    var place = try place(options: options, user: user, password: password)
    if let port { place.port = port }
    return try MySQLDriver(
      place, limits: limits, timeout: timeout, clock: clock, trustsIdle: trustsIdle,
      // On a busy machine, a client may pause for longer than the default.
      idleTransactionTimeout: .seconds(60),
      observer: observer, replacing: replacing)
  }

  func place(options: String = "", user: String? = nil, password: String? = nil) throws -> DatabaseServer {
    let url = try DatabaseURL(parsing: server.url(name, user: user, password: password, options: options))
    guard case .mysql(let place) = url.place else { throw QudoError(.invalidArgument, "no server") }
    return place
  }

  /// A connection as Qudo sets it up, without Qudo's tables.
  ///
  /// - Parameter commits: whether it commits each statement by itself, as the drivers' own do not.
  func connection(options: String = "", commits: Bool = true) throws -> Connection {
    let connection = try DatabaseOpener.connect(Settings(place(options: options))).0
    // However slow the machine is, a transaction that a test keeps open stays so.
    try connection.run("SET SESSION idle_transaction_timeout = 0")
    if commits { try connection.run("SET SESSION autocommit = 1") }
    return connection
  }

  func drop() async throws { try await server.query("DROP DATABASE \(name)") }
}
#endif
