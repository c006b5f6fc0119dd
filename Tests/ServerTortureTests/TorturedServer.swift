#if MySQL
import FaultyNetwork
import Foundation
import MariaDBServer

/// A server, a database on it, and the proxy through which the processes reach it.
struct TorturedServer: Sendable {
  let name: String
  let server: MariaDBServer
  let proxy: Proxy
  let database: String
  /// Who the processes are: without the rights of an administrator, which a read-only server does not refuse.
  static let user = "fleet"
  private static let password = "torture"

  init(_ name: String) async throws {
    self.name = name
    server = try await MariaDBServer.start()
    database = try await server.makeDatabase()
    proxy = try Proxy(to: server.port)
    try await server.query(
      """
      CREATE USER '\(Self.user)'@'%' IDENTIFIED BY '\(Self.password)';
      GRANT ALL ON \(database).* TO '\(Self.user)'@'%';
      """)
  }

  var url: String {
    let options = "name=\(name)&connect-timeout=2s&read-timeout=2s&write-timeout=2s"
    return "mysql://\(Self.user):\(Self.password)@127.0.0.1:\(proxy.port)/\(database)?\(options)"
  }

  func session() throws -> ServerSession { try ServerSession(socket: server.socket, database: database) }

  /// When it answers; what it was asked before is of no interest.
  func answer() throws -> ServerSession {
    let end = ContinuousClock.now + .seconds(30)
    while true {
      do {
        return try session()
      } catch {
        guard ContinuousClock.now < end else { throw error }
        wait(.milliseconds(20))
      }
    }
  }

  /// As ``MariaDBServer/start(_:)``, for a thread of the test's own.
  func restart() throws {
    let done = DispatchSemaphore(value: 0)
    let failure = Failure()
    Task { [server] in
      do { try await server.start() } catch { failure.set(error) }
      done.signal()
    }
    done.wait()
    if let error = failure.error { throw error }
  }

  private final class Failure: @unchecked Sendable {  // reason: written before the semaphore's signal, read after its wait
    private(set) var error: (any Error)?
    func set(_ error: any Error) { self.error = error }
  }
}
#endif
