import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

/// What the command lists, and what it says when there is nothing to list from.
@Suite(.waitsForProcesses) struct ListingTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// The keys of a JSON object in their order.
  private func keys(_ json: String) -> [String] {
    let pieces = json.components(separatedBy: "\":")
    return pieces.dropLast().compactMap {
      $0.split(separator: "\"", omittingEmptySubsequences: false).last.map(String.init)
    }
  }

  @Test func countListsEachKindThatHasJobs() throws {
    try place.qudo("enqueue", "b", "--lines", input: "1\n2\n")
    try place.qudo("enqueue", "a", "--delay", "1h")
    #expect(
      try place.qudo("count").output
        == "KIND  READY  DELAYED  RUNNING\na         0        1        0\nb         2        0        0\n")
    #expect(
      try place.qudo("count", "--json", "--kind", "b").output
        == "[{\"database\":\"qudo\",\"kind\":\"b\",\"ready\":2,\"delayed\":0,\"running\":0,\"held\":0,\"paused\":false}]\n"
    )
    #expect(try place.qudo("count", "--json", "--kind", "none").output == "[]\n")
    #expect(try place.qudo("count", "--kind", "none").output == "")
  }

  @Test("held jobs have a column, a state and their key") func held() throws {
    for text in ["1", "2", "3"] { try place.qudo("enqueue", "a", text, "--concurrency-key", "customer-7") }
    try place.qudo("enqueue", "b", "4")
    #expect(
      try place.qudo("count").output
        == "KIND  READY  DELAYED  RUNNING  HELD\na         1        0        0     2\nb         1        0        0\n"
    )
    let jobs = try place.qudo("jobs", "--state", "held", "--json").objects()
    #expect(jobs.map { $0["payload"] as? String } == ["2", "3"])
    #expect(jobs.first?["concurrencyKey"] as? String == "customer-7")
    #expect(jobs.first?["state"] as? String == "held")
    #expect(try place.qudo("show", "2").lines.contains("held behind key  customer-7"))
    #expect(try place.qudo("show", "1").lines.contains { $0.hasPrefix("concurrency key") })
    #expect(try place.qudo("metrics").output.contains("state=\"held\"} 2"))
    // A larger limit admits the next one.
    try place.qudo("enqueue", "a", "5", "--concurrency-key", "customer-7", "--key-limit", "2")
    #expect(try place.qudo("count", "--json", "--kind", "a").objects().first?["held"] as? Int == 2)
    #expect(try place.qudo("enqueue", "a", "x", "--key-limit", "2").status == 64)
    #expect(try place.qudo("enqueue", "a", "x", "--concurrency-key", "k", "--key-limit", "0").status == 64)
    let work = try place.qudo(
      "work", "a=sh -c 'cat >> order'", "--concurrency", "4", "--until-empty", "b=true")
    #expect(work.status == 0)
  }

  @Test("a failed job stops its key, and a replay, a resolve or a resume lets it go on") func stoppedKeys()
    throws
  {
    let key = ["--concurrency-key", "customer-7", "--stop-after-failure"]
    for text in ["1", "2", "3", "4"] { _ = try place.qudo(["enqueue", "a", text] + key, input: Data()) }
    func work() throws -> [String] {
      // Fails while the file "ok" is missing.
      try place.qudo("work", "a=sh -c 'cat; echo; test -e ok'", "--until-empty", "--max-retries", "0").lines
    }
    #expect(try place.qudo("keys", "--json").output == "[]\n")
    #expect(try work() == ["1"])
    let stops = try place.qudo("keys", "--json").objects()
    #expect(stops.map { $0["key"] as? String } == ["customer-7"] && stops.map { $0["job"] as? Int } == [1])
    #expect(
      Set(stops.first?.keys ?? [:].keys) == ["database", "kind", "key", "failure", "job", "stoppedAt"])
    let table = try place.qudo("keys").output
    #expect(table.hasPrefix("KIND  KEY         SINCE") && table.contains("customer-7"), "\(table)")
    let status = try #require(try place.qudo("keys", "--all", "--json").objects().first)
    #expect(status["stops"] as? Int == 1 && status["held"] as? Int == 3 && status["admitted"] as? Int == 0)
    #expect(status["stopsAfterFailure"] as? Bool == true && status["rate"] is NSNull)
    #expect(try place.qudo("keys", "--kind", "b").output == "")
    let doctor = try place.qudo("doctor", "--json").objects().first {
      $0["check"] as? String == "stopped-key"
    }
    #expect(doctor?["severity"] as? String == "warning" && doctor?["subject"] as? String == "a")
    // A replay runs it again, before the others.
    let failure = try #require(stops.first?["failure"] as? Int)
    try place.qudo("replay", "\(failure)")
    #expect(try work() == ["1"])
    let again = try #require(try place.qudo("keys", "--json").objects().first?["failure"] as? Int)
    #expect(try place.qudo("resolve", "\(again)").status == 0)
    #expect(try work() == ["2"])
    #expect(try place.qudo("resume", "a", "--key", "other").output == "")
    let resumed = try place.qudo("resume", "a", "--key", "customer-7", "--json").objects()
    #expect(resumed.map { $0["key"] as? String } == ["customer-7"])
    #expect(try work() == ["3"])
    #expect(try place.qudo("resume", "a", "--all-keys").output.contains("customer-7"))
    try Data().write(to: place.folder.appendingPathComponent("ok"))
    #expect(try work() == ["4"])
    #expect(try place.qudo("keys", "--json").output == "[]\n")
    for wrong in [
      ["enqueue", "a", "x", "--stop-after-failure"], ["resume", "--key", "k"], ["resume", "--all-keys"],
      ["resume", "a", "b", "--key", "k"], ["resume", "a", "--key", "k", "--all-keys"],
      ["keys", "--limit", "0"],
    ] {
      #expect(try place.qudo(wrong, input: Data()).status == 64, "\(wrong)")
    }
  }

  @Test("a key with a rate begins its jobs no faster") func keyRate() throws {
    let key = ["--concurrency-key", "customer-7", "--key-limit", "3", "--key-rate", "2/1h"]
    for text in ["1", "2", "3"] { _ = try place.qudo(["enqueue", "a", text] + key, input: Data()) }
    try place.qudo("enqueue", "a", "other", "--concurrency-key", "customer-8")
    let work = try place.qudo("work", "a=cat", "--until-empty", "--skip-delayed")
    #expect(work.status == 0)
    let late = try place.qudo("jobs", "--state", "delayed", "--json").objects()
    #expect(late.count == 1 && late.first?["concurrencyKey"] as? String == "customer-7")
    #expect(try place.qudo("jobs", "--json").objects().count == 1)
    #expect(try place.qudo("keys").output == "", "none is stopped")
    try place.qudo("enqueue", "b", "other", "--concurrency-key", "customer-\u{1B}8")
    let table = try place.qudo("keys", "--all").output
    #expect(table.hasPrefix("KIND  KEY") && table.split(separator: "\n").count == 3, "\(table)")
    #expect(table.contains("2/1h") && !table.contains("\u{1B}"), "\(table)")
    let listed = try place.qudo("keys", "--key", "customer-7", "--key", "unknown", "--json")
    #expect(
      keys(listed.output) == [
        "database", "kind", "key", "limit", "rate", "count", "period", "burst", "stopsAfterFailure",
        "admitted",
        "held", "nextTokenAt", "stops",
      ], "\(listed)")
    let status = try #require(try listed.objects().first)
    #expect(status["limit"] as? Int == 3 && status["admitted"] as? Int == 1 && status["held"] as? Int == 0)
    #expect(status["nextTokenAt"] is String && status["stops"] as? Int == 0)
    let rate = try #require(status["rate"] as? [String: Any])
    #expect(rate["count"] as? Int == 2 && rate["period"] as? Double == 3600 && rate["burst"] as? Int == 2)
    let more = try place.qudo("keys", "--all", "--limit", "1")
    #expect(more.errors.contains("there are more concurrency keys than these 1"), "\(more)")
    for wrong in [
      ["--key-rate", "1/1h"], ["--concurrency-key", "k", "--key-rate", "0/1s"],
      ["--concurrency-key", "k", "--key-rate", "1"], ["--concurrency-key", "k", "--key-rate", "1/soon"],
    ] {
      #expect(try place.qudo(["enqueue", "a", "x"] + wrong, input: Data()).status == 64, "\(wrong)")
    }
  }

  @Test("jobs of groups are found by them, and begin in turn") func groups() throws {
    for text in ["A1", "A2", "A3"] { try place.qudo("enqueue", "a", text, "--group", "acme") }
    for text in ["B1", "B2"] { try place.qudo("enqueue", "a", text, "--group", "best") }
    try place.qudo("enqueue", "a", "none")
    let jobs = try place.qudo("jobs", "--group", "best", "--json").objects()
    #expect(jobs.map { $0["payload"] as? String } == ["B1", "B2"])
    #expect(jobs.allSatisfy { $0["group"] as? String == "best" })
    #expect(try place.qudo("jobs", "--json", "--after", "5").objects().first?["group"] is NSNull)
    #expect(try place.qudo("show", "1").lines.contains { $0.hasPrefix("group") && $0.hasSuffix("acme") })
    #expect(try place.qudo("enqueue", "a", "x", "--group", "").status == 64)
    let work = try place.qudo("work", "a=sh -c 'cat; echo'", "--concurrency", "1", "--until-empty")
    #expect(work.lines == ["A1", "B1", "none", "A2", "B2", "A3"], "\(work)")
  }

  @Test func jobsHaveTheDocumentedKeys() throws {
    try place.qudo(
      "enqueue", "k", "say \"hi\"/\u{1}\u{e9}", "--unique-key", "u", "--priority", "7", "--at",
      "2031-01-02T03:04:05.678Z")
    let result = try place.qudo("jobs", "--json")
    #expect(
      keys(result.output) == [
        "database", "id", "kind", "state", "payload", "uniqueKey", "priority", "attempt", "enqueuedAt",
        "dueAt", "leaseEndsAt", "expiredLeases", "startedAt", "processID", "expiresAt",
        "concurrencyKey", "group", "metadata",
      ])
    let job = try #require(try result.objects().first)
    #expect(
      job["payload"] as? String == "say \"hi\"/\u{1}\u{e9}" && job["state"] as? String == "delayed"
        && job["id"] as? Int == 1)
    #expect(job["priority"] as? Int == 7 && job["attempt"] as? Int == 1 && job["uniqueKey"] as? String == "u")
    #expect(job["dueAt"] as? String == "2031-01-02T03:04:05.678Z" && job["leaseEndsAt"] is NSNull)
    #expect(try place.qudo("show", "1", "--json").output == result.output)
  }

  @Test("lists while a writer is stuck, and leaves a file of an older schema as it is") func onlyLists()
    throws
  {
    try place.qudo("enqueue", "k")
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(place.path("qudo.db"), &handle) == SQLITE_OK)
    try #require(
      sqlite3_exec(handle, "BEGIN IMMEDIATE; UPDATE qudo_info SET value = value", nil, nil, nil) == SQLITE_OK)
    for command in [["count"], ["jobs"], ["show", "1"], ["failures"], ["statuses"]] {
      #expect(try place.qudo(command, input: Data()).status == 0, "\(command)")
    }
    let older = "ROLLBACK; DELETE FROM qudo_schema WHERE version = (SELECT max(version) FROM qudo_schema)"
    try #require(sqlite3_exec(handle, older, nil, nil, nil) == SQLITE_OK)
    for _ in 0..<2 {
      let result = try place.qudo("count")
      #expect(result.status == 1 && result.errors.contains("of an older Qudo"), "\(result.errors)")
    }
  }

  @Test(
    "every verb names the path that it cannot open",
    arguments: [
      ["count"], ["jobs"], ["show", "1"], ["failures"], ["statuses"], ["wait", "1"], ["replay", "1"],
      ["resolve", "1"],
      ["enqueue", "a", "x"], ["work", "a=true"], ["compact"], ["cancel", "1"], ["pause", "a"], ["pauses"],
      ["keys"],
      ["schedule", "list"], ["doctor"], ["health"], ["metrics"], ["backup", "copy.db"],
      ["top", "--once"],
    ])
  func namesThePath(verb: [String]) throws {
    let folder = place.path("folder.db")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let result = try place.qudo(verb + ["--database", folder], input: Data())
    #expect(result.status != 0)
    #expect((result.output + result.errors).contains("\(folder): it is a folder"), "\(result)")
  }

  @Test func aPayloadThatIsNotUTF8IsBase64() throws {
    _ = try place.qudo(["enqueue", "k", "--lines"], input: Data([0xFF, 0, 1, 10]))
    let result = try place.qudo("jobs", "--json")
    #expect(keys(result.output)[4] == "payloadBase64")
    #expect(try result.objects().first?["payloadBase64"] as? String == "/wAB")
    #expect(try place.qudo("jobs").output.contains("0xff0001"))
  }

  @Test func jobsArePagedAndFiltered() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "b", "--delay", "1h")
    let ids = { (arguments: [String]) in
      try place.qudo(["jobs", "--json"] + arguments, input: Data()).objects().compactMap { $0["id"] as? Int }
    }
    #expect(try ids([]) == [1, 2, 3, 4])
    #expect(try ids(["--limit", "2"]) == [1, 2])
    #expect(try ids(["--limit", "2", "--after", "2"]) == [3, 4])
    #expect(try ids(["--kind", "b"]) == [4])
    #expect(try ids(["--kind", "b", "--kind", "a", "--state", "ready"]) == [1, 2, 3])
    #expect(try ids(["--state", "running"]) == [])
    #expect(try place.qudo("jobs", "--limit", "0", "--json").output == "[]\n")
  }

  @Test func nothingFromAPayloadReachesTheTerminal() throws {
    _ = try place.qudo(
      ["enqueue", "k\u{1b}[2J", "--null"], input: Data("a\u{1b}]0;x\u{7}\r\n\t\u{202e}\u{9b}\\".utf8))
    for command in [["jobs"], ["show", "1"], ["count"]] {
      let result = try place.qudo(command, input: Data())
      #expect(result.status == 0)
      #expect(result.output.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value < 0x7F) })
    }
    #expect(try place.qudo("show", "1").output.contains(#"a\u{1b}]0;x\u{7}\r\n\t\u{202e}\u{9b}\\"#))
  }

  @Test("a listing says that it is cut, on standard error, also with --json") func cut() throws {
    try place.qudo("enqueue", "k", "--lines", input: (1...101).map { "\($0)\n" }.joined())
    let more = "qudo: there are more jobs than these 100. Use --limit to show more\n"
    let jobs = try place.qudo("jobs")
    #expect(jobs.lines.count == 101 && jobs.errors == more)
    let whole = try place.qudo("jobs", "--limit", "101")
    #expect(whole.lines.count == 102 && whole.errors == "")
    let json = try place.qudo("jobs", "--json")
    #expect(try json.objects().count == 100)
    #expect(json.errors == more && json.status == 0)
    let wholeJSON = try place.qudo("jobs", "--json", "--limit", "101")
    #expect(try wholeJSON.objects().count == 101)
    #expect(wholeJSON.errors == "")
    #expect(try place.qudo("work", "k=false", "--until-empty", "--record", "--concurrency", "8").status == 0)
    for command in ["failures", "statuses"] {
      let more = "qudo: there are more \(command) than these 10. Use --limit to show more\n"
      let log = try place.qudo(command)
      #expect(log.lines.count == 11 && log.errors == more)
      #expect(try place.qudo(command, "--offset", "91").errors == "")
      let json = try place.qudo(command, "--json")
      #expect(try json.objects().count == 10)
      #expect(json.errors == more && json.status == 0)
      #expect(try place.qudo(command, "--json", "--limit", "101").errors == "")
    }
  }

  @Test("nothing from paths, names and a hostile schema reaches the terminal") func hostileNames() throws {
    let evil = "e\u{1b}]0;x\u{7}\u{202e}"
    try place.qudo("enqueue", "k", "--database", "\(evil).db", "--database", "b.db")
    let made = try place.shell(
      "sqlite3 bad.db \"CREATE TABLE qudo_x(a); CREATE VIEW qudo_info AS SELECT \\\"$(printf 'no\\033[2J\\nqudo: line')\\\"\" 2>/dev/null || true"
    )
    #expect(made.status == 0)
    for command in [
      ["count", "--database", "\(evil).db", "--database", "b.db"],
      ["count", "--database", "\(evil)/none.db"], ["show", "9", "--database", "\(evil).db"],
      ["enqueue", "k", "--database", "\(evil).db"], ["enqueue", "k", "--payload-file", evil],
      ["work", "k='\(evil)"], ["count", "--\(evil)"],
      ["databases", "--database", "\(evil)/none.db"],
      ["enqueue", "k", "--database", "\(evil).db", "--database", "c.db"], ["count", "--database", "bad.db"],
      ["work", "k=true", "--until-empty", "--database", "\(evil).db", "--database", "\(evil)/x.db"],
    ] {
      let result = try place.qudo(command, input: Data())
      for text in [result.output, result.errors] {
        #expect(
          text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value < 0x7F) },
          "\(command): \(text)")
      }
    }
  }

  @Test("replays of large failures take little memory, and are said as they are made") func largeReplay()
    throws
  {
    try Data(String(repeating: String(repeating: "x", count: 1 << 20) + "\n", count: 100).utf8).write(
      to: URL(fileURLWithPath: place.path("lines")))
    #expect(
      try place.shell(
        #""$qudo" enqueue k --lines < lines > /dev/null; "$qudo" work k=false --until-empty 2> /dev/null"#
      ).status == 0)
    let result = try place.shell(peak + #" '"$qudo" replay --all > ids'; wc -l < ids"#)
    #expect(result.lines.last == "100")
    #expect(try #require(result.lines.first.flatMap { Int($0) }) < 200_000)
  }

  @Test func aLongPayloadIsShortenedInATable() throws {
    try place.qudo("enqueue", "k", String(repeating: "é", count: 500))
    #expect(try place.qudo("jobs").output.hasSuffix(" " + String(repeating: "é", count: 60) + "…\n"))
    #expect(try place.qudo("show", "1").output.hasSuffix(String(repeating: "é", count: 500) + "\n"))
  }

  @Test func aJobThatIsNotThereIsAFailure() throws {
    try place.qudo("enqueue", "k")
    let result = try place.qudo("show", "2", "--json")
    #expect(
      result.status == 1 && result.output == ""
        && result.errors.hasPrefix("qudo: job 2 of ") && result.errors.contains(" never existed"))
  }

  @Test func failuresAreListedAndReplayedOnce() throws {
    try place.qudo("enqueue", "k", "x", "--unique-key", "u", "--priority", "3")
    let command = "k=sh -c 'echo $QUDO_ATTEMPT broken >&2; exit 3'"
    #expect(
      try place.qudo("work", command, "--until-empty", "--max-retries", "1", "--retry-delay", "0").status == 0
    )
    let result = try place.qudo("failures", "--json")
    #expect(
      keys(String(result.output.split(separator: "\n")[0])) == [
        "database", "id", "job", "kind", "message", "payload", "uniqueKey", "attempt", "failedAt", "replayed",
        "reason", "final", "priority",
        "replayedAs", "resolved",
      ])
    let rows = try result.objects()
    #expect(rows.map { $0["message"] as? String } == ["exit status 3: 2 broken", "exit status 3: 1 broken"])
    #expect(rows.map { $0["attempt"] as? Int } == [2, 1] && rows.map { $0["job"] as? Int } == [1, 1])
    #expect(
      rows.map { $0["final"] as? Bool } == [true, false]
        && rows.map { $0["reason"] as? String } == ["failed", "failed"])
    #expect(rows.allSatisfy { $0["priority"] as? Int == 3 && $0["replayedAs"] is NSNull })
    #expect(
      rows.allSatisfy { $0["payload"] as? String == "x" }
        && rows[0]["replayed"] as? Bool == false)
    #expect(
      try place.qudo("failures", "--oldest-first", "--limit", "1", "--offset", "1", "--json").objects()
        .first?["id"] as? Int == 2)
    #expect(try place.qudo("failures", "--kind", "other", "--json").output == "[]\n")

    let replayed = try place.qudo("replay", "2")
    #expect(replayed.status == 0 && replayed.output == "2\n" && replayed.errors == "")
    #expect(try place.qudo("jobs", "--json").objects().first?["priority"] as? Int == 3)
    let again = try place.qudo("replay", "2", "1", "9", "--json")
    #expect(
      again.status == 1
        && keys(String(again.output.split(separator: "\n")[0])) == ["database", "failure", "result", "job"])
    #expect(
      try again.objects().map { $0["result"] as? String } == ["alreadyReplayed", "notFinal", "notFound"])
    #expect(again.errors.split(separator: "\n").count == 3)
    #expect(try place.qudo("failures", "--json").objects().map { $0["replayed"] as? Bool } == [true, false])
    #expect(try place.qudo("failures", "--json").objects().map { $0["replayedAs"] as? Int } == [2, nil])
    #expect(try place.qudo("failures").output.contains("replayed as 2"))
  }

  @Test func allFailuresOfAKindAreReplayed() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "b")
    #expect(
      try place.qudo(
        "work", "a=false", "b=false", "--until-empty", "--max-retries", "1", "--retry-delay", "0"
      ).status == 0)
    let replayed = try place.qudo("replay", "--all", "--kind", "a", "--json").objects()
    #expect(replayed.map { $0["result"] as? String } == ["replayed", "replayed", "replayed"])
    #expect(replayed.compactMap { $0["job"] as? Int } == [5, 6, 7])
    #expect(try place.qudo("replay", "--all").output == "8\n")
    let none = try place.qudo("replay", "--all")
    #expect(none.status == 0 && none.output == "" && none.errors == "")
    for wrong in [["replay"], ["replay", "1", "--all"], ["replay", "1", "--kind", "a"]] {
      #expect(try place.qudo(wrong, input: Data()).status == 64)
    }
  }

  @Test func statusesAreRecordedWhenAsked() throws {
    try place.qudo("enqueue", "k", "x", "--unique-key", "u")
    #expect(try place.qudo("work", "k=true", "--until-empty", "--record").status == 0)
    let result = try place.qudo("statuses", "--json")
    #expect(
      keys(result.output) == [
        "database", "id", "job", "kind", "status", "payload", "uniqueKey", "startedAt", "endedAt",
      ])
    let row = try #require(try result.objects().first)
    #expect(
      row["status"] as? String == "completed" && row["payload"] as? String == "x"
        && row["uniqueKey"] as? String == "u")
    #expect(try place.qudo("statuses").output.contains("completed"))
  }

  @Test(arguments: [["count"], ["jobs"], ["show", "1"], ["failures"], ["statuses"], ["replay", "1"]])
  func aListingNeverCreatesAFile(arguments: [String]) throws {
    let result = try place.qudo(arguments + ["--database", "none.db"], input: Data())
    #expect(result.status == 75 && result.output == "" && result.errors.contains("cannot be opened"))
    #expect(!place.exists("none.db"))
  }

  @Test(arguments: [["count"], ["enqueue", "k"], ["work", "k=true", "--until-empty"], ["schema"]])
  func aFolderIsNoDatabase(arguments: [String]) throws {
    let result = try place.qudo(arguments + ["--database", "."], input: Data())
    #expect(result.status == 75 && result.output == "" && result.errors.contains("cannot be opened"))
  }

  @Test func aFileThatIsNoDatabaseIsRefusedAndLeftAlone() throws {
    let file = place.folder.appendingPathComponent("text.db")
    let text = Data(String(repeating: "not a database ", count: 100).utf8)
    try text.write(to: file)
    let result = try place.qudo("enqueue", "a", "--database", "text.db")
    #expect(result.status == 1 && result.errors.contains("not a SQLite database"))
    #expect(try Data(contentsOf: file) == text)
  }

  #if MySQL
  private static let foreign = ["postgres://user:secret@host/name"]
  #else
  private static let foreign = [
    "mysql://user:secret@host/name", "mariadb://user:secret@host/name", "postgres://user:secret@host/name",
  ]
  #endif

  @Test("A database that this build lacks is wrong usage, and no password is shown", arguments: foreign)
  func missingTraitIsWrongUsage(database: String) throws {
    let result = try place.qudo("count", "--database", database)
    #expect(
      result.status == 64 && result.output == "" && result.errors.hasPrefix("qudo: ")
        && !result.errors.contains("secret"))
  }

  @Test func theEnvironmentNamesTheDatabase() throws {
    #expect(try place.qudo("enqueue", "k", environment: ["QUDO_DATABASE": "sqlite:mine.db"]).status == 0)
    #expect(place.exists("mine.db") && !place.exists("qudo.db"))
    #expect(
      try place.qudo("enqueue", "k", "--database", "q.db", environment: ["QUDO_DATABASE": "mine.db"]).output
        == "1\n")
  }

  @Test func schemaCreatesTheFileOrPrintsTheSQL() throws {
    let dry = try place.qudo("schema", "--dry-run")
    #expect(dry.status == 0 && dry.output.contains("CREATE TABLE qudo_job") && !place.exists("qudo.db"))
    let made = try place.qudo("schema")
    #expect(made.status == 0 && made.output == "" && place.exists("qudo.db"))
    #expect(try place.qudo("schema").status == 0)
    #expect(try place.qudo("count", "--json").output == "[]\n")
  }

  @Test func helpIsAResultAndWrongUsageIsNot() throws {
    let help = try place.qudo("--help")
    #expect(help.status == 0 && help.output.contains("SUBCOMMANDS") && help.errors == "")
    let wrong = try place.qudo("nothing")
    #expect(wrong.status == 64 && wrong.output == "" && wrong.errors.hasPrefix("qudo: "))
    #expect(try place.qudo("jobs", "--state", "lost").status == 64)
    #expect(try place.qudo("jobs", "--limit=-1").status == 64)
    #expect(try place.qudo("show", "x").status == 64)
  }

  @Test func theDemoChecksItselfAndLeavesNothing() throws {
    try FileManager.default.createDirectory(atPath: place.path("tmp"), withIntermediateDirectories: false)
    let result = try place.qudo(
      ["demo", "--jobs", "3000", "--durability", "off"], input: Data(),
      environment: ["TMPDIR": place.path("tmp")])
    #expect(result.status == 0 && result.output.contains("each job ran exactly once") && result.errors == "")
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.path("tmp")) == [])
  }
}

/// `qudo replay --all` while others change the failure log.
@Suite(.waitsForProcesses) struct ReplayAllTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test("rows that are pruned meanwhile hide no others") func pruned() async throws {
    // A pipe holds the lines of some of them.
    let count = 3000
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .off)
    _ = try await driver.insert((1...count).map { NewJob("k", payload: Payload("\($0)")) })
    let claim = try await driver.claim(ClaimRequest([.init("k")], limit: count))
    _ = try await driver.settle(
      claim.jobs.map { Settlement($0.lease, .failed(message: "no")) }, claiming: nil)
    let replay = try place.start("replay", "--all", "--json", "--durability", "off")
    let first = try #require(try replay.output.line())
    // The first page is done, and the pipe has no room for all the others.
    #expect(try await driver.prune(PruneOptions(keep: count - 32, limit: 32)) == 32)
    let objects =
      try JSONSerialization.jsonObject(with: Data((first + replay.output.rest()).utf8)) as? [[String: Any]]
    #expect(objects?.compactMap { $0["failure"] as? Int } == Array(1...count))
    #expect(objects?.allSatisfy { $0["result"] as? String == "replayed" } == true)
    #expect(try replay.end() == 0)
    await driver.close()
  }
}
