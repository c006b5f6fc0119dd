import Foundation
import Testing

/// The command, against the original's script and its worker under an init script.
@Suite(
  "Perl: `qudo` script: create the schema, --dry_run prints it; worker under an init script, prefork, max requests per child",
  .waitsForProcesses)
struct CommandParityTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test func theSchemaIsMade() throws {
    #expect(try place.qudo("schema", "--database", "q.db").status == 0)
    #expect(place.exists("q.db"))
    #expect(try place.qudo("count", "--database", "q.db", "--json").output == "[]\n")
  }

  @Test func theSchemaIsPrintedAndNothingIsMade() throws {
    let result = try place.qudo("schema", "--database", "q.db", "--dry-run")
    #expect(result.status == 0 && !place.exists("q.db"))
    for table in ["qudo_job", "qudo_failure", "qudo_status"] {
      #expect(result.output.contains("CREATE TABLE \(table)"))
    }
  }

  @Test func aJobGoesTheWholeWay() throws {
    #expect(
      try place.qudo("enqueue", "a", "arg", "--unique-key", "uniqkey", "--priority", "3").output == "1\n")
    #expect(try place.qudo("enqueue", "a", "arg", "--unique-key", "uniqkey").status == 1)
    #expect(try place.qudo("work", "a=echo got {}", "--until-empty").output == "got arg\n")
    #expect(try place.qudo("count").output == "")
  }

  /// In place of children: one process runs several commands at once, each a process of its own.
  @Test func severalCommandsRunAtOnce() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n")
    #expect(mkfifo(place.path("meeting"), 0o600) == 0)
    // Who opens a named pipe waits until it is open at the other end.
    let meet = "a=sh -c 'if [ {} = 1 ]; then echo x > meeting; else read y < meeting; fi; echo met'"
    let result = try place.qudo("work", meet, "--until-empty", "--concurrency", "2", "--time-limit", "50s")
    #expect(result.output == "met\nmet\n")
  }

  /// As an init script stops it.
  @Test func aWorkerStopsWhenItIsTold() throws {
    try place.qudo("enqueue", "a", "1")
    let running = try place.start("work", "a=echo did {}")
    #expect(try running.output.line() == "did 1")
    running.kill(SIGTERM)
    #expect(try running.end() == 0)
    #expect(try place.qudo("count").output == "")
  }

  @Test func failuresAreListedAndReplayedOnce() throws {
    try place.qudo("enqueue", "a", "arg", "--priority", "3")
    try place.qudo("work", "a=sh -c 'echo broken >&2; exit 1'", "--until-empty")
    #expect(
      try place.qudo("failures", "--json").objects().map { $0["message"] as? String } == [
        "exit status 1: broken"
      ])
    #expect(try place.qudo("replay", "1").output == "2\n")
    #expect(try place.qudo("show", "2", "--json").objects().map { $0["priority"] as? Int } == [3])
    #expect(try place.qudo("replay", "1").status == 1)
  }
}
