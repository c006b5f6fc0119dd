internal import Qudo

/// How `qudo work` comes to an end before its work does.
final class ShutdownController: Sendable {
  private struct State {
    var requests = 0
    var work: Task<WorkSummary, any Error>?
    var lostOutput: (any Error)?
  }
  private let state = Locked(State())
  let commands = RunningCommands()

  /// The task that works; it is cancelled to stop.
  func attach(_ work: Task<WorkSummary, any Error>) {
    let isRequested = state.withLock { state in
      state.work = work
      return state.requests > 0
    }
    if isRequested { work.cancel() }
  }

  /// The first time, running commands may end within the grace; from the second on they are stopped.
  ///
  /// - Returns: how often this was asked for.
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

  /// Whether it was asked for, or is within that time.
  ///
  /// A signal to a group comes to the worker and to a command at once, but the worker may see the command's end first.
  func isRequested(within time: Duration) async -> Bool {
    let end = ContinuousClock.now + time
    while true {
      if state.withLock({ $0.requests > 0 }) { return true }
      guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(5))) != nil else {
        return false
      }
    }
  }

  /// What a command wrote could not be passed on: there is no point in going on.
  func outputLost(_ error: any Error) {
    state.withLock { $0.lostOutput = $0.lostOutput ?? error }
    request()
  }

  var lostOutput: (any Error)? { state.withLock { $0.lostOutput } }
}
