internal import Synchronization

/// Tells hooks of settled runs, one after the other and in the order of the settles, while the pump continues: a slow
/// hook delays no renewal.
///
/// If the hooks fall behind by ``most`` runs, the worker claims nothing until they have caught up.
final class HookQueue: Sendable {
  typealias Entry = (settlement: Settlement, result: SettleResult)

  private struct State {
    var entries: [Entry] = []
    var task: Task<Void, Never>?
  }
  static let most = 1000

  private let state = Locked(State())
  /// The number of runs that hooks are still to be told of. The engine reads it under its lock, so it needs none.
  private let left = Atomic(0)

  var isBehind: Bool { left.load(ordering: .acquiring) >= Self.most }

  /// Adds runs.
  ///
  /// - Parameters:
  ///   - tell: Tells the hooks of one run.
  ///   - caughtUp: Called when the hooks are no longer behind.
  func add(
    _ entries: [Entry], tell: @escaping @Sendable (Entry) async -> Void,
    caughtUp: @escaping @Sendable () -> Void
  ) {
    state.withLock { state in
      state.entries += entries
      left.add(entries.count, ordering: .acquiringAndReleasing)
      guard state.task == nil, !entries.isEmpty else { return }
      state.task = Task { await self.run(tell, caughtUp) }
    }
  }

  private func run(_ tell: @Sendable (Entry) async -> Void, _ caughtUp: @Sendable () -> Void) async {
    while true {
      await Interleaving.pause()
      let entries = state.withLock { state in
        defer { state.entries = [] }
        if state.entries.isEmpty { state.task = nil }
        return state.entries
      }
      guard !entries.isEmpty else { return }
      for entry in entries {
        await tell(entry)
        let count = left.subtract(1, ordering: .acquiringAndReleasing).newValue
        if count == Self.most - 1 { caughtUp() }
      }
    }
  }

  /// Returns when the hooks have been told of all runs.
  func finish() async {
    while let task = state.withLock({ $0.task }) { await task.value }
  }
}
