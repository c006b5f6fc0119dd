#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

// What a signal handler needs. It may neither allocate nor lock, so these are globals with their own memory.
private nonisolated(unsafe) var isTaken = false  // unsafe: the terminal's thread sets it last, and a handler reads it first
private nonisolated(unsafe) var rescueInput: Int32 = -1  // unsafe: only written while `isTaken` is false, only read while it is true
private nonisolated(unsafe) var rescueOutput: Int32 = -1  // unsafe: only written while `isTaken` is false, only read while it is true
private nonisolated(unsafe) var rescueErrors: Int32 = -1  // unsafe: only written while `isTaken` is false, only read while it is true
private nonisolated(unsafe) var rescueSettings: UnsafeMutablePointer<termios>? = nil  // unsafe: only written while `isTaken` is false, only read while it is true
private nonisolated(unsafe) var rescueText: UnsafeMutableBufferPointer<UInt8>? = nil  // unsafe: only written while `isTaken` is false, only read while it is true
private nonisolated(unsafe) var rescueBefore: UnsafeMutablePointer<sigaction>? = nil  // unsafe: only written while `isTaken` is false, only read while it is true

/// Gives the terminal back when the process crashes, as far as that is possible: without it, the shell would have no echo, no cursor and the
/// wrong screen.
enum TerminalRescue {
  /// The signals of traps, of memory errors and of `abort`.
  private static let crashes = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT]

  /// Restores the terminal at a crash from now on.
  ///
  /// - Parameters:
  ///   - settings: The settings of `input` before they were changed.
  ///   - leave: What is written to `output`.
  ///   - errors: What standard error was; -1 if that was not changed.
  static func arm(input: Int32, settings: termios, output: Int32, leave: String, errors: Int32) {
    isTaken = false
    (rescueInput, rescueOutput, rescueErrors) = (input, output, errors)
    if rescueSettings == nil {
      rescueSettings = .allocate(capacity: 1)
      let text = Array(leave.utf8)
      let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)  // unsafe: never freed
      _ = copy.initialize(from: text)
      rescueText = copy
      install()
    }
    rescueSettings?.pointee = settings
    isTaken = true
  }

  /// Leaves the terminal alone from now on.
  static func disarm() { isTaken = false }

  /// Restores the terminal once. It calls only functions that are on the list of signal-safety(7).
  static func restore() {
    guard isTaken else { return }
    isTaken = false
    var file = pollfd(fd: rescueOutput, events: Int16(POLLOUT), revents: 0)
    if let rescueText, poll(&file, 1, 0) > 0 {
      _ = write(rescueOutput, rescueText.baseAddress, rescueText.count)
    }
    if let rescueSettings { tcsetattr(rescueInput, TCSANOW, rescueSettings) }
    if rescueErrors >= 0 { dup2(rescueErrors, STDERR_FILENO) }
  }

  /// Puts a handler before those that are there, which print a backtrace if the user wants one.
  private static func install() {
    let before = UnsafeMutablePointer<sigaction>.allocate(capacity: 64)  // unsafe: never freed
    before.initialize(repeating: sigaction(), count: 64)
    rescueBefore = before
    for number in crashes {
      guard sigaction(number, nil, before + Int(number)) == 0 else { continue }
      signal(number) { number in
        TerminalRescue.restore()
        if let rescueBefore { sigaction(number, rescueBefore + Int(number), nil) }
        // It is blocked until this handler returns. Then it finds the process where it crashed.
        raise(number)
      }
    }
  }
}
