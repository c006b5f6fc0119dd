#if os(Linux)
import Foundation
import Glibc
import Testing

/// Signals that come to a worker and to its commands, as from `timeout`, a terminal and systemd.
@Suite(.waitsForProcesses) struct GroupSignalTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func nothingFailed(ready: Int) throws {
    #expect(try place.qudo("failures", "--json").output == "[]\n")
    let row = try place.qudo("count", "--json").objects().first
    #expect(row?["ready"] as? Int == ready && row?["running"] as? Int == 0)
  }

  @Test(
    "a command that is ended together with its worker has not failed", arguments: [SIGTERM, SIGINT, SIGHUP],
    [false, true])
  func together(signal: Int32, commandFirst: Bool) throws {
    let started = try place.fifo("started")
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n3\n")
    // A command that starts a worker of its own would be another matter: here each is ended by itself.
    let worker = try place.start(
      "work", "p=sh -c 'echo $$ >> pids; echo $$ $PPID > started; sleep 300'", "--concurrency", "3")
    let pids = try (1...3).map { _ in
      try #require(try started.line()).split(separator: " ").compactMap { pid_t($0) }
    }
    let (commands, own) = (pids.map { -$0[0] }, [pids[0][1]])
    for target in commandFirst ? commands + own : own + commands { #expect(kill(target, signal) == 0) }
    #expect(try worker.end() == 0)
    try nothingFailed(ready: 3)
    #expect(try place.qudo("jobs", "--json").objects().map { $0["attempt"] as? Int } == [1, 1, 1])
  }

  @Test(
    "a shell that says by its status what ended its command has not failed while the worker stops",
    arguments: [false, true])
  func status(commandFirst: Bool) throws {
    let started = try place.fifo("started")
    try place.qudo("enqueue", "p")
    let worker = try place.start(
      "work",
      "p=sh -c 'trap \"exit 143\" TERM; echo $$ >> pids; echo $$ $PPID > started; while :; do sleep 0.1; done'",
      "--verbose")
    let pids = try #require(try started.line()).split(separator: " ")
    let pid = pids[0]
    if commandFirst {
      // The worker has seen the end of its command when its own signal comes.
      let both = "kill -TERM \(pid); while kill -0 \(pid) 2> /dev/null; do :; done; kill -TERM \(pids[1])"
      #expect(try place.shell(both).status == 0)
    } else {
      worker.kill(SIGTERM)
      try worker.errors.wait(for: "stopping")
      #expect(try place.shell("kill -TERM \(pid)").status == 0)
    }
    #expect(try worker.end() == 0)
    try nothingFailed(ready: 1)
  }

  @Test("a command that is ended alone has failed", arguments: ["kill -TERM $$", "exit 143", "kill -INT $$"])
  func alone(script: String) throws {
    try place.qudo("enqueue", "p")
    #expect(try place.qudo("work", "p=sh -c '\(script)'", "--until-empty").status == 0)
    #expect(try place.qudo("failures", "--json").objects().count == 1)
  }

  @Test("timeout fails no job, whatever it meets", arguments: ["INT", "TERM", "HUP"]) func timeouts(
    signal: String
  ) throws {
    try place.qudo("enqueue", "r", "--lines", input: (1...3000).map { "\($0)\n" }.joined())
    let result = try place.shell(
      "for i in 1 2 3 4 5 6 7 8 9 10; do timeout -s \(signal) 0.4 \"$qudo\" work r=true --concurrency 4; done"
    )
    // Other tests may have the machine short of processes for a moment: that fails no job, either.
    let lines = result.errors.split(separator: "\n").filter {
      !$0.contains("commands cannot be started, retrying: Resource temporarily unavailable")
    }
    // On a busy machine a signal may end a worker that does not watch for signals yet, and that says nothing.
    #expect(lines.count <= 10, "\(result.errors)")
    #expect(
      lines.allSatisfy { $0.hasPrefix("qudo: completed ") && $0.contains(", failed 0, retried 0") },
      "\(lines)")
    #expect(try place.qudo("failures", "--json").output == "[]\n")
    #expect(try place.qudo("count", "--json").objects().first?["running"] as? Int == 0)
  }
}
#endif
