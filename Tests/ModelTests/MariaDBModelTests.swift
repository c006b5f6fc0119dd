#if MySQL
import MariaDBServer
import Qudo
@testable import QudoMySQL
import QudoTesting
import Testing

/// The same on a real server, whose clock is the manual one.
@Suite struct MariaDBModelTests {
  @Test func mariaDBAndTheModelAgree() async throws {
    try await agree(.mariaDB(), scripts: 20, steps: 500)
  }

  @Test(arguments: Kept.all) func mariaDBAgreesOnWhatWasFound(_ kept: Kept) async throws {
    _ = try await Trial.mariaDB().run(kept.script(), comparingEvery: 1)
  }
}

extension Trial {
  static func mariaDB() async throws -> Trial {
    let server = try await MariaDBServer.shared()
    return Trial(name: "MariaDB") { body in
      let name = try await server.makeDatabase()
      let url = try DatabaseURL(parsing: server.url(name))
      guard case .mysql(let place) = url.place else { throw QudoError(.invalidArgument, "no server") }
      let result = try await body(ConformanceSubject { clock in try MySQLDriver(place, clock: { clock.now().wall }) })
      try await server.query("DROP DATABASE \(name)")
      return result
    }
  }
}
#endif
