#if MySQL
import MariaDBServer
import Qudo
import QudoTesting
import Testing

/// All that a driver promises, each in a database of its own on a real server.
@Suite struct ConformanceTests {
  private static let cases = ConformanceSuite.cases(for: [
    .durable, .survivesPowerLoss, .multiProcess, .crossProcessWakeup, .control, .schedules, .maxRunning,
    .rateLimits, .concurrencyKeys, .groups, .keyStops, .keyRates,
  ])
  private static let gate = ConcurrencyLimit(8)

  @Test(.timeLimit(.minutes(5)), arguments: cases) func conforms(_ conformance: ConformanceCase) async throws
  {
    try await Self.gate.pass {
      let database = try await TestDatabase()
      try await conformance.run(ConformanceSubject { clock in try database.driver { clock.now().wall } })
      // A case that never connects leaves no tables.
      if try await !database.server.query("SHOW TABLES", in: database.name).isEmpty {
        #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
      }
      try await database.drop()
    }
  }
}
#endif
