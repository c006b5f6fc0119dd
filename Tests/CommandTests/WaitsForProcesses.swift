import Foundation
import Qudo
import Testing

/// For tests that wait for processes by blocking their thread: each runs on a thread of its own, so that none holds one of Swift's pool,
/// which has as many as there are cores, and starves the tests of other suites.
///
/// No more of them run at a time than the pool would let: each has a process or more that computes.
struct WaitsForProcesses: SuiteTrait, TestTrait, TestScoping {
  private static let turns = Turns(max(2, ProcessInfo.processInfo.activeProcessorCount))

  var isRecursive: Bool { true }

  func provideScope(for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void)
    async throws
  {
    await Self.turns.enter()
    let result: Result<Void, any Error>
    do {
      // Nonisolated functions run where their task prefers to.
      result = .success(try await withTaskExecutorPreference(SerialThread("qudo.test")) { try await body() })
    } catch {
      result = .failure(error)
    }
    await Self.turns.leave()
    try result.get()
  }
}

extension Trait where Self == WaitsForProcesses {
  static var waitsForProcesses: Self { WaitsForProcesses() }
}

private actor Turns {
  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  init(_ count: Int) { free = count }

  func enter() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  func leave() {
    if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
  }
}
