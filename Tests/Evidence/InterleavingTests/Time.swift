#if QUDO_INTERLEAVINGS
import Evidence
import Foundation
import Qudo
import QudoTesting

/// Time that passes as a seed has it, on a clock of its own, until it is stopped.
struct Time: Sendable {
  private let task: Task<Void, Never>

  /// - Parameter step: how far the clock goes on at most, about once in a millisecond.
  init(_ clock: ManualClock, step: Duration, seed: UInt64) {
    task = Task {
      var random = Seeded(seed: ~seed)
      while !Task.isCancelled {
        clock.advance(by: .microseconds(random.number(0...Int(step / .microseconds(1)))))
        try? await Task.sleep(for: .milliseconds(1))
      }
    }
  }

  func stop() async {
    task.cancel()
    await task.value
  }
}
#endif
