import Foundation
import Testing

/// The command with several databases, one of them broken.
@Suite(.waitsForProcesses) struct SeveralDatabasesTests {
  let place: CommandWorkspace
  private let both = ["--database", "a.db", "--database", "b.db"]

  init() throws {
    place = try CommandWorkspace()
    try Data("this is no database, however long one looks at it, and that is what it says".utf8)
      .write(to: place.folder.appendingPathComponent("bad.db"))
  }

  @discardableResult
  private func qudo(_ arguments: String..., databases: [String], input: String = "") throws
    -> CommandWorkspace.Result
  {
    try place.qudo(arguments + databases.flatMap { ["--database", $0] }, input: Data(input.utf8))
  }

  @Test func anEnqueueGoesToADatabaseThatIsThere() throws {
    for number in 1...3 {
      let result = try qudo("enqueue", "k", "--order", "ordered", databases: ["bad.db", "a.db", "b.db"])
      #expect(result.status == 0 && result.output == "a/\(number)\n")
      #expect(
        result.errors.contains("database unavailable") && result.errors.contains("not a SQLite database"))
    }
    let json = try qudo("enqueue", "k", "--json", "--order", "ordered", databases: ["a.db", "b.db"])
    #expect(json.output == "{\"id\":4,\"database\":\"a\"}\n" && json.errors == "")
    #expect(!place.exists("b.db"), "it was not needed")
  }

  @Test func shuffledIsTheDefault() throws {
    let result = try qudo("enqueue", "k", "--lines", databases: ["a.db", "b.db"], input: "x\n")
    #expect(result.status == 0 && ["a/1\n", "b/1\n"].contains(result.output))
  }

  @Test func filesOfOneNameGetDifferentOnes() throws {
    for folder in ["x", "y"] {
      try FileManager.default.createDirectory(atPath: place.path(folder), withIntermediateDirectories: false)
    }
    #expect(
      try qudo("enqueue", "k", "--order", "ordered", databases: ["x/q.db", "y/q.db"]).output == "x/q.db/1\n")
    #expect(
      try qudo("show", "x/q.db/1", "--json", databases: ["x/q.db", "y/q.db"]).objects().first?["id"] as? Int
        == 1)
  }

  @Test func listingsShowThoseThatAnswerAndNameThem() throws {
    try qudo("enqueue", "k", databases: ["a.db"])
    try qudo("enqueue", "k", "--lines", databases: ["b.db"], input: "1\n2\n")
    let table = try qudo("count", databases: ["a.db", "bad.db", "b.db"])
    #expect(
      table.output
        == "DATABASE  KIND  READY  DELAYED  RUNNING\na         k         1        0        0\nb         k         2        0        0\n"
    )
    #expect(
      table.status == 1 && table.errors.contains("bad.db: ") && table.errors.contains("not a SQLite database")
    )
    let whole = try qudo("jobs", "--json", databases: ["a.db", "b.db"])
    #expect(whole.status == 0)
    #expect(try whole.objects().map { "\($0["database"] ?? "")/\($0["id"] ?? "")" } == ["a/1", "b/1", "b/2"])
  }

  @Test func whenNoDatabaseCanBeReachedTheStatusSaysSo() throws {
    for arguments in [
      ["count"], ["jobs"], ["failures"], ["statuses"], ["databases"], ["enqueue", "k"], ["replay", "--all"],
    ] {
      let result = try place.qudo(
        arguments + ["--database", "bad.db", "--database", "none/x.db"], input: Data())
      #expect(result.status == 75, "\(arguments)")
      if arguments != ["databases"] {
        #expect(
          result.errors.contains("bad.db: ") && result.errors.contains("none/x.db: "),
          "\(arguments): \(result.errors)")
      }
    }
  }

  @Test func aWorkerTakesJobsFromAll() throws {
    try qudo("enqueue", "k", "one", databases: ["a.db"])
    try qudo("enqueue", "k", "two", databases: ["b.db"])
    let result = try qudo(
      "work", "k=echo {} $QUDO_JOB_DATABASE", "--until-empty", databases: ["a.db", "b.db"])
    #expect(
      result.status == 0 && result.lines.sorted() == ["one $QUDO_JOB_DATABASE", "two $QUDO_JOB_DATABASE"])
    #expect(try place.qudo(["count", "--json"] + both, input: Data()).output == "[]\n")
  }

  @Test func aWorkerEmptiesTheOthersAndSaysWhichIsDown() throws {
    try qudo("enqueue", "k", "one", databases: ["a.db"])
    let result = try qudo(
      "work", "k=printenv QUDO_JOB_DATABASE", "--until-empty", databases: ["a.db", "bad.db"])
    #expect(result.status == 1 && result.output == "a\n")
    #expect(
      result.errors.contains("cannot tell whether jobs are left: these databases are unavailable: bad.db"))
  }

  @Test func aFailureIsReplayedByItsDatabaseAndId() throws {
    for name in ["a.db", "b.db"] {
      try qudo("enqueue", "k", databases: [name])
      try qudo("work", "k=false", "--until-empty", databases: [name])
    }
    #expect(try qudo("replay", "1", databases: ["a.db", "b.db"]).status == 64)
    #expect(try qudo("replay", "b/1", databases: ["a.db", "b.db"]).output == "b/2\n")
    let all = try qudo("replay", "--all", "--json", databases: ["a.db", "b.db"])
    #expect(all.output == "[{\"database\":\"a\",\"failure\":1,\"result\":\"replayed\",\"job\":2}]\n")
    let none = try qudo("replay", "c/1", databases: ["a.db", "b.db"])
    #expect(none.status == 64 && none.errors.contains("no database is called c"))
  }

  @Test func databasesShowsHowEachIs() throws {
    try qudo("enqueue", "k", "--lines", databases: ["a.db"], input: "1\n2\n")
    try qudo("enqueue", "k", "--delay", "1h", databases: ["a.db"])
    let result = try qudo("databases", "--json", databases: ["a.db", "bad.db", "none.db"])
    #expect(result.status == 0)
    let rows = try result.objects()
    let keys = [
      "cause", "clockDifference", "database", "delayed", "held", "isOpen", "ready", "running", "state", "url",
      "version", "workers",
    ]
    for row in rows { #expect(row.keys.sorted() == keys) }
    #expect(
      rows.map { $0["state"] as? String } == ["live", "down", "down"]
        && rows.map { $0["url"] as? String } == ["a.db", "bad.db", "none.db"])
    #expect(
      rows[0]["database"] as? String == "a" && rows[0]["ready"] as? Int == 2
        && rows[0]["delayed"] as? Int == 1)
    #expect((rows[0]["version"] as? String)?.hasPrefix("SQLite 3.") == true && rows[0]["cause"] is NSNull)
    #expect(
      (rows[1]["cause"] as? String)?.contains("not a SQLite database") == true && rows[1]["ready"] is NSNull)
    #expect(!place.exists("none.db"), "nothing is made by looking")
    #expect(try qudo("databases", databases: ["a.db"]).output.contains("live"))
  }

  @Test("databases only reads: an older file is not migrated") func olderFile() throws {
    try qudo("enqueue", "k", databases: ["a.db"])
    let file = PerlDatabase(path: place.path("a.db"))
    try file.execute(
      "DELETE FROM qudo_schema WHERE version = (SELECT max(version) FROM qudo_schema); PRAGMA wal_checkpoint(TRUNCATE)"
    )
    let before = try file.bytes
    let row = try #require(try qudo("databases", "--json", databases: ["a.db"]).objects().first)
    #expect(
      (row["cause"] as? String)?.contains("of an older Qudo") == true && row["isOpen"] is NSNull, "\(row)")
    #expect(try file.bytes == before)
  }

  @Test("databases shows whether anybody works in a file") func workers() throws {
    func row() throws -> [String: Any] {
      try #require(try qudo("databases", "--json", databases: ["a.db"]).objects().first)
    }
    try qudo("enqueue", "k", "x", databases: ["a.db"])
    let closed = try row()
    #expect(
      closed["ready"] as? Int == 1 && closed["workers"] as? Int == 0 && closed["isOpen"] as? Bool == false)
    let (started, go) = (try place.fifo("started"), try place.fifo("go"))
    let worker = try place.start(
      "work", "k=sh -c 'echo $$ >> pids; echo up > started; read x < go'", "--database", "a.db")
    #expect(try started.line() == "up")
    let open = try row()
    #expect(open["running"] as? Int == 1 && open["workers"] as? Int == 1 && open["isOpen"] as? Bool == true)
    worker.kill(SIGTERM)
    go.put("on\n")
    #expect(try worker.end() == 0)
    #expect(try row()["isOpen"] as? Bool == false)
  }

  @Test("jobs that a file took in the place of another are told of at the end") func fellBack() throws {
    let result = try qudo(
      "enqueue", "k", "--lines", "--order", "ordered", databases: ["bad.db", "a.db"], input: "1\n2\n")
    #expect(result.status == 0 && result.output == "a/1\na/2\n")
    #expect(
      result.errors.hasSuffix(
        "2 jobs went to a.db, because bad.db could not be used; they stay there until a worker with --database a.db runs them\n"
      ))
    #expect(try qudo("enqueue", "k", "--order", "ordered", databases: ["a.db", "b.db"]).errors == "")
  }

  @Test func schemaMakesAll() throws {
    #expect(try qudo("schema", databases: ["a.db", "b.db"]).status == 0)
    #expect(place.exists("a.db") && place.exists("b.db"))
    #expect(try qudo("schema", databases: ["a.db", "bad.db"]).status == 1)
  }

  @Test func theVariableMayHoldSeveral() throws {
    let result = try place.qudo(
      "enqueue", "k", "--order", "ordered", environment: ["QUDO_DATABASE": "bad.db,b.db"])
    #expect(result.status == 0 && result.output == "b/1\n")
  }

  @Test func wrongUsageIsRefused() throws {
    #expect(try qudo("count", databases: ["a.db", "a.db"]).status == 64)
    #expect(try qudo("import", "old.db", databases: ["a.db", "b.db"]).status == 64)
    #expect(try qudo("enqueue", "k", "--call-timeout", "0", databases: ["a.db", "b.db"]).status == 64)
    #expect(try qudo("enqueue", "k", "--probe-interval", "0", databases: ["a.db", "b.db"]).status == 64)
    #expect(try qudo("show", "x", databases: ["a.db"]).status == 64)
    #expect(!place.exists("a.db"))
  }
}
