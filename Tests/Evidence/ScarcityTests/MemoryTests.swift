import Evidence
import Testing

/// SQLite gets no memory, at each request that it makes.
@Suite(.enabled(if: Evidence.isAsked), .serialized) struct MemoryTests {
  @Test func aCallThatGetsNoMemoryHappensWhollyOrNotAtAll() async throws {
    try await ScarcityProcessRunner.run("memory")
  }

  @Test func aFileThatGetsNoMemoryIsOpenedOrNot() async throws {
    try await ScarcityProcessRunner.run("openings")
  }
}
