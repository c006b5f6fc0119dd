import Qudo
import QudoTesting
import Testing

@Suite struct MemoryConformanceTests {
  @Test(
    .timeLimit(.minutes(5)),
    arguments: ConformanceSuite.cases(for: [
      .monotonicLeases, .control, .schedules, .maxRunning, .rateLimits, .concurrencyKeys, .groups, .keyStops,
      .keyRates,
    ])
  )
  func conforms(_ conformance: ConformanceCase) async throws {
    try await conformance.run(ConformanceSubject { MemoryDriver(clock: $0) })
  }
}
