#if Dashboard
internal import Qudo

/// The result of a change, for the page that is shown next.
struct Flash: Sendable {
  var isGood: Bool
  var text: String
}

/// The answers that have not been shown. Each is shown once; of many, the oldest are dropped.
final class Flashes: Sendable {
  private static let most = 64
  private let waiting = Locked<[(id: String, flash: Flash)]>([])

  /// Keeps an answer, and returns the name by which a page asks for it.
  func keep(_ flash: Flash) -> String {
    let id = String(Secret.randomText().prefix(24))
    waiting.withLock { waiting in
      waiting.append((id, flash))
      if waiting.count > Self.most { waiting.removeFirst() }
    }
    return id
  }

  func take(_ id: String?) -> Flash? {
    guard let id else { return nil }
    return waiting.withLock { waiting in
      guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
      return waiting.remove(at: index).flash
    }
  }
}
#endif
