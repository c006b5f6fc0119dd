import Evidence
import Foundation
import Qudo
import QudoSQLite
import Testing

/// Runs a line of shell and prints the most memory that one of its processes had, in KiB.
let peak =
  "python3 -c 'import resource, subprocess, sys; subprocess.run([\"sh\", \"-c\", \"exec \" + sys.argv[1]], check=True); "
  + "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'"

/// `qudo enqueue`, as a person runs it.
@Suite(.waitsForProcesses) struct EnqueueTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func payload(_ id: Int) throws -> Data { try place.qudo("show", "\(id)", "--payload").bytes }

  @Test func linesBecomeJobsAndAreCounted() throws {
    let enqueued = try place.qudo(
      "enqueue", "sha", "--lines", "--database", "q.db", input: "one\ntwo\n\u{e9}\n")
    #expect(enqueued.status == 0 && enqueued.output == "1\n2\n3\n" && enqueued.errors == "")
    let one = try place.qudo("enqueue", "sha", "x", "--delay", "1h", "--json", "--database", "sqlite:q.db")
    #expect(one.output == "{\"id\":4,\"database\":\"q\"}\n")
    let count = try place.qudo("count", "--json", "--database", "q.db")
    #expect(
      count.output
        == "[{\"database\":\"q\",\"kind\":\"sha\",\"ready\":3,\"delayed\":1,\"running\":0,\"held\":0,\"paused\":false}]\n"
    )
  }

  @Test func linesAreKeptByteForByte() throws {
    let input = Data([0xFF, 0xFE, 10, 97, 13, 10, 10, 0, 98])
    let result = try place.qudo(["enqueue", "k", "--lines", "--json"], input: input)
    #expect(result.output == (1...4).map { "{\"id\":\($0),\"database\":\"qudo\"}\n" }.joined())
    #expect(try (1...4).map { [UInt8](try payload($0)) } == [[0xFF, 0xFE], [97, 13], [], [0, 98]])
  }

  @Test func nullSeparatesWhatHasNewlines() throws {
    #expect(try place.qudo("enqueue", "k", "-0", input: "a\nb\0\0c").output == "1\n2\n3\n")
    #expect(try (1...3).map { String(decoding: try payload($0), as: UTF8.self) } == ["a\nb", "", "c"])
  }

  @Test func aLineIsEnqueuedBeforeTheNextComes() throws {
    let running = try place.start("enqueue", "k", "--lines")
    for number in 1...3 {
      try running.write("line \(number)\n")
      #expect(try running.output.line() == "\(number)")
    }
    try running.write("no newline")
    try running.closeInput()
    #expect(try running.output.rest() == "4\n")
    #expect(try running.end() == 0)
  }

  @Test func manyLinesAreAllEnqueuedInOrder() throws {
    let result = try place.qudo("enqueue", "k", "--lines", input: (1...25_432).map { "\($0)\n" }.joined())
    #expect(result.status == 0 && result.output == (1...25_432).map { "\($0)\n" }.joined())
    #expect(try String(decoding: payload(25_000), as: UTF8.self) == "25000")
  }

  @Test func aLineThatIsTooLongIsNamedAndThoseBeforeStay() throws {
    let long = String(repeating: "x", count: (1 << 20) + 1)
    let result = try place.qudo("enqueue", "k", "--lines", input: "a\nb\n\(long)\nc\n")
    #expect(
      result.status == 1 && result.output == "1\n2\n"
        && result.errors.contains("line 3 has more than 1048576 bytes"))
    #expect(try place.qudo("count", "--json").objects().first?["ready"] as? Int == 2)
  }

  @Test func aPayloadMayComeFromAFile() throws {
    let most = Data(repeating: 0xFF, count: 1 << 20)
    try most.write(to: URL(fileURLWithPath: place.path("most")))
    #expect(try place.qudo("enqueue", "k", "--payload-file", "most").output == "1\n")
    #expect(try payload(1) == most)
    let more = try place.qudo(["enqueue", "k", "--payload-file", "-"], input: most + [0])
    #expect(more.status == 1 && more.output == "" && more.errors.contains("more than 1048576 bytes"))
    #expect(try place.qudo("enqueue", "k", "--payload-file", "none").status == 1)
    #expect(try place.qudo("enqueue", "k", "--payload-file", ".").status == 1)
  }

  @Test func aUniqueKeyIsRefusedKeptOrOverwritten() throws {
    #expect(try place.qudo("enqueue", "k", "a", "--unique-key", "u").output == "1\n")
    let refused = try place.qudo("enqueue", "k", "b", "--unique-key", "u")
    #expect(
      refused.status == 1 && refused.output == ""
        && refused.errors.hasPrefix("qudo: job 1 of kind k has the unique key"))
    let kept = try place.qudo("enqueue", "k", "b", "--unique-key", "u", "--on-conflict", "keep", "--json")
    #expect(kept.status == 0 && kept.output == "{\"id\":1,\"database\":\"qudo\",\"existing\":true}\n")
    #expect(try String(decoding: payload(1), as: UTF8.self) == "a")
    let overwritten = try place.qudo(
      "enqueue", "k", "b", "--unique-key", "u", "--on-conflict", "overwrite", "--json")
    #expect(overwritten.status == 0 && overwritten.output == "{\"id\":1,\"database\":\"qudo\"}\n")
    #expect(try String(decoding: payload(1), as: UTF8.self) == "b")
    #expect(try place.qudo("enqueue", "other", "--unique-key", "u").output == "2\n")
  }

  @Test("a debounced job is overwritten until it begins, and put off no further than its bound")
  func debounce() throws {
    let options = ["--debounce", "page-7", "--delay", "10m", "--max-delay", "15m"]
    for text in ["1", "2"] {
      #expect(try place.qudo(["enqueue", "k", text] + options, input: Data()).output == "1\n")
    }
    let job = try #require(try place.qudo("jobs", "--json").objects().first)
    #expect(job["payload"] as? String == "2" && job["uniqueKey"] as? String == "page-7")
    let overwrite = try place.qudo(
      "enqueue", "k", "3", "--unique-key", "page-7", "--on-conflict", "overwrite", "--delay", "0s",
      "--max-delay", "0s")
    #expect(overwrite.output == "1\n")
    #expect(try place.qudo("work", "k=echo {}", "--until-empty").output == "3\n")
  }

  @Test("a throttled key stays taken after its job has completed, and is free after a failure")
  func throttle() throws {
    let options = ["--unique-key", "u", "--throttle", "1h"]
    #expect(try place.qudo(["enqueue", "k", "a"] + options, input: Data()).output == "1\n")
    #expect(try place.qudo("work", "k=echo {}", "--until-empty").output == "a\n")
    let refused = try place.qudo(["enqueue", "k", "b"] + options, input: Data())
    #expect(
      refused.status == 1 && refused.output == "" && refused.errors.contains("--throttle has not passed"))
    let kept = try place.qudo("enqueue", "k", "b", "--unique-key", "u", "--on-conflict", "keep", "--json")
    #expect(kept.status == 0 && kept.output == "{\"id\":1,\"database\":\"qudo\",\"existing\":true}\n")
    #expect(try place.qudo(["enqueue", "other", "c"] + options, input: Data()).output == "2\n")
    #expect(try place.qudo("work", "other=false", "--until-empty", "--max-retries", "0").status == 0)
    #expect(try place.qudo(["enqueue", "other", "d"] + options, input: Data()).output == "3\n")
  }

  @Test("a follow-up is held while one runs, and is overwritten") func followUp() async throws {
    #expect(try place.qudo("enqueue", "k", "1", "--follow-up", "f").output == "1\n")
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    let want = ClaimRequest([.init("k", leaseDuration: .seconds(3600))], limit: 9)
    let claimed = try await driver.claim(want).jobs
    for text in ["2", "3"] {
      #expect(try place.qudo("enqueue", "k", text, "--follow-up", "f").output == "2\n")
    }
    #expect(try place.qudo("jobs", "--json").objects().map { $0["state"] as? String } == ["running", "held"])
    let answer = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: want)
    #expect(answer.claim?.jobs.map(\.payload.bytes) == [Array("3".utf8)])
    await driver.close()
  }

  @Test("an enqueue under an idempotency key is done once") func idempotencyKey() async throws {
    #expect(try place.qudo("enqueue", "k", "a", "--idempotency-key", "order 4711").output == "1\n")
    let again = try place.qudo("enqueue", "k", "b", "--idempotency-key", "order 4711", "--json")
    #expect(again.status == 0 && again.output == "{\"id\":1,\"database\":\"qudo\",\"existing\":true}\n")
    #expect(
      try place.qudo("enqueue", "k", "--lines", "--idempotency-key", "order 4711", input: "1\n2\n").output
        == "2\n3\n")
    #expect(
      try place.qudo("enqueue", "k", "--lines", "--idempotency-key", "order 4711", input: "1\n2\n3\n").output
        == "2\n3\n4\n")
    #expect(try place.qudo("enqueue", "k", "--idempotency-key", "").status == 64)
    // It is the library's key of the same text.
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    #expect(
      try await driver.insert([NewJob("k", idempotencyKey: IdempotencyKey("order 4711"))]) == [.existing(1)])
    await driver.close()
  }

  @Test(arguments: [
    ("2126-03-01T12:00:00Z", "2126-03-01T12:00:00.000Z"), ("2126-03-01T12:00z", "2126-03-01T12:00:00.000Z"),
    ("2126-03-01T13:00:00.25+01:00", "2126-03-01T12:00:00.250Z"),
    ("2126-03-01 06:30:00-0530", "2126-03-01T12:00:00.000Z"),
    ("2124-02-29T23:59:59.9999999+00", "2124-02-29T23:59:59.999Z"),
    ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
  ]) func aTimeHasAZone(text: String, due: String) throws {
    #expect(try place.qudo("enqueue", "k", "--at", text).status == 0)
    #expect(try place.qudo("jobs", "--json").objects().first?["dueAt"] as? String == due)
  }

  @Test(
    arguments: Evidence.arguments([
      "", "tomorrow", "2026-03-01", "2026-03-01T12:00:00", "2026-02-29T12:00:00Z", "2026-03-01T24:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-03-01T12:00:00+1", "2026-03-01T12:00:00+01:", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zx",
      "0000-01-01T00:00:00Z",
      "9999-12-31T23:59:59-01:00", "-2026-03-01T12:00:00Z", "1772366400",
    ])) func whatIsNoTimeIsWrongUsage(text: String) throws
  {
    let result = try place.qudo("enqueue", "k", "--at=\(text)")
    #expect(result.status == 64 && result.output == "" && result.errors.hasPrefix("qudo: "))
    #expect(!place.exists("qudo.db"))
  }

  @Test(
    arguments: Evidence.arguments([
      ["k", "--delay", "soon"], ["k", "--delay=-1s"], ["", "x"], [String(repeating: "k", count: 256)],
      ["k", "--unique-key", ""],
      ["k", "--priority", "9999999999"], ["k", "x", "--lines"], ["k", "--lines", "--null"],
      ["k", "--lines", "--unique-key", "u"], ["k", "--lines", "--debounce", "u", "--delay", "1s"],
      ["k", "--lines", "--follow-up", "u"], ["k", "--debounce", "u"],
      ["k", "--unique-key", "u", "--follow-up", "u"],
      ["k", "--follow-up", "u", "--concurrency-key", "u"], ["k", "--unique-key", "u", "--max-delay", "5s"],
      ["k", "--debounce", "u", "--delay", "9s", "--max-delay", "5s"], ["k", "--throttle", "5s"],
      ["k", "--unique-key", "u", "--throttle", "0s"],
      ["k", "--debounce", "u", "--delay", "1s", "--throttle", "5s"],
      ["k", "--on-conflict", "keep"], ["k", "--unique-key", "u", "--on-conflict", "win"],
      ["k", "x", "--payload-file", "f"],
      ["k", "--delay", "1s", "--at", "2026-03-01T12:00:00Z"], [], ["k", "x", "y"],
    ])) func wrongUsageIsSaidBeforeAFileIsMade(arguments: [String]) throws
  {
    let result = try place.qudo(["enqueue"] + arguments, input: Data("x\n".utf8))
    #expect(result.status == 64 && result.output == "" && result.errors.hasPrefix("qudo: "))
    #expect(!place.exists("qudo.db"))
  }

  @Test("a past time counts as now, and jumps no queue") func pastTime() throws {
    try place.qudo("enqueue", "k", "first")
    #expect(try place.qudo("enqueue", "k", "second", "--at", "0001-01-01T00:00:00Z").status == 0)
    #expect(try place.qudo("enqueue", "k", "third", "--at", "2001-01-01T00:00:00Z").status == 0)
    #expect(try place.qudo("work", "k=echo {}", "--until-empty").output == "first\nsecond\nthird\n")
  }

  @Test("a payload may begin with a dash, after --", arguments: ["--help", "-h", "--version", "--json", "-"])
  func dashes(payload: String) throws {
    #expect(try place.qudo("enqueue", "k", "--", payload).output == "1\n")
    #expect(try String(decoding: self.payload(1), as: UTF8.self) == payload)
  }

  @Test("long lines share transactions by their bytes") func longLines() throws {
    let line = String(repeating: "x", count: 1 << 20)
    try place.qudo("enqueue", "warm", "up")
    let input = place.path("lines")
    try Data(String(repeating: line + "\n", count: 100).utf8).write(to: URL(fileURLWithPath: input))
    let result = try place.shell(peak + #" '"$qudo" enqueue k --lines < lines > ids'; tail -n 1 ids"#)
    #expect(result.status == 0 && result.lines.last == "101")
    #expect(try #require(result.lines.first.flatMap { Int($0) }) < 120_000)
  }

  @Test func anArgumentThatIsNotUTF8IsRefusedInsteadOfChanged() throws {
    let result = try place.shell(#""$qudo" enqueue k "$(printf 'a\377')""#)
    #expect(result.status == 64 && result.output == "" && result.errors.contains("argument 3 is not UTF-8"))
  }

  @Test func aReaderThatGoesAwayEndsItQuietly() throws {
    let result = try place.shell(
      #"{ seq 200000 | "$qudo" enqueue k --lines; echo $? > status; } | head -n 1"#)
    #expect(result.output == "1\n" && result.errors == "")
    #expect(try place.text("status") == "1\n")
  }

  @Test func tenProcessesMayOpenANewFileAtOnce() throws {
    let result = try place.shell(
      #"for i in 0 1 2 3 4 5 6 7 8 9; do "$qudo" enqueue a $i & p="$p $!"; done; for i in $p; do wait $i || exit 1; done"#
    )
    #expect(result.status == 0 && result.errors == "")
    #expect(result.lines.compactMap { Int($0) }.sorted() == Array(1...10))
  }
}
