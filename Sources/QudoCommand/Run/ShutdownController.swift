internal import Qudo

/// Shuts down `qudo work` before its work is done.
final class ShutdownController: Sendable {
  private struct State {
    var requests = 0
    var work: Task<WorkSummary, any Error>?
    var lostOutput: (any Error)?
  }
  private let state = Locked(State())
  let commands = RunningCommands()

  /// Sets the worker's task, which a shutdown cancels.
  func attach(_ work: Task<WorkSummary, any Error>) {
    let isRequested = state.withLock { state in
      state.work = work
      return state.requests > 0
    }
    if isRequested { work.cancel() }
  }

  /// Requests a shutdown. The first request lets running commands finish within the grace period; further
  /// requests stop them.
  ///
  /// - Returns: the number of requests so far.
  @discardableResult
  func request() -> Int {
    let (requests, work) = state.withLock { state in
      state.requests += 1
      return (state.requests, state.work)
    }
    work?.cancel()
    if requests > 1 { commands.stop() }
    return requests
  }

  /// Returns true if a shutdown is requested, or will be within `time`.
  ///
  /// A signal to a process group reaches the worker and a command at the same time, but the worker may see the end of
  /// the command first.
  func isRequested(within time: Duration) async -> Bool {
    let end = ContinuousClock.now + time
    while true {
      if state.withLock({ $0.requests > 0 }) { return true }
      guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(5))) != nil else {
        return false
      }
    }
  }

  /// Shuts down because the output of a command could not be forwarded.
  func outputLost(_ error: any Error) {
    state.withLock { $0.lostOutput = $0.lostOutput ?? error }
    request()
  }

  var lostOutput: (any Error)? { state.withLock { $0.lostOutput } }
}
