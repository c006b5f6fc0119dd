#if QUDO_INTERLEAVINGS
import Qudo

/// What callers were told, and what must be in the database then.
final class Ledger: Sendable {
  enum Told: Sendable {
    case done
    /// Nothing has happened.
    case failed
    case unknown
  }
  private struct Story {
    var isThere = false
    var mayBeThere = false
    var mustNotBeThere = false
    var claims = 0
    /// Settled, and waiting again.
    var returns = 0
    var isOver = false
    /// A settlement of it is in doubt.
    var isInDoubt = false
  }
  private struct State {
    var jobs: [String: Story] = [:]
    /// A claim is in doubt: any job may be running.
    var claimsInDoubt = false
    var troubles: [String] = []
    var started = 0
    var closes = false
    var isClosed = false
  }
  private let state = Locked(State())

  // MARK: Calls

  /// - Returns: how many calls began before, and whether the driver was closed by then.
  func begin() -> (number: Int, isClosed: Bool) {
    state.withLock { state in
      defer { state.started += 1 }
      return (state.started, state.isClosed)
    }
  }

  var calls: Int { state.withLock { $0.started } }
  func closes() { state.withLock { $0.closes = true } }
  func closed() { state.withLock { $0.isClosed = true } }
  func trouble(_ text: String) { state.withLock { $0.troubles.append(text) } }

  /// What an error tells, and whether it may be told at all.
  func told(_ error: QudoError, wasClosed: Bool, wasCancelled: Bool, expected: Set<QudoError.Code>) -> Told {
    state.withLock { state in
      switch error.code {
      case .closed where state.closes: break
      case .cancelled where wasCancelled: break
      case _ where wasClosed: state.troubles.append("after the driver was closed a caller was told \(error)")
      case .outcomeUnknown where expected.contains(.outcomeUnknown): return .unknown
      case let code where expected.contains(code): break
      default: state.troubles.append("a caller was told \(error.code), \(error)")
      }
      return .failed
    }
  }

  // MARK: Jobs

  func inserted(_ names: [String], _ told: Told) {
    state.withLock { state in
      for name in names {
        switch told {
        case .done: state.jobs[name, default: Story()].isThere = true
        case .failed: state.jobs[name, default: Story()].mustNotBeThere = true
        case .unknown: state.jobs[name, default: Story()].mayBeThere = true
        }
      }
    }
  }

  func claimed(_ names: [String]) {
    state.withLock { state in for name in names { state.jobs[name, default: Story()].claims += 1 } }
  }

  func claimInDoubt() { state.withLock { $0.claimsInDoubt = true } }

  /// - Parameter isOver: whether the job is gone then; else it waits again.
  func settled(_ name: String, isOver: Bool, _ told: Told) {
    state.withLock { state in
      switch told {
      case .done where isOver: state.jobs[name, default: Story()].isOver = true
      case .done: state.jobs[name, default: Story()].returns += 1
      case .failed: break
      case .unknown: state.jobs[name, default: Story()].isInDoubt = true
      }
    }
  }

  /// - Parameter heldState: of jobs that a caller holds: `running`, or `ready` if its driver was closed and the database knows.
  /// - Throws: when the jobs in the database are not those that the callers were told of.
  func check(_ found: [StoredJob], heldState: JobState = .running) throws {
    let found = Dictionary(found.map { ($0.payload.name, $0.state) }) { first, _ in first }
    let (jobs, inDoubt, troubles) = state.withLock { ($0.jobs, $0.claimsInDoubt, $0.troubles) }
    guard troubles.isEmpty else { throw Wrong(troubles.prefix(3).joined(separator: "; ")) }
    for name in found.keys where jobs[name] == nil { throw Wrong("\(name), of which nobody knows, is there") }
    for (name, job) in jobs {
      let what = "\(name), claimed \(job.claims) times and given back \(job.returns) times,"
      if job.mustNotBeThere, found[name] != nil || job.claims > 0 {
        throw Wrong("\(what) is there, though its enqueue failed")
      }
      guard job.isThere, !job.isInDoubt else { continue }
      if job.isOver {
        if let state = found[name] { throw Wrong("\(what) is over, and is \(state)") }
        continue
      }
      guard let state = found[name] else { throw Wrong("\(what) is not there, though it was acknowledged") }
      guard job.claims - job.returns == 0 || job.claims - job.returns == 1 else {
        throw Wrong("\(what) had two holders at once")
      }
      if job.claims > job.returns, state != heldState { throw Wrong("\(what) is held, and is \(state)") }
      if job.claims == job.returns, state == .running, !inDoubt {
        throw Wrong("\(what) is running, and nobody holds it")
      }
    }
  }
}
#endif
