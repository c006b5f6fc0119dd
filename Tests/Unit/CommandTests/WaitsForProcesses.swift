import Qudo
import Testing

/// For tests that wait for processes by blocking their thread: each runs on a thread of its own, so that none holds one of Swift's pool,
/// which has as many as there are cores, and starves the tests of other suites.
struct WaitsForProcesses: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
    async throws
  {
    // Nonisolated functions run where their task prefers to.
    try await withTaskExecutorPreference(SerialThread("qudo.test")) { try await body() }
  }
}

extension Trait where Self == WaitsForProcesses {
  static var waitsForProcesses: Self { WaitsForProcesses() }
}
