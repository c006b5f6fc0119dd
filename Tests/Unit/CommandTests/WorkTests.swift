import Evidence
import ArgumentParser
import Foundation
import Qudo
import Testing

@testable import QudoCommand

/// `qudo work` with commands that end by themselves.
@Suite(.waitsForProcesses) struct WorkTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func messages() throws -> [String?] {
    try place.qudo("failures", "--json").objects().map { $0["message"] as? String }
  }

  @Test func aCommandRunsPerJobWithoutAShell() throws {
    try place.qudo("enqueue", "p", "--lines", input: "a b; $(id)\n'x'\n\n")
    let worked = try place.qudo(
      "work", "p=printf '%s|%s\\n' \"<{}>\" end", "--until-empty", "--concurrency", "3")
    #expect(worked.status == 0 && worked.errors == "qudo: completed 3, failed 0, retried 0\n")
    #expect(worked.lines.sorted() == ["<'x'>|end", "<>|end", "<a b; $(id)>|end"])
    #expect(try place.qudo("count").output == "")
  }

  @Test("The payload is on standard input, and the job is in the environment")
  func payloadIsOnStandardInput() throws {
    try place.qudo("enqueue", "p", "hello")
    let command = "p=sh -c 'cat; echo \" $QUDO_JOB_ID $QUDO_KIND $QUDO_ATTEMPT\"'"
    #expect(try place.qudo("work", command, "--until-empty").output == "hello 1 p 1\n")
  }

  @Test func aPayloadThatIsNotUTF8IsPassedAsItIs() throws {
    let bytes = Data([0xFF, 0xC3, 0x28, 0x0D])
    _ = try place.qudo(["enqueue", "p", "--lines"], input: bytes + [10])
    #expect(
      try place.qudo("work", "p=sh -c 'cat; printf \"|%s\" \"$0\"' {}", "--until-empty").bytes == bytes + [
        0x7C
      ] + bytes)
  }

  @Test("A payload with a NUL cannot be an argument, but can be read from standard input")
  func payloadWithNULIsReadFromInput() throws {
    _ = try place.qudo(["enqueue", "p", "--lines"], input: Data("a\0b\n".utf8))
    let failed = try place.qudo("work", "p=echo {}", "--until-empty", "--max-retries", "3")
    #expect(failed.status == 0 && failed.output == "")
    #expect(try messages().map { $0?.contains("NUL byte") } == [true])
    try place.qudo("replay", "1")
    #expect(try place.qudo("work", "p=cat", "--until-empty").bytes == Data("a\0b".utf8))
  }

  @Test("A payload that is too long for an argument fails with a clear message")
  func payloadTooLongForAnArgumentFails() throws {
    _ = try place.qudo(["enqueue", "p", "--payload-file", "-"], input: Data(repeating: 97, count: 1 << 20))
    let worked = try place.qudo("work", "p=echo {}", "--until-empty", "--max-retries", "3")
    #expect(worked.status == 0 && worked.errors.contains("too long for an argument"))
    #expect(try messages().map { $0?.contains("too long for an argument") } == [true])
    try place.qudo("replay", "1")
    #expect(try place.qudo("work", "p=wc -c", "--until-empty").output.contains("1048576"))
  }

  @Test(arguments: [("exit 3", "111"), ("exit 65", "1"), ("exit 0", "1"), ("kill -9 $$", "111")])
  func theExitStatusDecides(command: String, runs: String) throws {
    try place.qudo("enqueue", "p")
    let worked = try place.qudo(
      "work", "p=sh -c 'printf 1; \(command)'", "--max-retries", "2", "--retry-delay", "0", "--until-empty")
    #expect(worked.status == 0 && worked.output == runs)
  }

  @Test("of a kind with a limit no more commands run at once, in all workers together")
  func limit() throws {
    try place.qudo("enqueue", "a=b", "--lines", input: String(repeating: "x\n", count: 12))
    // Only one at a time can have the folder.
    let command = "a\\=b=sh -c 'mkdir held || exit 65; sleep 0.02; rmdir held'"
    let workers = try (0..<2).map { _ in
      try place.start("work", command, "--limit", "a=b=1", "--concurrency", "3", "--until-empty")
    }
    for worker in workers { #expect(try worker.end() == 0) }
    #expect(try place.qudo("failures").output == "" && place.qudo("count").output == "")
  }

  @Test("of a kind with a rate no more commands begin, and other kinds go on")
  func rate() throws {
    let echo = "b=sh -c 'cat; echo'"
    let ready = {
      try place.qudo("count", "--json").objects().first { $0["kind"] as? String == "a=b" }?["ready"] as? Int
    }
    try place.qudo("enqueue", "a=b", "--lines", input: String(repeating: "x\n", count: 5))
    let worker = try place.start(
      "work", "a\\=b=touch a.$QUDO_JOB_ID", echo, "--rate", "a=b=2/1h", "--concurrency", "3")
    // A job that is enqueued later runs, so those before it have had their turn.
    for text in ["one", "two"] {
      try place.qudo("enqueue", "b", text)
      #expect(try worker.output.line() == text)
    }
    #expect(try ready() == 3)
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    // The next worker goes on where this one was.
    let next = try place.start("work", "a\\=b=cat", echo, "--rate", "a=b=2/1h")
    try place.qudo("enqueue", "b", "three")
    #expect(try next.output.line() == "three")
    next.kill(SIGTERM)
    #expect(try next.end() == 0)
    #expect(try ready() == 3)
  }

  @Test(
    "a rate that cannot be read is wrong usage",
    arguments: Evidence.arguments([
      "p", "p=", "p=1", "p=1/", "p=0/1s", "p=-1/1s", "p=1/0s", "p=1/x", "p=1/-1s", "p=x/1s", "=1/1s",
      "other=1/1s",
      "p=2000000/1s", "p=1/2/3s", "p=1/999999d",
    ]))
  func wrongRate(text: String) throws {
    let result = try place.qudo("work", "p=cat", "--rate", text, "--until-empty")
    #expect(result.status == 64 && result.errors.contains("--rate"), "\(result.errors)")
  }

  @Test("a second rate of a kind is wrong usage") func twoRates() throws {
    #expect(try place.qudo("work", "p=cat", "--rate", "p=1/1s", "--rate", "p=2/1s").status == 64)
  }

  @Test(arguments: ["p", "=x", "p=", "p='x", "p=x\\", "p= "]) func aCommandThatCannotBeReadIsWrongUsage(
    text: String
  ) throws {
    let result = try place.qudo("work", text, "--until-empty")
    #expect(result.status == 64 && result.errors.hasPrefix("qudo: ") && !place.exists("qudo.db"))
  }

  @Test(
    arguments: Evidence.arguments([
      [], ["p=true", "p=false"], ["p=true", "--concurrency", "0"], ["p=true", "--lease", "1ms"],
      ["p=true", "--time-limit", "0"], ["p=true", "--limit", "p=0"], ["p=true", "--limit", "p"],
      ["p=true", "--limit", "=1"], ["p=true", "--limit", "q=1"],
      ["p=true", "--limit", "p=1", "--limit", "p=2"],
      ["p=true", "--limit", "p=1x"],
      ["p=true", "--max-retries=-1"], ["p=true", "--grace", "x"],
      ["p=true", "--retention-age", "x"], ["p=true", "--retention-age=-1d"],
      ["p=true", "--retention-rows", "x"],
      ["p=true", "--retention-rows=-1"], ["p=true", "--skip-delayed"],
    ])) func aWorkerThatMakesNoSenseIsWrongUsage(arguments: [String]) throws
  {
    #expect(try place.qudo(["work"] + arguments, input: Data()).status == 64)
  }

  @Test(arguments: [
    ("no-such-command-{}", "no-such-command-x"), ("./no-such-command", "./no-such-command"),
    ("./plain", "./plain"), (".", "."),
  ]) func aCommandThatCannotBeRunIsAFailedRun(command: String, name: String) throws {
    try Data().write(to: URL(fileURLWithPath: place.path("plain")))
    try place.qudo("enqueue", "p", "x")
    let worked = try place.qudo("work", "p=\(command)", "--until-empty")
    #expect(worked.status == 0 && worked.output == "" && worked.errors.hasPrefix("qudo: job failed: "))
    #expect(try messages() == ["the command \(name) does not exist or is not executable"])
  }

  @Test("a kind that is given twice is wrong usage, and makes no database") func kindTwice() throws {
    let result = try place.qudo("work", "p=true", "p=false")
    #expect(result.status == 64 && result.errors.contains("the kind p is given twice"))
    #expect(!place.exists("qudo.db"))
  }

  @Test("The end of standard error is the message, and all of it is passed on")
  func endOfStandardErrorIsTheMessage() throws {
    try place.qudo("enqueue", "p")
    let worked = try place.qudo("work", "p=sh -c 'seq 2000 >&2; exit 4'", "--until-empty")
    #expect(worked.errors.hasPrefix("1\n2\n3\n") && worked.errors.contains("\n2000\nqudo: job failed"))
    let message = try #require(try messages().first ?? nil)
    #expect(message.hasPrefix("exit status 4: ") && message.hasSuffix("\n2000") && message.utf8.count < 2100)
  }

  @Test func outputsOfTwoJobsNeverMix() throws {
    try place.qudo("enqueue", "p", "--lines", input: (1...40).map { "\($0)\n" }.joined())
    // Each writes 40,000 bytes and more, in many writes, as lines of one number.
    let worked = try place.qudo(
      "work", "p=sh -c 'for i in 1 2 3 4; do yes {}-{}-{}-{} | head -n 1000; done'", "--until-empty",
      "--concurrency", "8")
    #expect(worked.status == 0)
    var blocks: [String] = []
    for line in worked.lines where line != blocks.last { blocks.append(line) }
    #expect(worked.lines.count == 160_000 && Set(blocks) == Set((1...40).map { "\($0)-\($0)-\($0)-\($0)" }))
    #expect(blocks.count == 40)
  }

  @Test func outputsOfTwoWorkersOnOnePipeNeverMix() throws {
    try place.qudo("enqueue", "p", "--lines", input: (1...20).map { "\($0)\n" }.joined())
    let worked = try place.shell(
      #"for i in 1 2; do "$qudo" work "p=sh -c 'yes {}-{}-{}-{} | head -n 20000'" --until-empty --concurrency 2 & done | dd bs=200 2>/dev/null; wait"#
    )
    var blocks: [String] = []
    for line in worked.lines where line != blocks.last { blocks.append(line) }
    #expect(worked.lines.count == 400_000 && blocks.count == 20)
  }

  @Test func aChildThatIsLeftBehindIsNotWaitedFor() throws {
    try place.qudo("enqueue", "p")
    let worked = try place.qudo("work", "p=sh -c 'echo $$ >> pids; sleep 300 & echo done'", "--until-empty")
    #expect(worked.status == 0 && worked.output == "done\n")
  }

  @Test func aTimeLimitStopsTheCommandAndAllItStarted() throws {
    try place.qudo("enqueue", "p")
    let alive = try place.lifeline("alive")
    let command = "p=sh -c 'echo $$ >> pids; exec 3>alive; sleep 300 & echo up >&3; wait'"
    let worked = try place.qudo("work", command, "--until-empty", "--time-limit", "10s")
    #expect(worked.status == 0 && worked.errors.contains("exceeded its time limit"))
    #expect(try alive.rest() == "up\n")
    #expect(try messages().map { $0?.contains("exceeded its time limit") } == [true])
  }

  @Test func delayedJobsAreWaitedForUnlessSkipped() throws {
    try place.qudo("enqueue", "p", "later", "--delay", "1h")
    try place.qudo("enqueue", "p", "now")
    #expect(try place.qudo("work", "p=echo {}", "--until-empty", "--skip-delayed").output == "now\n")
    try place.qudo("enqueue", "q", "soon", "--delay", "100ms")
    #expect(try place.qudo("work", "q=echo {}", "--until-empty").output == "soon\n")
  }

  @Test(
    "a kind with = and \\ can be worked",
    arguments: [("a=b", #"a\=b=echo {}=c"#), (#"a\"#, #"a\\=echo {}=c"#), (#"a\b"#, #"a\b=echo {}=c"#)])
  func kindWithEquals(kind: String, command: String) throws {
    try place.qudo("enqueue", kind, "x")
    #expect(try place.qudo("work", command, "--until-empty").output == "x=c\n")
  }

  @Test("the help's way to a shell passes on what a payload would inject") func injection() throws {
    try place.qudo("enqueue", "p", #""; touch pwned; $(touch pwned) '"#)
    #expect(
      try place.qudo("work", #"p=sh -c "printf '%s|' \"$1\"" sh {}"#, "--until-empty").output
        == #""; touch pwned; $(touch pwned) '|"#)
    #expect(!place.exists("pwned"))
  }

  @Test("the help's example with a shell runs as it stands there") func helpsShell() throws {
    try Data("text".utf8).write(to: URL(fileURLWithPath: place.path("a \"b\" $(touch pwned)")))
    try place.qudo("enqueue", "pack", "a \"b\" $(touch pwned)")
    let help = try place.qudo("work", "--help").output
    let line = try #require(help.split(separator: "\n").first { $0.contains("sh -c \"") }).drop { $0 == " " }
    #expect(line.hasPrefix("qudo work pack='") && line.hasSuffix("'"))
    #expect(try place.shell("\"$qudo\"\(line.dropFirst("qudo".count)) --until-empty").status == 0)
    #expect(place.exists("a \"b\" $(touch pwned).gz") && !place.exists("pwned"))
  }

  @Test(
    "a failed job is tried again after a delay that grows",
    arguments: [[], ["--retry-delay", "10s..1h"], ["--retry-delay", "30s"]])
  func retryDelays(options: [String]) throws {
    try place.qudo("enqueue", "p")
    let least: [Double] = options.isEmpty ? [0.5, 1] : options[1] == "30s" ? [30, 30] : [5, 10]
    let most: [Double] = options.isEmpty ? [1, 2] : options[1] == "30s" ? [30, 30] : [10, 20]
    let failed = try place.qudo(
      ["work", "p=false", "--until-empty", "--skip-delayed", "--max-retries", "9", "--verbose"] + options,
      input: Data())
    let delay = try #require(failed.errors.firstMatch(of: /delay ([0-9.]+)(ms|s)/))
    let seconds = try #require(Double(delay.1)) / (delay.2 == "ms" ? 1000 : 1)
    #expect(seconds >= least[0] && seconds <= most[0])
  }

  @Test(
    "a delay that does not rise is wrong usage", arguments: ["5m..1s", "0..1s", "1s..", "..1s", "1s..2s..3s"])
  func noDelay(text: String) throws {
    #expect(try place.qudo("work", "p=true", "--retry-delay", text).status == 64)
  }

  @Test func jobsOfOtherKindsAreLeftAlone() throws {
    try place.qudo("enqueue", "other")
    #expect(try place.qudo("work", "p=false", "q=false", "--until-empty").status == 0)
    #expect(try place.qudo("count", "--json").objects().first?["ready"] as? Int == 1)
  }

  @Test("kinds that wait and that it does not run are told of, each once") func otherKinds() throws {
    try place.qudo("enqueue", "mail.snd", "--lines", input: "1\n2\n")
    try place.qudo("enqueue", "later", "--delay", "1h")
    try place.qudo("enqueue", "p")
    let words = "qudo: this worker does not run these kinds, which have ready jobs: mail.snd (2)\n"
    let summary = "qudo: completed 1, failed 0, retried 0\n"
    #expect(try place.qudo("work", "p=true", "--until-empty").errors == words + summary)
    let worker = try place.start("work", "p=true")
    try worker.errors.wait(for: "mail.snd (2)")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(
      try place.qudo("work", "p=true", "mail.snd=true", "--until-empty").errors
        == "qudo: completed 2, failed 0, retried 0\n")
  }

  @Test(
    "how long it keeps the logs",
    arguments: [
      ([], Retention()), (["--retention-age", "7d"], Retention(maxAge: .seconds(7 * 86_400))),
      (["--retention-rows", "0"], Retention(maxRows: 0)),
      (["--retention-age", "none", "--retention-rows", "5"], Retention(maxAge: nil, maxRows: 5)),
      (["--retention-age", "none", "--retention-rows", "none"], nil),
    ])
  func retention(arguments: [String], expected: Retention?) throws {
    #expect(try RetentionOptions.parse(arguments).retention == expected)
  }

  @Test("its last line counts what it did, and --fail makes failures its status") func summary() throws {
    let fails = ["work", "p=sh -c 'exit {}'", "--until-empty", "--retry-delay", "0s", "--max-retries", "1"]
    try place.qudo("enqueue", "p", "--lines", input: "0\n0\n1\n65\n")
    let worked = try place.qudo(fails, input: Data())
    #expect(worked.status == 0 && worked.errors.hasSuffix("qudo: completed 2, failed 2, retried 1\n"))
    try place.qudo("enqueue", "p", "1")
    let failed = try place.qudo(fails + ["--fail"], input: Data())
    #expect(failed.status == 1 && failed.errors.hasSuffix("qudo: completed 0, failed 1, retried 1\n"))
    #expect(failed.output == "")
    try place.qudo("enqueue", "p", "0")
    let done = try place.qudo(fails + ["--fail"], input: Data())
    #expect(done.status == 0 && done.errors == "qudo: completed 1, failed 0, retried 0\n")
    let nothing = try place.qudo(fails + ["--fail"], input: Data())
    #expect(nothing.status == 0 && nothing.errors == "qudo: completed 0, failed 0, retried 0\n")
  }

  @Test("a job that five workers died of is given up by the next one, whose last line and --fail count it")
  func givenUp() throws {
    try place.qudo("enqueue", "p", "x")
    for _ in 1...5 {
      #expect(try place.qudo("work", "p=sh -c 'kill -9 $PPID'", "--until-empty").status == SIGKILL)
    }
    let other = ["work", "other=true", "--until-empty", "--fail"]
    let worked = try place.qudo(other, input: Data())
    #expect(worked.status == 1)
    #expect(
      worked.errors.hasSuffix("qudo: completed 0, failed 0, retried 0, given up 1\n"), "\(worked.errors)")
    let failures = try place.qudo("failures", "--json").objects()
    #expect(failures.map { $0["reason"] as? String } == ["lost"])
    #expect(failures.map { $0["payload"] as? String } == ["x"])
    #expect(try place.qudo("count").output == "")
    // The next one has nothing to do with it.
    #expect(try place.qudo(other, input: Data()).status == 0)
  }

  @Test func aReaderThatGoesAwayLosesNoJob() throws {
    try place.qudo("enqueue", "p", "--lines", input: (1...20).map { "\($0)\n" }.joined())
    // More than a pipe holds: the write fails once `true` has gone.
    let result = try place.shell(#"{ "$qudo" work "p=seq 50000" --until-empty; echo $? > status; } | true"#)
    #expect(try place.text("status") == "1\n")
    #expect(result.errors.hasPrefix("qudo: completed 0, failed 0, retried 0") && result.errors.last == "\n")
    #expect(result.errors.split(separator: "\n").count == 1)
    let left = try place.qudo("count", "--json").objects().first
    #expect(left?["ready"] as? Int == 20 && left?["running"] as? Int == 0)
    #expect(try place.qudo("failures", "--json").output == "[]\n")
  }

  @Test func aWorkerThatIsKilledLosesNoJob() throws {
    try place.qudo("enqueue", "p", "x")
    // The command kills the worker that runs it, the first time.
    let command = "p=sh -c 'test -e killed && cat || { touch killed; kill -9 $PPID; }'"
    #expect(try place.qudo("work", command, "--until-empty", "--lease", "200ms").status == SIGKILL)
    #expect(try place.qudo("work", command, "--until-empty", "--lease", "200ms").output == "x")
  }
}
