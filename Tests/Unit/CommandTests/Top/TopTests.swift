import Foundation
import ProcessSupport
import Testing

/// `qudo top` as a user has it.
@Suite(.waitsForProcesses) struct TopTests {
  let place: CommandWorkspace

  init() throws {
    place = try CommandWorkspace()
    try place.qudo("enqueue", "alpha", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "beta", "--lines", input: "1\n")
    try place.qudo("work", "beta=false", "--until-empty", "--max-retries", "0")
    try place.qudo("enqueue", "gamma", "--delay", "1h")
  }

  @Test(
    "in a terminal: it shows, follows, filters, changes, is resized and suspended, and gives the terminal back",
    .enabled(if: TmuxSession.isWanted, "needs tmux"))
  func terminal() throws {
    let tmux = try TmuxSession(place, columns: 80, rows: 24)
    try tmux.run("\"$qudo\" top --interval 100ms")
    try tmux.until("the kinds") { $0.contains("> alpha") && $0.contains("gamma") && $0.contains("beta") }
    #expect(try tmux.modes == "1 0\n")
    #expect(try tmux.screen[0].hasPrefix(" qudo top  [Kinds]  Jobs   Failures"))
    #expect(try !tmux.screen.contains { $0.contains("ready>") })

    try place.qudo("enqueue", "later")
    try tmux.until("a new kind") { $0.contains("later") }
    try tmux.press("/", "g", "a", "m")
    try tmux.until("the filter") {
      $0.contains("> gamma") && !$0.contains("later") && $0.contains("Filter: gam")
    }
    try tmux.press("Enter", "p")
    try tmux.until("the question") { $0.contains("Pause gamma? Its running jobs continue. y/n") }
    try tmux.press("y")
    try tmux.until("the pause") { $0.contains("gamma is paused") && $0.contains(" paused ") }
    #expect(try place.qudo("pauses", "--json").output.contains("\"kind\":\"gamma\""))
    try tmux.press("p", "y")
    try tmux.until("the end of the pause") { $0.contains("gamma is resumed") }
    #expect(try place.qudo("pauses").output == "")

    try tmux.press("Escape", "Tab", "Tab")
    try tmux.until("the failure") { $0.contains("[Failures]") && $0.contains("> ") && $0.contains("beta") }
    try tmux.press("r", "y")
    try tmux.until("the replay") { $0.contains("failure 1 runs again, as job") && $0.contains("replayed") }

    try tmux.press("Tab", "g", "Enter")
    try tmux.until("the jobs") { $0.contains("UNIQUE KEY") && $0.contains(">          1 ready") }
    try tmux.press("c")
    try tmux.until("the question") { $0.contains("Cancel job 1? y/n") }
    try tmux.press("y")
    try tmux.until("the cancelled job") { $0.contains("job 1 is cancelled") }
    // The list has it until the next sample.
    try tmux.until("the next job") { $0.contains(">          2 ready") }
    try tmux.resize(40, 12)
    try tmux.until("fewer columns") { $0.contains("STATE") && !$0.contains("UNIQUE KEY") }
    try tmux.press("Enter")
    try tmux.until("the job") { $0.contains(" Job 2") && $0.contains("alpha") }

    try tmux.press("C-z")
    try tmux.untilTaken(false)
    try tmux.until("the shell") { $0.contains("top\n") || $0.contains("Stopped") }
    try tmux.run("fg")
    try tmux.untilTaken(true)
    try tmux.until("the job again") { $0.contains(" Job 2") }
    try tmux.resize(80, 24)
    try tmux.press("q")
    try tmux.untilTaken(false)
    try tmux.untilPrompt()
    try tmux.run("echo \"status $?.\"; stty -a")
    try tmux.until("the shell") {
      $0.contains("status 0.") && $0.contains(" icanon") && $0.contains(" echo ")
    }
    #expect(try !tmux.screen.contains { $0.contains("Job 2") })
  }

  @Test(
    "a signal restores the terminal, and ends it as it ends others",
    .enabled(if: TmuxSession.isWanted, "needs tmux"),
    arguments: [SIGTERM, SIGINT, SIGHUP])
  func signals(signal: Int32) throws {
    let tmux = try TmuxSession(place, columns: 80, rows: 24)
    try tmux.run("sh -c \"echo \\$\\$ > id; exec \\\"$qudo\\\" top\"")
    try tmux.untilTaken(true)
    try tmux.until("the kinds") { $0.contains("> alpha") }
    let id = try #require(pid_t(try place.text("id").trimmingCharacters(in: .whitespacesAndNewlines)))
    kill(id, signal)
    try tmux.untilTaken(false)
    try tmux.untilPrompt()
    try tmux.run("echo \"status $?.\"; stty -a")
    try tmux.until("the status") { $0.contains("status \(128 + signal).") && $0.contains(" icanon") }
  }

  @Test(
    "a crash restores the terminal, and ends it as a crash does",
    .enabled(if: TmuxSession.isWanted, "needs tmux"),
    arguments: [SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGBUS])
  func crashes(signal: Int32) throws {
    let tmux = try TmuxSession(place, columns: 80, rows: 24)
    try tmux.run("ulimit -c 0; SWIFT_BACKTRACE=enable=no sh -c \"echo \\$\\$ > id; exec \\\"$qudo\\\" top\"")
    try tmux.untilTaken(true)
    try tmux.until("the kinds") { $0.contains("> alpha") }
    let id = try #require(pid_t(try place.text("id").trimmingCharacters(in: .whitespacesAndNewlines)))
    kill(id, signal)
    try tmux.untilTaken(false)
    try tmux.run("echo \"status $?.\"; stty -a")
    try tmux.until("the status") {
      $0.contains("status \(128 + signal).") && $0.contains(" icanon") && $0.contains(" echo ")
    }
  }

  @Test("pasted text presses no keys", .enabled(if: TmuxSession.isWanted, "needs tmux")) func pastes() throws
  {
    let tmux = try TmuxSession(place, columns: 80, rows: 24)
    try tmux.run("\"$qudo\" top")
    try tmux.until("the kinds") { $0.contains("> alpha") }
    try tmux.paste("py/q")
    try tmux.press("/")
    try tmux.paste("gam")
    try tmux.until("the filter") {
      $0.contains("> gamma") && $0.contains("Filter: gam_") && !$0.contains("alpha")
    }
    #expect(try place.qudo("pauses").output == "")
    try tmux.press("Enter", "q")
    try tmux.untilTaken(false)
    // The shell is not told to mark what is pasted.
    try tmux.run("cat")
    try tmux.paste("one")
    try tmux.press("Enter", "C-d")
    try tmux.until("the text") { $0.contains("one\none\n") && !$0.contains("200~") }
  }

  @Test("a terminal that takes nothing does not hold up the end", arguments: [SIGTERM, SIGINT])
  func blocked(signal: Int32) throws {
    let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    defer { close(terminal) }
    // "TIOCSPTLCK" and "TIOCGPTN": ioctl_tty(2), whose numbers are not imported.
    var (lock, number) = (Int32(0), UInt32(0))
    try #require(
      terminal >= 0 && ioctl(terminal, 0x4004_5431, &lock) == 0 && ioctl(terminal, 0x8004_5430, &number) == 0)
    let name = "/dev/pts/\(number)"
    let own = open(name, O_RDWR | O_NOCTTY)
    defer { close(own) }
    // Its screen is larger than what a terminal takes before someone reads it.
    var size = winsize(ws_row: 400, ws_col: 500, ws_xpixel: 0, ws_ypixel: 0)
    try #require(own >= 0 && ioctl(own, UInt(TIOCSWINSZ), &size) == 0)
    let file = FileHandle(fileDescriptor: own, closeOnDealloc: false)
    let running = try Running(
      built("qudo"), ["top", "--interval", "100ms"], in: place.folder,
      environment: ["TERM": "xterm", "LC_ALL": "C.UTF-8"], input: file, output: file, errors: file)
    defer { running.kill(SIGKILL) }
    var settings = termios()
    let end = Date(timeIntervalSinceNow: Double(waitLimit))
    func wait(_ isSo: () -> Bool) throws {
      while !isSo() {
        guard Date() < end else { throw GaveUp(description: "it never came") }
        usleep(10_000)
      }
    }
    try wait { tcgetattr(own, &settings) == 0 && settings.c_lflag & tcflag_t(ICANON) == 0 }
    // It draws, and nobody reads.
    try wait {
      var ready = pollfd(fd: terminal, events: Int16(POLLIN), revents: 0)
      return poll(&ready, 1, 0) > 0
    }
    running.kill(signal)
    #expect(try running.end() == signal)
    try #require(tcgetattr(own, &settings) == 0)
    #expect(settings.c_lflag & tcflag_t(ICANON) != 0, "the settings are restored all the same")
  }

  @Test(
    "a database that is not there yet appears when it is", .enabled(if: TmuxSession.isWanted, "needs tmux"))
  func appears() throws {
    let tmux = try TmuxSession(place, columns: 100, rows: 24)
    try tmux.run("NO_COLOR=1 \"$qudo\" top --interval 100ms --database late.db")
    try tmux.until("the error") { $0.contains("no database can be read") && $0.contains("late.db") }
    try place.qudo("enqueue", "omega", "--database", "late.db")
    try tmux.until("the kind") { $0.contains("> omega") }
    try tmux.press("C-c")
    try tmux.untilTaken(false)
  }

  @Test("without a terminal, it prints one screen as text, without anything for a terminal") func once()
    throws
  {
    let result = try place.qudo("top")
    #expect(result.status == 0 && result.errors == "")
    let lines = result.output.components(separatedBy: "\n")
    #expect(lines[0].hasPrefix(" qudo top ") && !result.output.contains("\u{1B}"))
    #expect(lines.contains { $0.hasPrefix("  alpha ") } && lines.contains { $0.hasPrefix("  gamma ") })
    #expect(
      result.output.contains("exit status 1") && result.output.contains("no worker: qudo work starts one"))
    #expect(lines.allSatisfy { $0.count <= 120 && !$0.hasSuffix(" ") })
    let narrow = try place.qudo("top", "--once", environment: ["COLUMNS": "40", "LC_ALL": "C"])
    #expect(
      narrow.output.split(separator: "\n").allSatisfy { $0.count <= 40 && $0.utf8.allSatisfy { $0 < 0x80 } })
  }

  @Test("--json prints one object, and the exit status says what cannot be read") func json() throws {
    let result = try place.qudo("top", "--json", "--interval", "100ms")
    let object = try #require(try JSONSerialization.jsonObject(with: result.bytes) as? [String: Any])
    #expect(Set(object.keys) == ["at", "took", "databases"])
    let database = try #require((object["databases"] as? [[String: Any]])?.first)
    #expect(
      Set(database.keys) == [
        "database", "error", "exact", "worker", "enqueuedPerSecond", "endedPerSecond", "failuresPerSecond",
        "failuresInMinute", "ready", "delayed", "running", "oldestReady", "paused", "fileBytes", "walBytes",
        "kinds",
        "workers",
      ])
    #expect(
      database["ready"] as? Int == 3 && database["delayed"] as? Int == 1 && database["exact"] as? Bool == true
    )
    #expect(database["enqueuedPerSecond"] as? Double == 0 && database["failuresInMinute"] as? Int ?? 9 <= 1)
    let kinds = try #require(database["kinds"] as? [[String: Any]])
    #expect(kinds.map { $0["kind"] as? String } == ["alpha", "beta", "gamma"])
    #expect(
      Set(try #require(kinds.first).keys) == [
        "kind", "ready", "delayed", "running", "held", "paused", "pausedUntil", "pauseReason", "oldestReady",
        "changePerSecond", "completedPerSecond", "failuresPerSecond", "failuresInMinute", "runP50", "runP99",
        "waitP50",
        "waitP99",
      ])
    let one = try place.qudo("top", "--json", "--database", "qudo.db", "--database", "none.db")
    #expect(one.status == 1 && one.output.contains("none.db"))
    #expect(try place.qudo("top", "--once", "--database", "none.db").status == 75)
    #expect(!place.exists("none.db"))
    for arguments in [["--interval", "1ms"], ["--timeout", "0"], ["extra"]] {
      #expect(try place.qudo(["top"] + arguments, input: Data()).status == 64)
    }
  }

  @Test(
    "metadata of a job is shown, and cannot control the terminal",
    .enabled(if: TmuxSession.isWanted, "needs tmux"))
  func metadata() throws {
    let evil = "\u{1B}[2J\u{1B}]0;x\u{7}\u{9B}31m"
    try place.qudo("enqueue", "aaa", "--metadata", "tenant=acme", "--metadata", "\(evil)=\(evil)")
    let tmux = try TmuxSession(place, columns: 100, rows: 24)
    try tmux.run("\"$qudo\" top")
    try tmux.until("the kinds") { $0.contains("> aaa") }
    try tmux.press("Enter")
    // The list comes after its head, and before that, Enter opens nothing.
    try tmux.until("the job") { $0.contains("UNIQUE KEY") && $0.contains(">          6 ready") }
    try tmux.press("Enter")
    try tmux.until("the metadata") { $0.contains("metadata     tenant=acme") && $0.contains("\\u{1b}[2J") }
    try tmux.press("q")
    try tmux.untilTaken(false)
  }

  @Test("a payload, a kind and a message cannot control the terminal") func hostile() throws {
    let evil = "\u{1B}[2J\u{1B}]0;x\u{7}\u{9B}31m"
    try place.qudo("enqueue", evil, evil)
    let result = try place.qudo("top", "--once")
    #expect(result.output.contains("\\u{1b}[2J"))
    #expect(
      result.output.unicodeScalars.allSatisfy {
        $0 == "\n" || $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
      })
  }
}
