internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Where the signal handler writes the numbers of signals.
private nonisolated(unsafe) var wakeUp: Int32 = -1  // unsafe: written before a handler is installed, and never again

/// Signals that would end the process, as calls of a closure.
enum Signals {
  /// SIGTERM, SIGINT, and SIGHUP unless it was ignored when the process began, as `nohup` does.
  static var ending: [Int32] { [SIGTERM, SIGINT] + (isIgnored(SIGHUP) ? [] : [SIGHUP]) }

  /// Calls `body` at each of the signals from now on. Once in a process.
  static func watch(_ signals: [Int32], _ body: @escaping @Sendable (Int32) -> Void) throws(CommandError) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      throw CommandError("there is no pipe for signals: \(String(cString: strerror(errno)))")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    wakeUp = ends[1]
    let reading = ends[0]
    DispatchQueue(label: "qudo.signals").async {
      // Here they arrive, also where the parent had them blocked, as a thread pool has that starts a process.
      var set = sigset_t()
      sigemptyset(&set)
      for number in signals { sigaddset(&set, number) }
      pthread_sigmask(SIG_UNBLOCK, &set, nil)
      var number: UInt8 = 0
      while true {
        let count = read(reading, &number, 1)
        if count == 1 { body(Int32(number)) } else if count == 0 || errno != EINTR { return }
      }
    }
    for number in signals {
      signal(number) { number in
        // "errno ... must be saved on entry and restored": signal-safety(7), which has `write` on its list.
        let saved = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(wakeUp, &byte, 1)
        errno = saved
      }
    }
  }

  /// Ends the process by the signal, as if nobody had watched it.
  static func die(of number: Int32) -> Never {
    signal(number, SIG_DFL)
    // To the process, not to this thread, which may have the signal blocked.
    kill(getpid(), number)
    // Process 1 is not ended by a signal that it does not handle; any other is, by the time the signal was delivered.
    while !OwnChildren.mustReap { pause() }
    _exit(128 + number)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    let before = signal(number, SIG_IGN)
    // unsafe below: SIG_IGN is no function but the address 1, and handlers can be compared by their addresses only
    guard unsafeBitCast(before, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self) else { return true }  // unsafe: addresses
    signal(number, before)
    return false
  }
}
