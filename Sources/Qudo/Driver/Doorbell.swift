/// Tells those who wait that there may be jobs to claim.
///
/// It counts, so that nothing is missed: read ``rings`` before a claim, and if it is another number when the claim
/// came back empty, claim again. While somebody listens, the driver may watch for other processes as well.
public final class Doorbell: Sendable {
  private struct State {
    var rings: UInt64 = 0
    var next = 0
    var listeners: [Int: @Sendable () -> Void] = [:]
  }
  private let state = Locked(State())
  /// Held while listeners come and go, so that the watch hears of it in order; `ring` does not take it.
  private let isWatching = Locked(false)
  private let watch: @Sendable (_ somebodyListens: Bool) -> Void

  /// Whether it rings for whatever can be claimed while somebody listens, also for what others give back or commit late: a
  /// listener then need look by itself only now and then.
  public let findsAll: Bool

  /// - Parameters:
  ///   - findsAll: whether the driver looks for all that can be claimed while somebody listens.
  ///   - watch: called when the first listener comes and when the last one goes.
  public init(findsAll: Bool = false, watch: @escaping @Sendable (_ somebodyListens: Bool) -> Void = { _ in }) {
    (self.findsAll, self.watch) = (findsAll, watch)
  }

  /// How often it rang.
  public var rings: UInt64 { state.withLock { $0.rings } }

  /// Calls all who listen, on this thread.
  public func ring() {
    let listeners = state.withLock { state in
      state.rings &+= 1
      return state.listeners.isEmpty ? [] : Array(state.listeners.values)
    }
    for listener in listeners {
      Interleaving.point()
      listener()
    }
  }

  /// Calls `body` at each ring, on whatever thread rings, until ``stopListening(_:)``.
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

  /// Ends what ``listen(_:)`` began. A call that has begun on another thread may still go on.
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
