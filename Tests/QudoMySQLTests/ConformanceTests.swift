#if MySQL
import Foundation
import Qudo
@testable import QudoMySQL
import QudoTesting
import Testing

/// All that a driver promises, each in a database of its own on a real server.
@Suite struct ConformanceTests {
  private static let cases = ConformanceSuite.cases(for: [.durable, .severalProcesses])

  @Test(.timeLimit(.minutes(5)), arguments: cases) func conforms(_ conformance: ConformanceCase) async throws {
    let port = UInt16(ProcessInfo.processInfo.environment["QUDO_PORT"] ?? "33999")!
    let name = "t_" + UUID().uuidString.replacing("-", with: "")
    let admin = try Opening.connectRaw(Settings(DatabaseServer(user: "root", host: "127.0.0.1", port: port, name: "mysql")))
    _ = try admin.run("CREATE DATABASE \(SQL(unchecked: name))")
    try await conformance.run(ConformanceSubject { clock in
      try MySQLDriver(DatabaseServer(user: "root", host: "127.0.0.1", port: port, name: name), clock: { clock.now().wall })
    })
    _ = try admin.run("DROP DATABASE \(SQL(unchecked: name))")
  }
}
#endif
