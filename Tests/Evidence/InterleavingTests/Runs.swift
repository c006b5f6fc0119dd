#if QUDO_INTERLEAVINGS
import Qudo

/// What workers run, and what they must never do.
final class Runs: Sendable {
  private struct State {
    var began: [String: Int] = [:]
    var completed: [String: Int] = [:]
    var running: Set<String> = []
    var ofKind: [Kind: Int] = [:]
    var troubles: [String] = []
    /// When so many runs have begun, these are called.
    var marks: [(count: Int, body: @Sendable () -> Void)] = []
    /// Who waits until a job has begun.
    var waiting: [String: CheckedContinuation<Void, Never>] = [:]
    var isOpen = true
    var held: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Locked(State())
  private let concurrency: Int
  private let limits: [Kind: Int]

  /// - Parameters:
  ///   - concurrency: how many may run at once.
  ///   - limits: and how many of a kind.
  init(concurrency: Int = .max, limits: [Kind: Int] = [:]) {
    (self.concurrency, self.limits) = (concurrency, limits)
  }

  func begin(_ name: String, _ kind: Kind = "a") {
    let (waiting, marks) = state.withLock { state in
      state.began[name, default: 0] += 1
      if !state.running.insert(name).inserted { state.troubles.append("\(name) runs twice at once") }
      state.ofKind[kind, default: 0] += 1
      if state.running.count > concurrency {
        state.troubles.append("\(state.running.count) run at once, not \(concurrency)")
      }
      if let limit = limits[kind], state.ofKind[kind, default: 0] > limit {
        state.troubles.append("more than \(limit) of \(kind) run")
      }
      let count = state.began.values.reduce(0, +)
      let marks = state.marks.filter { $0.count <= count }
      state.marks.removeAll { $0.count <= count }
      return (state.waiting.removeValue(forKey: name), marks.map(\.body))
    }
    waiting?.resume()
    for mark in marks { mark() }
  }

  /// A run of a job that may run twice at once.
  func begins(again name: String) { state.withLock { $0.began[name, default: 0] += 1 } }

  func end(_ name: String, _ kind: Kind = "a", completes: Bool) {
    state.withLock { state in
      state.running.remove(name)
      state.ofKind[kind, default: 0] -= 1
      if completes { state.completed[name, default: 0] += 1 }
    }
  }

  /// Calls `body` when so many runs have begun.
  func at(_ count: Int, _ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.marks.append((count, body)) }
  }

  /// Returns when a run of it has begun.
  func begins(_ name: String) async {
    await withCheckedContinuation { continuation in
      let isThere = state.withLock { state in
        if state.began[name] != nil { return true }
        state.waiting[name] = continuation
        return false
      }
      if isThere { continuation.resume() }
    }
  }

  /// Runs that come to ``hold()`` stay there until they are opened.
  func close() { state.withLock { $0.isOpen = false } }

  func open() {
    let held = state.withLock { state in
      state.isOpen = true
      defer { state.held = [] }
      return state.held
    }
    for one in held { one.resume() }
  }

  func hold() async {
    await withCheckedContinuation { continuation in
      let goesOn = state.withLock { state in
        if !state.isOpen { state.held.append(continuation) }
        return state.isOpen
      }
      if goesOn { continuation.resume() }
    }
  }

  var began: [String: Int] { state.withLock { $0.began } }
  var completed: [String: Int] { state.withLock { $0.completed } }
  var running: Set<String> { state.withLock { $0.running } }

  func check() throws {
    if let trouble = state.withLock({ $0.troubles.first }) { throw Wrong(trouble) }
  }
}
#endif
