#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Who asks for TLS gets it from the right server, or no connection.
@Suite struct TLSTests {
  private func code(_ database: TestDatabase, _ options: String) async throws -> QudoError.Code? {
    let driver = try database.driver(options: options)
    defer { Task { await driver.close() } }
    do {
      try await driver.connect()
      return nil
    } catch {
      return error.code
    }
  }

  @Test func theCertificateAndTheNameAreChecked() async throws {
    let certificates = try await Certificates()
    let database = try await TestDatabase(on: try await MariaDBServer.start(certificates.options))
    #expect(try await code(database, "tls-ca=\(certificates.authority)") == nil)
    let connection = try database.connection(options: "tls-ca=\(certificates.authority)")
    #expect(try connection.run("SHOW STATUS LIKE 'Ssl_cipher'").rows?.next()?.text(1).isEmpty == false)
    // Another authority, the system's, and none that can be read.
    let other = try await Certificates()
    #expect(try await code(database, "tls-ca=\(other.authority)") == .unreachable)
    #expect(try await code(database, "tls=required") == .unreachable)
    #expect(try await code(database, "tls-ca=/nowhere") == .invalidArgument)
    #expect(try await code(database, "tls=off") == nil)
  }

  @Test func aServerOfAnotherNameIsRefused() async throws {
    let certificates = try await Certificates(for: "DNS:db.example.org")
    let database = try await TestDatabase(on: try await MariaDBServer.start(certificates.options))
    #expect(try await code(database, "tls-ca=\(certificates.authority)") == .unreachable)
  }

  @Test func aServerWithoutTLSIsRefused() async throws {
    let certificates = try await Certificates()
    let database = try await TestDatabase(on: try await MariaDBServer.start(["--skip-ssl"]))
    #expect(try await code(database, "tls-ca=\(certificates.authority)") == .unreachable)
    #expect(try await code(database, "") == nil)
  }
}
#endif
