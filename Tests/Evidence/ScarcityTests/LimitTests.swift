import Evidence
import Testing

/// The system's limits are reached, in a process that has set them for itself.
@Suite(.enabled(if: Evidence.isAsked), .serialized) struct LimitTests {
  @Test func withoutDescriptorsACallIsRefusedAndNothingIsLost() async throws {
    try await ScarcityProcessRunner.run("descriptors")
  }

  @Test func whereFilesMayNotGrowACallIsRefusedAndNothingIsLost() async throws {
    try await ScarcityProcessRunner.run("room")
  }

  @Test func tenThousandCallersWaitAtOnceAndEachIsAnswered() async throws {
    try await ScarcityProcessRunner.run("callers")
  }

  @Test func aHugeBatchTakesNoMoreMemoryThanItsJobs() async throws {
    try await ScarcityProcessRunner.run("batch")
  }

  @Test func workersTakeAThousandKindsAndRunAThousandJobsAtOnce() async throws {
    try await ScarcityProcessRunner.run("workers")
  }
}
