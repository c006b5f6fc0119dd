/// Keeps the descriptor of the system's timer that `Task.sleep` needs.
///
/// On Linux, libdispatch opens it for the first sleep, and ends the process with SIGILL if no descriptor is left. A
/// worker therefore opens it before it claims a job.
struct TimerDescriptor {
  private let sleeper = Task { try? await Task.sleep(for: .seconds(1_000_000_000)) }

  /// Returns when the descriptor is open.
  func open() async {
    // The long sleep keeps the timer armed; this short one ends after it was.
    try? await Task.sleep(for: .milliseconds(1))
  }

  func close() { sleeper.cancel() }
}
