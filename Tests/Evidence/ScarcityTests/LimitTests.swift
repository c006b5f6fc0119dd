import Evidence
import Testing

/// The system's limits are reached, in a process that has set them for itself.
@Suite(.enabled(if: Evidence.isAsked), .serialized) struct LimitTests {
  @Test("Without descriptors a call is refused and nothing is lost")
  func withoutDescriptorsNothingIsLost() async throws {
    try await ScarcityProcessRunner.run("descriptors")
  }

  @Test("Where files may not grow, a call is refused and nothing is lost")
  func withoutRoomNothingIsLost() async throws {
    try await ScarcityProcessRunner.run("room")
  }

  @Test("Ten thousand callers wait at a time, and each one is answered")
  func tenThousandCallersAreAnswered() async throws {
    try await ScarcityProcessRunner.run("callers")
  }

  @Test func aHugeBatchTakesNoMoreMemoryThanItsJobs() async throws {
    try await ScarcityProcessRunner.run("batch")
  }

  @Test("Workers take a thousand kinds and run a thousand jobs at a time")
  func thousandKindsAndJobsAtOnce() async throws {
    try await ScarcityProcessRunner.run("workers")
  }
}
