import Foundation
import Testing

/// `qudo import`: what becomes of what is in an old file.
@Suite(.waitsForProcesses) struct ImportTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private var new: PerlDatabase { PerlDatabase(path: place.path("qudo.db")) }

  /// Each row as "table old new result".
  private func report(_ result: CommandWorkspace.Result) throws -> [String] {
    try result.objects().map { row in
      let ids = [row["old"], row["new"]].map { ($0 as? Int).map(String.init) ?? "-" }
      return
        "\(row["table"] as? String ?? "") \(ids.joined(separator: " ")) \(row["result"] as? String ?? "")"
    }
  }

  @Test func everyRowComesAndTheReportSaysAsWhat() throws {
    let old = try PerlDatabase(place, perlRows)
    let before = try old.bytes
    let result = try place.qudo("import", "old.db", "--json")
    #expect(result.status == 0 && result.errors == "")
    #expect(
      try report(result) == [
        "func 3 1 imported", "func 7 2 imported", "job 2 1 imported", "job 5 2 imported", "job 9 3 imported",
        "exception_log 4 1 imported", "exception_log 6 2 imported", "job_status 8 1 imported",
      ])
    #expect(
      result.output.hasPrefix(
        #"[{"database":"qudo","table":"func","old":3,"new":1,"kind":"Worker::Mail","result":"imported","holder":null},"#
      ))
    #expect(try old.bytes == before)
  }

  @Test func jobsKeepAllThatTheyHave() throws {
    _ = try PerlDatabase(place, perlRows)
    try place.qudo("import", "old.db")
    let jobs = try place.qudo("jobs", "--json").objects()
    #expect(jobs.map { $0["kind"] as? String } == ["Worker::Mail", "Wörker", "Worker::Mail"])
    #expect(jobs.map { $0["state"] as? String } == ["ready", "ready", "delayed"])
    #expect(jobs.map { $0["uniqueKey"] as? String } == ["k1", nil, "k2"])
    #expect(jobs.map { $0["priority"] as? Int } == [5, -1, 0])
    #expect(jobs.map { $0["attempt"] as? Int } == [1, 3, 1])
    #expect(
      jobs.map { $0["enqueuedAt"] as? String } == [
        "2014-05-13T16:53:20.000Z", "2014-05-13T16:53:22.000Z", "2014-05-13T16:53:24.000Z",
      ])
    #expect(
      jobs.map { $0["dueAt"] as? String } == [
        "2014-05-13T16:53:21.000Z", "2014-05-13T16:53:22.000Z", "2100-01-01T00:00:00.000Z",
      ])
    // The highest priority first, and the key is held.
    #expect(try place.qudo("enqueue", "Worker::Mail", "--unique-key", "k1").status == 1)
    #expect(
      try place.qudo(
        "work", "Worker::Mail=cat", "Wörker=sh -c 'wc -c; echo $QUDO_ATTEMPT'", "--until-empty",
        "--skip-delayed"
      ).output
        == "{\"to\":\"ada\"}3\n3\n")
  }

  @Test func theLogsKeepAllThatTheyHave() throws {
    _ = try PerlDatabase(place, perlRows)
    try place.qudo("import", "old.db")
    let failures = try place.qudo("failures", "--json", "--oldest-first").objects()
    #expect(failures.map { $0["message"] as? String } == ["died at x line 3", "dïed"])
    #expect(failures.map { $0["payload"] as? String } == ["gone", "\0"])
    #expect(failures.map { $0["uniqueKey"] as? String } == ["k3", nil])
    #expect(
      failures.map { $0["failedAt"] as? String } == ["2014-05-13T16:53:25.000Z", "2014-05-13T16:53:26.000Z"])
    #expect(failures.map { $0["replayed"] as? Bool } == [false, true])
    #expect(
      failures.map { $0["job"] as? Int } == [0, 0] && failures.map { $0["attempt"] as? Int } == [0, 0])
    let replayed = try place.qudo("replay", "1", "2")
    #expect(
      replayed.output == "4\n" && replayed.errors.contains("failure 2 was replayed before it was imported"))
    #expect(try place.qudo("show", "4", "--payload").output == "gone")
    let status = try #require(try place.qudo("statuses", "--json").objects().first)
    #expect(
      status["status"] as? String == "aborted" && status["payload"] as? String == "done"
        && status["uniqueKey"] as? String == "k4")
    #expect(
      status["startedAt"] as? String == "2014-05-13T16:53:27.000Z"
        && status["endedAt"] as? String == "2014-05-13T16:53:29.000Z")
  }

  @Test(arguments: [
    ("'plain'", "plain"), ("'été 漢字 🐪'", "été 漢字 🐪"), ("x'0001FF00'", "\u{0}\u{1}\u{FFFD}\u{0}"), ("''", ""),
    ("x''", ""), ("NULL", ""),
    ("42", "42"), ("-7", "-7"), ("0.1", "0.1"), ("CAST(x'6100620A' AS TEXT)", "a\0b\n"),
  ])
  func anArgumentComesByteForByte(literal: String, text: String) throws {
    _ = try PerlDatabase(
      place, "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, \(literal), NULL, 0, 0, 0, 0, 0)")
    #expect(try place.qudo("import", "old.db").status == 0)
    #expect(try place.qudo("show", "1", "--payload").output == text)
  }

  @Test func textThatIsNotUTF8ComesByteForByte() throws {
    _ = try PerlDatabase(
      place,
      """
      INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, CAST(x'E9FF00' AS TEXT), NULL, 0, 0, 0, 0, 0);
      INSERT INTO exception_log VALUES(1, 1, 0, CAST(x'64E900' AS TEXT), NULL, x'FE', 0);
      """)
    #expect(try place.qudo("import", "old.db").status == 0)
    #expect(try place.qudo("show", "1", "--payload").bytes == Data([0xE9, 0xFF, 0]))
    #expect(try new.rows("SELECT hex(message), hex(payload) FROM qudo_failure") == ["64E900|FE"])
  }

  @Test func aDatabaseOfUTF16IsReadAsWhatItSays() throws {
    _ = try PerlDatabase(place, schema: "PRAGMA encoding = 'UTF-16';" + perlSchema, perlRows)
    #expect(try place.qudo("import", "old.db").status == 0)
    #expect(try place.qudo("show", "1", "--payload").output == #"{"to":"ada"}"#)
    #expect(try place.qudo("jobs", "--kind", "Wörker", "--json").objects().count == 1)
  }

  @Test func theCodecIsNotedAndBytesStay() throws {
    let rows =
      "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, '{\"a\" : 1}', NULL, 0, 0, 0, 0, 0), (2, 1, NULL, NULL, 0, 0, 0, 0, 0)"
    _ = try PerlDatabase(place, rows)
    #expect(try place.qudo("import", "old.db", "--codec", "json").status == 0)
    #expect(
      try new.rows("SELECT codec, hex(payload) FROM qudo_job ORDER BY id") == ["1|7B226122203A20317D", "0|"])
    try PerlDatabase(path: place.path("old.db")).execute(
      "UPDATE job SET arg = x'82C40162C4057878787878A1619401C401E9C0CB3FF8000000000000' WHERE id = 1")
    #expect(
      try place.qudo("import", "old.db", "--codec", "messagepack", "--database", "other.db").status == 0)
    #expect(
      try PerlDatabase(path: place.path("other.db")).rows("SELECT codec FROM qudo_job ORDER BY id") == [
        "3", "0",
      ])
  }

  @Test func whatTheCodecCannotBeIsRefused() throws {
    _ = try PerlDatabase(
      place,
      "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, x'050B0811', NULL, 0, 0, 0, 0, 0), (2, 1, '{\"a\":', NULL, 0, 0, 0, 0, 0)"
    )
    let json = try place.qudo("import", "old.db", "--codec", "json")
    #expect(
      json.status == 1 && json.errors.contains("job 1: arg was written by Storable")
        && json.errors.contains("job 2: arg is not JSON"))
    let messagePack = try place.qudo("import", "old.db", "--codec", "messagepack")
    #expect(
      messagePack.errors.contains("job 1: arg was written by Storable")
        && messagePack.errors.contains("job 2: arg is not MessagePack"))
    let storable = try place.qudo("import", "old.db", "--codec", "storable")
    #expect(storable.status == 64 && storable.errors.contains("--codec raw"))
    #expect(try place.qudo("import", "old.db", "--codec", "yaml").status == 64)
    #expect(!place.exists("qudo.db"))
    #expect(try place.qudo("import", "old.db").status == 0)
  }

  @Test func aGrabbedJobWaitsUntilTheGrabEnds() throws {
    _ = try PerlDatabase(
      place,
      """
      INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES
        (1, 1, '', NULL, 0, 4102444800, 10, 0, 0), (2, 1, '', NULL, 0, 4102444800, 4102444860, 0, 0), (3, 1, '', NULL, 0, 1400000000, 10, 0, 0)
      """)
    #expect(try place.qudo("import", "old.db").status == 0)
    let due = { (database: String) in
      try place.qudo("jobs", "--json", "--database", database).objects().map {
        "\($0["state"] as? String ?? "") \($0["dueAt"] as? String ?? "")"
      }
    }
    #expect(
      try due("qudo.db") == [
        "delayed 2100-01-01T00:00:00.000Z", "delayed 2100-01-01T00:01:00.000Z",
        "ready 1970-01-01T00:00:10.000Z",
      ])
    #expect(try place.qudo("import", "old.db", "--ignore-grabs", "--database", "other.db").status == 0)
    #expect(
      try due("other.db") == [
        "ready 1970-01-01T00:00:10.000Z", "delayed 2100-01-01T00:01:00.000Z",
        "ready 1970-01-01T00:00:10.000Z",
      ])
  }

  @Test func timesNeedNotBeWholeSeconds() throws {
    _ = try PerlDatabase(
      place,
      "INSERT INTO func VALUES(1, 'k'); INSERT INTO job VALUES(1, 1, '', NULL, NULL, 0, 1400000000.25, 0, 0)")
    #expect(try place.qudo("import", "old.db").status == 0)
    // Without a time of enqueueing it is the due time.
    #expect(try new.rows("SELECT due, enqueued FROM qudo_job") == ["1400000000250000|1400000000250000"])
  }

  @Test func emptyTablesAreImported() throws {
    _ = try PerlDatabase(place)
    let result = try place.qudo("import", "old.db", "--json")
    #expect(result.status == 0 && result.output == "[]\n" && result.errors == "")
    #expect(try place.qudo("import", "old.db").output == "")
    #expect(try place.qudo("count", "--json").output == "[]\n")
  }

  @Test func anUnfinishedWALOfTheOldFileIsRead() throws {
    let old = try PerlDatabase(place, schema: "PRAGMA journal_mode = WAL;" + perlSchema, perlRows)
    let result = try old.connected { handle in
      _ = try PerlDatabase.rows(handle, "INSERT INTO job VALUES(20, 3, 'late', NULL, 0, 0, 0, 0, 0)")
      let before = try old.bytes
      let result = try place.qudo("import", "old.db", "--json")
      #expect(try old.bytes == before)
      return result
    }
    #expect(try report(result).contains("job 20 4 imported"))
  }

  @Test func newIdsAreOnesThatNoJobHasHad() throws {
    _ = try PerlDatabase(place, perlRows)
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n")
    try place.qudo("work", "a=true", "--until-empty")
    #expect(
      try report(place.qudo("import", "old.db", "--json")).filter { $0.hasPrefix("job ") } == [
        "job 2 3 imported", "job 5 4 imported", "job 9 5 imported",
      ])
    #expect(try place.qudo("enqueue", "a").output == "6\n")
  }
}
