import Dispatch
import Qudo

/// Holds up whoever comes first, on its own thread, until so many have passed.
final class CallerHold: Sendable {
  private let isClosed = Locked(false)
  private let passed = DispatchSemaphore(value: 0)
  private let holding: AsyncStream<Void>
  private let held: AsyncStream<Void>.Continuation

  init() { (holding, held) = AsyncStream.makeStream() }

  func close() { isClosed.withLock { $0 = true } }
  func pass() { passed.signal() }

  /// - Returns: whether the gate was closed.
  func hold(_ count: Int) -> Bool {
    let first = isClosed.withLock { isClosed in
      defer { isClosed = false }
      return isClosed
    }
    guard first else { return false }
    held.yield()
    for _ in 0..<count { passed.wait() }
    return true
  }

  /// Returns when a caller is held up.
  func holds() async {
    for await _ in holding { return }
  }
}
