import Foundation
import Testing

/// `qudo cancel`, `pause`, `resume`, `pauses` and `prune`, beside a worker in a process of its own.
@Suite(.waitsForProcesses) struct ControlCommandTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test("a cancelled job's command and its children are stopped") func stops() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n")
    let command = "p=sh -c 'echo $$ >> pids; exec 3>started; sleep 300 & echo up >&3; wait'"
    let worker = try place.start("work", command, "--lease", "1h", "--until-empty", "--verbose")
    #expect(try started.line() == "up")
    let cancel = try place.qudo("cancel", "1", "2", "--reason", "wrong")
    #expect(cancel.output == "1 cancelling\n2 cancelled\n" && cancel.status == 0)
    #expect(try worker.end() == 0)
    // The command and its child have closed it.
    #expect(try started.rest() == "")
    let failures = try place.qudo("failures", "--json").objects()
    #expect(failures.map { $0["reason"] as? String } == ["cancelled", "cancelled"])
    #expect(failures.map { $0["message"] as? String } == ["wrong", "wrong"])
    #expect(Set(failures.map { $0["payload"] as? String }) == ["1", "2"])
    #expect(try place.qudo("count").output == "")
    #expect(try place.qudo("replay", "1").output == "3\n")
  }

  @Test("cancels by kind and state, and says before what it would cancel") func bulk() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "b", "x", "--delay", "1h")
    let dry = try place.qudo("cancel", "--kind", "a", "--dry-run", "--json").objects()
    #expect(dry.map { $0["result"] as? String } == ["cancelled", "cancelled", "cancelled"])
    #expect(try place.qudo("cancel", "--all", "--dry-run").output == "4 0\n")
    #expect(try place.qudo("count", "--json").objects().count == 2)
    #expect(try place.qudo("cancel", "--kind", "a", "--state", "delayed").output == "0 0\n")
    #expect(try place.qudo("cancel", "--kind", "a", "--state", "ready").output == "3 0\n")
    let json = try place.qudo("cancel", "--state", "delayed", "--json").objects()
    #expect(json.map { $0["id"] as? Int } == [4] && json.first?["database"] as? String == "qudo")
    #expect(try place.qudo("cancel", "--all", "--json").output == "[]\n")
    let unknown = try place.qudo("cancel", "1", "99", "--json")
    #expect(unknown.status == 1 && unknown.errors.contains("no unfinished job 99"))
    #expect(try unknown.objects().map { $0["result"] as? String } == ["notFound", "notFound"])
  }

  @Test("a paused kind waits until it is resumed") func pauses() throws {
    try place.qudo("enqueue", "a", "1")
    try place.qudo("enqueue", "b", "2")
    #expect(try place.qudo("pause", "a", "--for", "1h", "--reason", "deploy\u{1b}[2J").status == 0)
    #expect(try place.qudo("work", "b=cat", "--until-empty").output == "2")
    let counts = try place.qudo("count", "--json").objects()
    #expect(counts.map { $0["paused"] as? Bool } == [true])
    #expect(
      try place.qudo("count").output
        == "KIND  READY  DELAYED  RUNNING\na         1        0        0  paused\n")
    let row = try #require(try place.qudo("pauses", "--json").objects().first)
    #expect(row["kind"] as? String == "a" && row["endsAt"] is String)
    let table = try place.qudo("pauses").output
    #expect(table.hasPrefix("KIND  SINCE") && !table.contains("\u{1b}"))
    #expect(try place.qudo("resume", "b").output == "")
    #expect(try place.qudo("resume").output.contains("deploy"))
    #expect(try place.qudo("work", "a=cat", "--until-empty").output == "1")
    try place.qudo("pause")
    #expect(try place.qudo("pauses", "--json").objects().first?["kind"] is NSNull)
    #expect(try place.qudo("resume", "--json").objects().count == 1)
    #expect(try place.qudo("pauses", "--json").output == "[]\n")
  }

  @Test("prunes the logs") func prune() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n4\n5\n")
    try place.qudo("cancel", "--all")
    #expect(try place.qudo("prune", "--older-than", "1h").output == "0\n")
    #expect(try place.qudo("prune", "--keep", "2").output == "3\n")
    #expect(try place.qudo("failures", "--json").objects().map { $0["payload"] as? String } == ["5", "4"])
    #expect(try place.qudo("prune", "--all").output == "2\n")
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test(
    "refuses what makes no sense",
    arguments: [
      ["cancel"], ["cancel", "1", "--all"], ["cancel", "--all", "--kind", "a"], ["cancel", "x"],
      ["cancel", "--state", "none"], ["pause", "--for", "x"], ["prune"], ["prune", "--all", "--keep", "1"],
      ["prune", "--keep", "-1"], ["cancel", "1", "--reason", ""], ["pause", "a", "--for", "0s"],
      ["pause", ""],
    ]) func wrongUsage(arguments: [String]) throws
  {
    try place.qudo("enqueue", "a", "1")
    let result = try place.qudo(arguments, input: Data())
    #expect(result.status == 64, "\(arguments): \(result.status) \(result.errors)")
    #expect(try place.qudo("count", "--json").objects().first?["ready"] as? Int == 1)
  }

  @Test(
    "needs a database that is there",
    arguments: [["cancel", "1"], ["cancel", "--all"], ["pause"], ["resume"], ["pauses"]])
  func noDatabase(arguments: [String]) throws {
    let result = try place.qudo(arguments, input: Data())
    #expect(result.status == 75, "\(arguments): \(result.errors)")
    #expect(!place.exists("qudo.db"))
  }
}
