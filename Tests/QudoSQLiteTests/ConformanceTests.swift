import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// All that a driver promises, each on a real file of its own.
@Suite struct ConformanceTests {
  private static let cases = ConformanceSuite.cases(for: [.durable, .multiProcess, .crossProcessWakeup, .monotonicLeases])

  @Test(.timeLimit(.minutes(5)), arguments: cases) func conforms(_ conformance: ConformanceCase) async throws {
    let file = try TemporaryFile()
    try await conformance.run(ConformanceSubject { try file.open(clock: $0) })
  }
}
