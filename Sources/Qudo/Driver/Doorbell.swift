internal import Synchronization

/// Wakes idle workers when there may be jobs to claim.
///
/// It counts its rings, so that none is missed: read ``rings`` before a claim; if the claim returns nothing
/// and the number has changed, claim again. While there are listeners, the driver may also watch for other
/// processes.
public final class Doorbell: Sendable {
  private struct State {
    var next = 0
    var listeners: [Int: @Sendable () -> Void] = [:]
  }
  private let state = Locked(State())
  /// A worker reads it under its lock, so it needs none.
  private let count = Atomic<UInt64>(0)
  /// Held while listeners are added and removed, so that `watch` is called in order; `ring` does not take it.
  private let isWatching = Locked(false)
  private let watch: @Sendable (_ hasListeners: Bool) -> Void

  /// Whether it rings for every claimable job while there are listeners, including jobs that other processes
  /// release or commit late. A listener then needs to poll only rarely.
  public let findsAll: Bool

  /// Creates a doorbell.
  ///
  /// - Parameters:
  ///   - findsAll: Whether the driver finds every claimable job while there are listeners.
  ///   - watch: Called when the first listener is added and when the last one is removed.
  public init(findsAll: Bool = false, watch: @escaping @Sendable (_ hasListeners: Bool) -> Void = { _ in }) {
    (self.findsAll, self.watch) = (findsAll, watch)
  }

  /// The number of rings so far.
  public var rings: UInt64 { count.load(ordering: .acquiring) }

  /// Counts a ring and calls all listeners on this thread.
  public func ring() {
    // First, so that a worker that a listener wakes sees it.
    count.wrappingAdd(1, ordering: .acquiringAndReleasing)
    let listeners = state.withLock { $0.listeners.isEmpty ? [] : Array($0.listeners.values) }
    for listener in listeners {
      Interleaving.point()
      listener()
    }
  }

  /// Calls `body` at each ring, on the thread that rings.
  ///
  /// - Returns: The id for ``stopListening(_:)``.
  public func listen(_ body: @escaping @Sendable () -> Void) -> Int {
    isWatching.withLock { isWatching in
      let id = state.withLock { state in
        state.next += 1
        state.listeners[state.next] = body
        return state.next
      }
      Interleaving.point()
      if !isWatching { watch(true) }
      isWatching = true
      return id
    }
  }

  /// Removes the listener that ``listen(_:)`` added. A call on another thread may still be in progress.
  public func stopListening(_ id: Int) {
    isWatching.withLock { isWatching in
      let isLast = state.withLock { state in
        state.listeners[id] = nil
        return state.listeners.isEmpty
      }
      Interleaving.point()
      guard isLast, isWatching else { return }
      watch(false)
      isWatching = false
    }
  }
}
