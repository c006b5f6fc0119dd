internal import Dispatch
internal import Qudo

/// Rings the doorbell again after a look that may have come too early.
///
/// The watch on the `-wal` reports the frames of a commit when they are written, and SQLite publishes them in the `-shm` only after the sync,
/// which no watch reports. So a look in between finds nothing, and the ring for it has been heard. A look while another process holds the
/// write lock is therefore repeated until it is given back.
final class LookAgain: Sendable {
  private struct State {
    /// The number of consecutive looks that may have come too early.
    var streak = 0
    var isPending = false
  }
  /// The longest time until the next look, in milliseconds. With a busy file, nearly every look finds the lock held.
  private static let longest = 100

  private let state = Locked(State())
  private let doorbell: Doorbell
  private let queue = DispatchQueue(label: "qudo.look")

  init(_ doorbell: Doorbell) { self.doorbell = doorbell }

  /// - Parameter isBehind: Whether the look that found nothing may have come too early.
  func note(isBehind: Bool) {
    let delay: Int? = state.withLock { state in
      guard isBehind else {
        state.streak = 0
        return nil
      }
      guard !state.isPending else { return nil }
      defer { state.streak = min(state.streak + 1, 7) }
      state.isPending = true
      return min(1 << state.streak, Self.longest)
    }
    guard let delay else { return }
    queue.asyncAfter(deadline: .now() + .milliseconds(delay)) { [weak self] in
      guard let self else { return }
      self.state.withLock { $0.isPending = false }
      Interleaving.point()
      self.doorbell.ring()
    }
  }
}
