#if MySQL
import FaultyNetwork
import Foundation
import MariaDBServer
import Qudo

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

  /// - Parameter isHasty: whether its calls give up after 2 s without an answer; by default after 30 s.
  func url(isHasty: Bool) -> String {
    let options = "name=\(name)" + (isHasty ? "&connect-timeout=2s&read-timeout=2s&write-timeout=2s" : "")
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
    try awaited { [server] in try await server.start() }
  }

  /// What is broken in its tables, for a thread of the test's own.
  func broken() throws -> [String] {
    try awaited { [server, database] in try await TableInvariants.violations(in: database, on: server) }
  }
}

/// Waits for a task on a thread that is not one of Swift's pool.
func awaited<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
  let result = Locked<Result<Value, any Error>?>(nil)
  let done = DispatchSemaphore(value: 0)
  Task {
    let value: Result<Value, any Error>
    do { value = .success(try await body()) } catch { value = .failure(error) }
    result.withLock { $0 = value }
    done.signal()
  }
  done.wait()
  guard let value = result.withLock({ $0 }) else { throw CancellationError() }
  return try value.get()
}
#endif
