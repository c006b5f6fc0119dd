import Qudo
import QudoTesting
import Testing

@Suite struct SuiteTests {
  @Test func everyPromiseHasACase() {
    #expect(Set(ConformanceSuite.all.map(\.promise)) == Set(Promise.allCases))
  }

  @Test func everyCaseHasANameOfItsOwn() {
    let names = ConformanceSuite.all.map(\.name)
    #expect(Set(names).count == names.count)
  }

  @Test func aDriverRunsTheCasesForWhatItDeclares() {
    let all: Capabilities = [
      .durable, .survivesPowerLoss, .multiProcess, .crossProcessWakeup, .monotonicLeases,
      .recoversDeadHolders, .control, .ringsAtEnds, .schedules, .maxRunning, .rateLimits, .concurrencyKeys,
      .groups, .keyStops, .keyRates,
    ]
    #expect(ConformanceSuite.cases(for: all).count == ConformanceSuite.all.count)
    #expect(ConformanceSuite.cases(for: []).allSatisfy { $0.requires.isEmpty })
  }

  @Test func aFailureSaysWhereAndWhatWasExpected() async throws {
    let conformance = try #require(ConformanceSuite.all.first { $0.name == "idsGrowInTheOrderOfEnqueueing" })
    await #expect {
      try await conformance.run(ConformanceSubject { BrokenDriver(base: MemoryDriver(clock: $0)) })
    } throws: { error in
      guard let failure = error as? ConformanceFailure else { return false }
      return failure.file == "QudoTesting/IDCases.swift" && failure.line > 0
        && failure.message.contains("expected an id above")
    }
  }
}
