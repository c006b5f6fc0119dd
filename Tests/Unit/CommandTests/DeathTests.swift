#if os(Linux)
import Foundation
import Testing

/// Commands whose worker is killed.
@Suite(.waitsForProcesses) struct DeathTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test(
    "all of a killed worker's commands end at once",
    arguments: [
      "exec sleep 77", "sleep 78 & wait", "trap \"\" TERM HUP INT; sleep 79; sleep 79",
      "setsid sleep 76 & wait",
    ])
  func killed(script: String) throws {
    let alive = try place.lifeline("alive")
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n3\n")
    let command = "p=sh -c 'echo $$ >> pids; exec 3>>alive; echo up >&3; \(script)'"
    let worker = try place.start("work", command, "--concurrency", "3", "--lease", "1h")
    for _ in 1...3 { #expect(try alive.line() == "up") }
    worker.kill(SIGKILL)
    // Ends when nobody has it open for writing any more.
    #expect(try alive.rest() == "")
    #expect(try worker.end() == SIGKILL)
  }

  @Test("a command that is just being started ends as well") func justStarted() throws {
    try place.qudo("enqueue", "p", "--lines", input: (1...500).map { "\($0)\n" }.joined())
    for round in 1...10 {
      let alive = try place.lifeline("alive\(round)")
      let command = "p=sh -c 'echo $$ >> pids; exec 3>>alive\(round); echo up >&3; sleep 77'"
      let worker = try place.start("work", command, "--concurrency", "20", "--lease", "200ms")
      // The others are about to be started, one after the other.
      #expect(try alive.line() == "up")
      worker.kill(SIGKILL)
      _ = try alive.rest()
      #expect(try worker.end() == SIGKILL)
    }
  }

  /// The worker's death frees its jobs, and its guard ends what it ran: two processes, of which either may be first by a moment.
  @Test("commands end when the second run begins, or a moment later") func secondRun() throws {
    let alive = try place.lifeline("alive")
    try place.qudo("enqueue", "p")
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; exec 3>>alive; echo $$ >&3; sleep 77 & wait'", "--lease", "500ms")
    let first = try #require(try alive.line())
    worker.kill(SIGKILL)
    #expect(try worker.end() == SIGKILL)
    let second =
      "p=sh -c 'for i in $(seq 500); do ps -o stat= -g \(first) | grep -qv Z || break; sleep 0.02; done; ps -o stat= -g \(first) | grep -v Z; echo second'"
    #expect(try place.qudo("work", second, "--until-empty").output == "second\n")
  }

  @Test("a child that a command has left behind outlives the worker") func leftBehind() throws {
    let alive = try place.lifeline("alive")
    let go = try place.fifo("go")
    try place.qudo("enqueue", "p")
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; exec 3>>alive; sh -c \"read x < go; echo left >&3\" & echo up >&3'",
      "--verbose")
    #expect(try alive.line() == "up")
    while try place.qudo("count").output != "" {}
    worker.kill(SIGKILL)
    #expect(try worker.end() == SIGKILL)
    go.put("on\n")
    #expect(try alive.rest() == "left\n")
  }

  @Test("a guard that was killed is replaced") func guardIsKilled() throws {
    let (alive, go) = (try place.lifeline("alive"), try place.fifo("go"))
    let worker = try place.start(
      "work",
      "p=sh -c 'echo $$ >> pids; exec 3>>alive; echo $PPID >&3; test {} = 1 && sleep 77; read x < go'",
      "--concurrency", "2", "--lease", "1h")
    try place.qudo("enqueue", "p", "1")
    let pid = try #require(try alive.line())
    #expect(try place.shell("pkill -KILL -P \(pid) -f guard-process").status == 0)
    try place.qudo("enqueue", "p", "2")
    #expect(try alive.line() == pid)
    worker.kill(SIGKILL)
    #expect(try alive.rest() == "")
    #expect(try worker.end() == SIGKILL)
    _ = go
  }

  @Test("the guard goes with its worker, whatever signals it got") func guardEnds() throws {
    let alive = try place.lifeline("alive")
    try place.qudo("enqueue", "p")
    let worker = try place.start("work", "p=sh -c 'echo $PPID > alive'")
    let pid = try #require(try alive.line())
    let found = try place.shell("pgrep -P \(pid) -f guard-process").lines
    try #require(found.count == 1)
    #expect(
      try place.shell(
        "for s in TERM INT HUP QUIT; do kill -$s \(found[0]); done; sleep 0.1; kill -0 \(found[0])"
      ).status == 0)
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(
      try place.shell(
        "for i in $(seq 5000); do case $(ps -o stat= -p \(found[0])) in Z*|'') exit 0;; esac; sleep 0.02; done; exit 1"
      ).status == 0)
  }
}
#endif
