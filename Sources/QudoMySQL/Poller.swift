#if MySQL
internal import Qudo

/// Looks for jobs that other processes have enqueued, while somebody listens: a server does not call its clients.
///
/// There is one for each driver, however many workers listen. It asks for the highest id, which is one look into the
/// index; when that has grown it rings. It asks often while something happens, and less and less often while nothing does.
final class Poller: Sendable {
  private struct State {
    var task: Task<Void, Never>?
    var memory = PollMemory()
  }

  private let state = Locked(State())
  private let look: @Sendable () async throws(QudoError) -> Int64
  private let ring: @Sendable () -> Void

  /// - Parameters:
  ///   - look: the highest id of all jobs; 0 without any.
  ///   - ring: called when it has grown.
  init(look: @escaping @Sendable () async throws(QudoError) -> Int64, ring: @escaping @Sendable () -> Void) {
    self.look = look
    self.ring = ring
  }

  /// A job of this driver's own, for which it has rung itself.
  func enqueued(_ id: Int64) { state.withLock { $0.memory.enqueued(id) } }

  func setActive(_ isActive: Bool) {
    state.withLock { state in
      state.task?.cancel()
      state.task = isActive ? Task { await self.poll() } : nil
      state.memory = PollMemory()
    }
  }

  private func poll() async {
    while !Task.isCancelled {
      await Schedule.pause()
      do {
        let found = try await look()
        if state.withLock({ $0.memory.found(found) }) { ring() }
      } catch where error.code == .closed || error.code == .cancelled {
        return
      } catch {
        // A worker that claims hears of it. When the server is back, there may be something.
        state.withLock { $0.memory.foundNothing() }
      }
      do {
        try await Task.sleep(for: state.withLock { $0.memory.pause() })
      } catch {
        return
      }
    }
  }
}

/// What a poller has seen, and how long it waits before it looks again.
struct PollMemory {
  static let shortest = Duration.milliseconds(20)
  static let longest = Duration.seconds(1)
  /// The highest id that was seen, or given to a job by the driver itself.
  private var highest: Int64?
  private var wait = shortest

  mutating func enqueued(_ id: Int64) {
    wait = Self.shortest
    if let highest { self.highest = max(highest, id) }
  }

  /// - Returns: whether there may be something new. The first time there may: since the last claim.
  mutating func found(_ id: Int64) -> Bool {
    let isNew = highest.map { id > $0 } ?? true
    highest = max(highest ?? 0, id)
    if isNew { wait = Self.shortest }
    return isNew
  }

  mutating func foundNothing() { highest = nil }

  mutating func pause() -> Duration {
    defer { wait = min(wait * 5 / 4, Self.longest) }
    return wait
  }
}
#endif
