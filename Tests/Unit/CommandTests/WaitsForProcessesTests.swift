import Foundation
import Testing

@Suite(.waitsForProcesses) struct WaitsForProcessesTests {
  /// As many tests at a time as the pool has threads block until tasks on the pool have run.
  @Test(
    "a test that blocks leaves Swift's pool to others",
    arguments: 0..<ProcessInfo.processInfo.activeProcessorCount)
  func poolIsFree(number: Int) throws {
    let ran = DispatchSemaphore(value: 0)
    for _ in 0..<100 { Task.detached { ran.signal() } }
    for _ in 0..<100 {
      try #require(ran.wait(timeout: .now() + .seconds(waitLimit)) == .success, "the pool is starved")
    }
  }
}
