import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// All that a driver promises, each on a real file of its own.
@Suite struct ConformanceTests {
  private static let capabilities: Capabilities = [
    .durable, .multiProcess, .crossProcessWakeup, .monotonicLeases, .recoversDeadHolders, .control,
    .ringsAtEnds, .schedules, .maxRunning, .rateLimits, .concurrencyKeys, .groups, .keyStops,
    .keyRates,
  ]

  @Test(.timeLimit(.minutes(5)), arguments: ConformanceSuite.cases(for: capabilities))
  func conforms(_ conformance: ConformanceCase) async throws {
    let file = try TemporaryFile()
    try await conformance.run(ConformanceSubject { try file.open(clock: $0) })
  }

  @Test("runs the cases of all that the driver says it can do") func cases() async throws {
    #expect(try TemporaryFile().open().capabilities == Self.capabilities)
  }
}
