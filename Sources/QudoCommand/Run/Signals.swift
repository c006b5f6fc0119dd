internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The descriptor to which the signal handler writes signal numbers.
private nonisolated(unsafe) var wakeUp: Int32 = -1  // unsafe: written before a handler is installed, and never again

/// `pipe`, whose name a function below has, too.
private func unistdPipe(_ ends: inout [Int32]) -> Int32 { pipe(&ends) }

/// Turns signals that would end the process into calls of a closure.
enum Signals {
  /// SIGTERM and SIGINT, and SIGHUP unless the process started with it ignored, as with `nohup`.
  static var ending: [Int32] { [SIGTERM, SIGINT] + (isIgnored(SIGHUP) ? [] : [SIGHUP]) }

  /// Calls `body` on each of these signals from now on. Call this or ``pipe(_:)`` only once per process.
  static func watch(_ signals: [Int32], _ body: @escaping @Sendable (Int32) -> Void) throws(CommandError) {
    let reading = try pipe(signals)
    DispatchQueue(label: "qudo.signals").async {
      unblock(signals)
      var number: UInt8 = 0
      while true {
        let count = read(reading, &number, 1)
        if count == 1 { body(Int32(number)) } else if count == 0 || errno != EINTR { return }
      }
    }
  }

  /// Writes the number of each of these signals to a pipe from now on.
  ///
  /// - Returns: The reading end of the pipe.
  static func pipe(_ signals: [Int32]) throws(CommandError) -> Int32 {
    var ends: [Int32] = [-1, -1]
    guard unistdPipe(&ends) == 0 else {
      throw CommandError("cannot create a pipe for signals: \(String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    wakeUp = ends[1]
    for number in signals { handle(number) }
    return ends[0]
  }

  /// Writes a signal's number to the pipe when it arrives, from now on. It needs ``pipe(_:)`` first.
  static func handle(_ number: Int32) {
    signal(number) { number in
      // "errno ... must be saved on entry and restored": signal-safety(7), which has `write` on its list.
      let saved = errno
      var byte = UInt8(truncatingIfNeeded: number)
      _ = write(wakeUp, &byte, 1)
      errno = saved
    }
  }

  /// Writes a zero to the pipe, to wake its reader.
  static func wake() {
    var byte: UInt8 = 0
    _ = write(wakeUp, &byte, 1)
  }

  /// Unblocks the signals on this thread: a parent may have blocked them, as a thread pool that starts a process does.
  static func unblock(_ signals: [Int32]) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in signals { sigaddset(&set, number) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }

  /// Ends the process by the signal's default action.
  static func die(of number: Int32) -> Never {
    signal(number, SIG_DFL)
    // Signal the process, not this thread, which may block the signal.
    kill(getpid(), number)
    // An unhandled signal does not end process 1. Any other process ends once the signal is delivered.
    while !OwnChildren.mustReap { pause() }
    _exit(128 + number)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    let before = signal(number, SIG_IGN)
    // unsafe below: SIG_IGN is the address 1, not a function, so handlers are compared by address
    guard unsafeBitCast(before, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self) else { return true }  // unsafe: addresses
    signal(number, before)
    return false
  }
}
