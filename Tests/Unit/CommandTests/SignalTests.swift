import Foundation
import Testing

/// What signals do to `qudo work`.
@Suite(.waitsForProcesses) struct SignalTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func counts() throws -> [Int?] {
    let row = try place.qudo("count", "--json").objects().first
    return [row?["ready"] as? Int, row?["running"] as? Int]
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP]) func aCommandMayEndWithinTheGrace(signal: Int32) throws {
    let (started, go) = (try place.fifo("started"), try place.fifo("go"))
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n")
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; echo {} > started; read x < go; echo done {}'", "--verbose")
    #expect(try started.line() == "1")
    worker.kill(signal)
    try worker.errors.wait(for: "stopping")
    go.put("on\n")
    #expect(try worker.output.rest() == "done 1\n")
    #expect(try worker.end() == 0)
    #expect(try counts() == [1, 0])
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test("A command that outlasts the grace period is stopped, and its job waits again at once")
  func commandBeyondTheGracePeriodIsStopped() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "x")
    // A command that says it ended well when it is stopped has not done its work.
    let command =
      "p=sh -c 'echo $$ >> pids; exec 3>started; trap \"exit 0\" TERM; sleep 300 & echo up >&3; wait; echo never'"
    let worker = try place.start("work", command, "--grace", "100ms", "--lease", "1h")
    #expect(try started.line() == "up")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(try counts() == [1, 0])
    #expect(try place.qudo("jobs", "--json").objects().first?["attempt"] as? Int == 1)
    #expect(try place.qudo("work", "p=cat", "--until-empty").output == "x")
    #expect(try started.rest() == "")
  }

  @Test func aSecondSignalEndsTheGrace() throws {
    let started = try place.fifo("started")
    try place.qudo("enqueue", "p", "x")
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; echo up > started; sleep 300'", "--grace", "1h", "--lease", "1h",
      "--verbose")
    #expect(try started.line() == "up")
    worker.kill(SIGINT)
    try worker.errors.wait(for: "stopping")
    worker.kill(SIGINT)
    #expect(try worker.end() == 0)
    #expect(try counts() == [1, 0])
    #expect(try place.qudo("failures", "--json").output == "[]\n")
    #expect(try place.qudo("work", "p=cat", "--until-empty").output == "x")
  }

  @Test func aCommandThatIgnoresSIGTERMIsKilled() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "x")
    let command =
      "p=sh -c 'echo $$ >> pids; exec 3>started; trap \"\" TERM; echo up >&3; while :; do sleep 300; done'"
    let worker = try place.start("work", command, "--grace", "0", "--lease", "1h")
    #expect(try started.line() == "up")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(try counts() == [1, 0])
    #expect(try started.rest() == "")
  }

  @Test func aTerminalsInterruptDoesNotReachTheCommand() throws {
    let started = try place.fifo("started")
    try place.qudo("enqueue", "p", "x")
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; kill -0 -$$ && echo leads > started || echo follows > started'",
      "--until-empty")
    // A terminal sends SIGINT to its foreground group: the worker's.
    #expect(try started.line() == "leads")
    #expect(try worker.end() == 0)
  }

  @Test func anIdleWorkerEndsAtOnceAndWorksUntilThen() throws {
    let worker = try place.start("work", "p=echo {}")
    try place.qudo("enqueue", "p", "x")
    #expect(try worker.output.line() == "x")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
  }

  @Test func theDemoLeavesNothingWhenItIsInterrupted() throws {
    try FileManager.default.createDirectory(atPath: place.path("tmp"), withIntermediateDirectories: false)
    let result = try place.shell(
      #"TMPDIR="$PWD/tmp" "$qudo" demo --jobs 10000000 --durability off & until test -e tmp/*/demo.db; do sleep 0.02; done; kill -INT $!; wait $!"#
    )
    #expect(result.status == 128 + SIGINT)
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path("tmp")) == [])
  }
}
