internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// The terminal of the process: it draws frames, and tells keys and sizes.
///
/// One thread does all that: it waits for keys, signals and frames, and it alone writes. So nothing is drawn after the terminal was
/// restored, and a terminal that takes no output holds up neither keys nor signals. The thread ends with ``close()``. If the process
/// crashes, ``TerminalRescue`` restores the terminal.
final class Terminal: Sendable {
  enum Event: Equatable, Sendable {
    case key(Key)
    case resize(ScreenSize)
    /// The terminal is gone.
    case closed
  }

  private enum Request { case suspend, redraw, close }
  private struct State {
    /// The next frame; nil if it was drawn.
    var frame: [String]?
    var requests: [Request] = []
    var isClosed = false
    var closers: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Locked(State())
  /// How long ``close()`` waits for the thread, in microseconds: longer than the thread waits for the terminal.
  private static let closeTime: Int64 = 3_000_000

  /// Takes the terminal: raw keys, the alternate screen, no cursor.
  ///
  /// - Parameter event: Called with keys and sizes, on the terminal's thread.
  /// - Throws: `CommandError` if there is none.
  init(_ event: @escaping @Sendable (Event) -> Void) throws(CommandError) {
    let input =
      isatty(STDIN_FILENO) == 1 ? dup(STDIN_FILENO) : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
    var settings = termios()
    guard input >= 0, tcgetattr(input, &settings) == 0 else {
      if input >= 0 { _ = Self.close(input) }
      throw CommandError("no terminal to read keys from: use --once, or run it in a terminal")
    }
    _ = fcntl(input, F_SETFD, FD_CLOEXEC)
    let signals = Signals.ending + [SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT]
    let wakeUps = try Signals.pipe(signals)
    let screen = TerminalScreen(
      input: input, output: Self.output(), wakeUps: wakeUps, settings: settings, event: event)
    DispatchQueue(label: "qudo.terminal").async { [state] in
      var screen = screen
      Signals.unblock(signals)
      screen.run { () -> TerminalScreen.Work in
        state.withLock { state in
          defer { (state.frame, state.requests) = (nil, []) }
          return TerminalScreen.Work(
            frame: state.frame, suspends: state.requests.contains(.suspend),
            redraws: state.requests.contains(.redraw), closes: state.requests.contains(.close))
        }
      }
      let closers = state.withLock { state in
        state.isClosed = true
        defer { state.closers = [] }
        return state.closers
      }
      for closer in closers { closer.resume() }
    }
  }

  /// The size of the terminal that standard output is; 80 columns and 24 rows if it does not tell.
  static var size: ScreenSize {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
      return ScreenSize(80, 24)
    }
    return ScreenSize(Int(size.ws_col), Int(size.ws_row))
  }

  /// Opens the terminal that standard output is, so that writing to it never waits.
  ///
  /// - Returns: Standard output itself if that is not possible. Its own description cannot be changed: the shell has it, too.
  private static func output() -> Int32 {
    var name = [CChar](repeating: 0, count: 1024)
    guard ttyname_r(STDOUT_FILENO, &name, name.count) == 0 else { return STDOUT_FILENO }
    let file = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    return file >= 0 ? file : STDOUT_FILENO
  }

  /// Draws lines, unless another frame comes before that.
  func draw(_ frame: [String]) {
    state.withLock { $0.frame = frame }
    Signals.wake()
  }

  /// Draws all lines again with the next frame, even those that have not changed.
  func redraw() { ask(.redraw) }

  /// Gives the terminal back and stops the process, as Ctrl-Z does, until it is continued.
  func suspend() { ask(.suspend) }

  /// Gives the terminal back. It does not wait long for one that takes no output.
  func close() async {
    ask(.close)
    let clock = SystemClock()
    let hasEnded = await withDeadline(until: clock.sinceBoot().clampedPlus(Self.closeTime), clock) {
      await self.ended()
      return true
    }
    // The thread is stuck in a write. The process ends next, and the shell at least gets its keys back.
    if hasEnded == nil { TerminalRescue.restore() }
  }

  private func ended() async {
    await withCheckedContinuation { continuation in
      let isClosed = state.withLock { state in
        if !state.isClosed { state.closers.append(continuation) }
        return state.isClosed
      }
      if isClosed { continuation.resume() }
    }
  }

  private func ask(_ request: Request) {
    state.withLock { $0.requests.append(request) }
    Signals.wake()
  }

  fileprivate static func close(_ file: Int32) -> Int32 {
    #if canImport(Glibc)
    Glibc.close(file)
    #elseif canImport(Musl)
    Musl.close(file)
    #else
    Darwin.close(file)
    #endif
  }
}

/// The state of the terminal's thread.
private struct TerminalScreen {
  struct Work {
    var frame: [String]?
    var suspends: Bool
    var redraws: Bool
    var closes: Bool
  }

  private let input: Int32
  private let terminal: Int32
  private let wakeUps: Int32
  private let settings: termios
  private let event: @Sendable (Terminal.Event) -> Void
  private let clock = SystemClock()
  private var decoder = KeyDecoder()
  /// When an unfinished sequence counts as ended; nil if there is none.
  private var sequenceEnds: Int64?
  /// The bytes to write.
  private var output: ArraySlice<UInt8> = []
  /// When to write again after the terminal took nothing; nil if it took something.
  private var writesAgain: Int64?
  /// The lines on the screen; nil if they are unknown.
  private var shown: [String]?
  private var next: [String]?
  private var hasInput = true
  /// Standard error while messages are kept off the screen; -1 if it is not a terminal.
  private var errors: Int32 = -1

  /// - Parameter output: The terminal to write to.
  init(
    input: Int32, output: Int32, wakeUps: Int32, settings: termios,
    event: @escaping @Sendable (Terminal.Event) -> Void
  ) {
    (self.input, terminal, self.wakeUps, self.settings, self.event) = (
      input, output, wakeUps, settings, event
    )
  }

  /// The longest time that the terminal gets to take the last bytes, in microseconds.
  private static let patience: Int64 = 1_000_000
  /// The time between two attempts to write to a terminal that says that it takes output, and takes none, in microseconds.
  private static let pause: Int64 = 20_000
  /// A terminal that can take output takes this many bytes at once.
  private static let chunk = 512

  // The last one asks for marks around pasted text, which is then not taken for keys.
  private static let enter = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l\u{1B}[2J\u{1B}[?2004h"
  // Cleared first: tmux leaves lines of the alternate screen on the other one if the window grew meanwhile.
  private static let leave = "\u{1B}[?2004l\u{1B}[0m\u{1B}[H\u{1B}[2J\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"

  /// Runs until it is asked to close.
  mutating func run(_ work: () -> Work) {
    take()
    while true {
      let now = clock.sinceBoot()
      let isWriting = !output.isEmpty && writesAgain.map { $0 <= now } ?? true
      var files = [
        pollfd(fd: wakeUps, events: Int16(POLLIN), revents: 0),
        pollfd(fd: hasInput ? input : -1, events: Int16(POLLIN), revents: 0),
        pollfd(fd: isWriting ? terminal : -1, events: Int16(POLLOUT), revents: 0),
      ]
      let next = [sequenceEnds, output.isEmpty || isWriting ? nil : writesAgain].compactMap { $0 }.min()
      let wait = next.map { Int32(clamping: max(0, $0.clampedMinus(now)) / 1000 + 1) }
      guard poll(&files, nfds_t(files.count), wait ?? -1) >= 0 else { continue }
      if files[1].revents != 0 {
        readKeys()
      } else if let end = sequenceEnds, clock.sinceBoot() >= end {
        press(decoder.flush())
      }
      if files[2].revents != 0, !writeSome() { lose() }
      if files[0].revents != 0 {
        for signal in readWakeUps() { react(signal) }
        let work = work()
        if work.closes { break }
        if work.redraws { shown = nil }
        if let frame = work.frame { self.next = frame }
        if work.suspends { suspend() }
      }
      compose()
    }
    give()
    _ = Terminal.close(input)
    if terminal != STDOUT_FILENO { _ = Terminal.close(terminal) }
  }

  private mutating func press(_ keys: [Key]) {
    sequenceEnds = decoder.patience.map { clock.sinceBoot().clampedPlus(Int64($0) * 1000) }
    for key in keys { event(.key(key)) }
  }

  private mutating func readKeys() {
    var buffer = [UInt8](repeating: 0, count: 1024)
    let count = read(input, &buffer, buffer.count)
    if count > 0 { return press(decoder.decode(buffer[..<count])) }
    if count < 0, errno == EINTR || errno == EAGAIN { return }
    lose()
  }

  /// The terminal is gone.
  private mutating func lose() {
    (hasInput, output) = (false, [])
    event(.closed)
  }

  private func readWakeUps() -> [Int32] {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = read(wakeUps, &buffer, buffer.count)
    return buffer.prefix(max(count, 0)).filter { $0 != 0 }.map { Int32($0) }
  }

  private mutating func react(_ signal: Int32) {
    switch signal {
    case SIGWINCH:
      shown = nil
      event(.resize(Terminal.size))
    case SIGTSTP: suspend()
    case SIGCONT:
      // Stopped without notice, by SIGSTOP: another program may have used the terminal.
      take()
      event(.resize(Terminal.size))
    default:
      give()
      Signals.die(of: signal)
    }
  }

  private mutating func suspend() {
    give()
    signal(SIGTSTP, SIG_DFL)
    // Not `kill`, which another thread may get: this one must not continue before the process is stopped.
    raise(SIGTSTP)
    Signals.handle(SIGTSTP)
    take()
    event(.resize(Terminal.size))
  }

  // MARK: The terminal's state

  private mutating func take() {
    var raw = settings
    cfmakeraw(&raw)
    // The output stays as it was: a newline of another program begins at the left.
    raw.c_oflag = settings.c_oflag
    tcsetattr(input, TCSANOW, &raw)
    if errors < 0, isatty(STDERR_FILENO) == 1 {
      errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
      let nothing = open("/dev/null", O_WRONLY | O_CLOEXEC)
      if errors >= 0, nothing >= 0 { dup2(nothing, STDERR_FILENO) }
      if nothing >= 0 { _ = Terminal.close(nothing) }
    }
    TerminalRescue.arm(
      input: input, settings: settings, output: terminal, leave: Self.leave, errors: errors)
    output = Array(Self.enter.utf8)[...]
    shown = nil
  }

  /// Restores what ``take()`` changed. It waits a moment for a terminal that takes no output, and not longer.
  private mutating func give() {
    output = Array(Self.leave.utf8)[...]
    let end = clock.sinceBoot().clampedPlus(Self.patience)
    while !output.isEmpty {
      let left = end.clampedMinus(clock.sinceBoot())
      guard left > 0 else { break }
      var file = pollfd(fd: terminal, events: Int16(POLLOUT), revents: 0)
      let count = poll(&file, 1, Int32(clamping: left / 1000 + 1))
      if count < 0, errno == EINTR { continue }
      guard count > 0, writeSome() else { break }
      if writesAgain != nil { usleep(UInt32(clamping: Self.pause)) }
    }
    output = []
    var settings = settings
    tcsetattr(input, TCSANOW, &settings)
    TerminalRescue.disarm()
    guard errors >= 0 else { return }
    dup2(errors, STDERR_FILENO)
    _ = Terminal.close(errors)
    errors = -1
  }

  // MARK: Drawing

  /// Writes a part of the output.
  ///
  /// - Returns: False if the terminal is gone.
  private mutating func writeSome() -> Bool {
    let part = output.prefix(Self.chunk)
    let count = part.withUnsafeBytes { write(terminal, $0.baseAddress, $0.count) }
    let error = errno
    // A terminal may say that it takes output although it has room for less than one character.
    writesAgain = count > 0 ? nil : clock.sinceBoot().clampedPlus(Self.pause)
    if count < 0 { return error == EINTR || error == EAGAIN }
    output = output.dropFirst(count)
    return true
  }

  /// Turns the lines of the next frame that differ from those on the screen into output.
  private mutating func compose() {
    guard output.isEmpty, let frame = next else { return }
    next = nil
    var text = shown == nil ? "\u{1B}[0m\u{1B}[2J" : ""
    for (row, line) in frame.enumerated()
    where shown.map({ !$0.indices.contains(row) || $0[row] != line }) ?? true {
      text += "\u{1B}[\(row + 1);1H\(line)"
    }
    for row in frame.count..<max(frame.count, shown?.count ?? 0) { text += "\u{1B}[\(row + 1);1H\u{1B}[2K" }
    shown = frame
    output = Array(text.utf8)[...]
  }
}
