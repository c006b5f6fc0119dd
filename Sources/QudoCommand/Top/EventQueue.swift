internal import Qudo

/// The events that wait for the loop of `qudo top`: a bounded number, however fast keys and samples come.
///
/// Answers need no bound: the state asks for each thing once at a time.
final class EventQueue: Sendable {
  enum Event: Sendable {
    case terminal(Terminal.Event)
    case state(TopState.Event)
  }
  fileprivate struct State {
    var waiting: [Event] = []
    var keys = 0
    var waiter: CheckedContinuation<Event, Never>?
  }

  /// The number of keys that wait at most. Those beyond are lost: a key that is held down repeats faster than a slow machine draws.
  static let mostKeys = 64

  private let state = Locked(State())

  func add(_ event: Event) {
    let waiter = state.withLock { state -> CheckedContinuation<Event, Never>? in
      if let waiter = state.waiter {
        state.waiter = nil
        return waiter
      }
      state.add(event)
      return nil
    }
    waiter?.resume(returning: event)
  }

  /// Returns the next event, when there is one. Only one task may wait.
  func next() async -> Event {
    await withCheckedContinuation { continuation in
      let event = state.withLock { state -> Event? in
        guard let event = state.waiting.first else {
          state.waiter = continuation
          return nil
        }
        state.waiting.removeFirst()
        if event.isKey { state.keys -= 1 }
        return event
      }
      if let event { continuation.resume(returning: event) }
    }
  }
}

extension EventQueue.State {
  fileprivate mutating func add(_ event: EventQueue.Event) {
    switch event {
    case .terminal(.key(.control("c"))):
      // Whoever wants to leave does not wait for what was typed before.
      waiting.removeAll { $0.isKey }
      keys = 0
    case .terminal(.key): if keys >= EventQueue.mostKeys { return }
    // The newest size and sample are all that matters.
    case .terminal(.resize):
      waiting.removeAll { if case .terminal(.resize) = $0 { true } else { false } }
    case .state(.sample):
      waiting.removeAll { if case .state(.sample) = $0 { true } else { false } }
    case .terminal(.closed), .state: break
    }
    waiting.append(event)
    if event.isKey { keys += 1 }
  }
}

extension EventQueue.Event {
  fileprivate var isKey: Bool { if case .terminal(.key) = self { true } else { false } }
}
