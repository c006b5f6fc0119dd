import Foundation
import Testing

/// `qudo import`, again and again, and into a file that has jobs.
@Suite(.waitsForProcesses) struct ImportAgainTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private var new: PerlDatabase { PerlDatabase(path: place.path("qudo.db")) }

  private func results(_ result: CommandWorkspace.Result) throws -> [String] {
    try result.objects().map {
      "\($0["table"] as? String ?? "") \($0["old"] as? Int ?? 0) \($0["result"] as? String ?? "")"
    }
  }

  /// All that is in the new file.
  private func contents() throws -> [String] {
    try ["job", "ready", "delayed", "failure", "status", "kind", "import", "import_source", "info"].flatMap {
      try new.rows("SELECT * FROM qudo_\($0)")
    }
  }

  @Test func nothingComesTwice() throws {
    let old = try PerlDatabase(place, perlRows)
    let first = try place.qudo("import", "old.db", "--json").objects()
    let before = try contents()
    let again = try place.qudo("import", "./old.db", "--json")
    #expect(again.status == 0 && again.errors == "")
    #expect(
      try again.objects().map { $0["result"] as? String } == Array(repeating: "alreadyImported", count: 8))
    #expect(try again.objects().map { $0["new"] as? Int } == first.map { $0["new"] as? Int })
    #expect(try contents() == before)
    // Not when they are finished here, nor when they were tried again or replayed there; what is new comes.
    try place.qudo("work", "Worker::Mail=true", "--until-empty", "--skip-delayed")
    try old.execute(
      """
      UPDATE job SET retry_cnt = 3, enqueue_time = 1, run_after = 1, grabbed_until = 1; UPDATE exception_log SET retried = 1;
      INSERT INTO job(func_id, arg, grabbed_until) VALUES(3, 'new', 0);
      """)
    let third = try results(place.qudo("import", "old.db", "--json"))
    #expect(third.filter { $0.hasSuffix(" imported") } == ["job 10 imported"] && third.count == 9)
    #expect(try place.qudo("jobs", "--json").objects().map { $0["payload"] as? String } == [nil, "", "new"])
  }

  @Test func aJobWhoseKeyIsTakenStaysBehindUntilItIsFree() throws {
    _ = try PerlDatabase(place, perlRows)
    try place.qudo("enqueue", "Worker::Mail", "mine", "--unique-key", "k1")
    try place.qudo("enqueue", "Wörker", "--unique-key", "k2")  // The same key of another kind is no matter.
    for arguments in [["--dry-run"], []] {
      let result = try place.qudo(["import", "old.db", "--json"] + arguments, input: Data())
      #expect(
        result.status == 1
          && result.errors
            == "qudo: job 2 of the old file has the unique key of job 1, which is not finished. Import it later\n"
      )
      let row = try #require(try result.objects().first { $0["table"] as? String == "job" })
      #expect(row["result"] as? String == "conflict" && row["holder"] as? Int == 1 && row["new"] is NSNull)
    }
    #expect(try place.qudo("import", "old.db").output.contains("job 1 has its unique key"))
    #expect(try place.qudo("jobs", "--json").objects().map { $0["id"] as? Int } == [1, 2, 3, 4])
    try place.qudo("work", "Worker::Mail=true", "--until-empty", "--skip-delayed")
    let later = try place.qudo("import", "old.db", "--json")
    #expect(later.status == 0)
    #expect(try results(later).filter { $0.hasSuffix(" imported") } == ["job 2 imported"])
    #expect(try place.qudo("show", "5", "--payload").output == #"{"to":"ada"}"#)
  }

  @Test func aDryRunWritesNothing() throws {
    _ = try PerlDatabase(place, perlRows)
    let dry = try place.qudo("import", "old.db", "--dry-run", "--json")
    #expect(dry.status == 0 && !place.exists("qudo.db"))
    #expect(try dry.objects().map { $0["result"] as? String } == Array(repeating: "importable", count: 8))
    #expect(try dry.objects().allSatisfy { $0["new"] is NSNull && $0["database"] as? String == "qudo" })
    try place.qudo("enqueue", "a")
    let before = try contents()
    #expect(try place.qudo("import", "old.db", "--dry-run").status == 0)
    #expect(try contents() == before)
    try place.qudo("import", "old.db")
    #expect(
      try place.qudo("import", "old.db", "--dry-run", "--json").objects().map { $0["new"] as? Int } == [
        2, 3, 2, 3, 4, 1, 2, 1,
      ])
  }

  @Test func aMovedFileMustBeNamedAndIsKnownThen() throws {
    _ = try PerlDatabase(place, perlRows)
    try place.qudo("import", "old.db")
    let before = try contents()
    try FileManager.default.moveItem(atPath: place.path("old.db"), toPath: place.path("moved.db"))
    for arguments in [[], ["--dry-run"]] {
      let refused = try place.qudo(["import", "moved.db"] + arguments, input: Data())
      #expect(
        refused.status == 1 && refused.errors.contains("job 2 was already imported from ")
          && refused.errors.contains("old.db"))
    }
    let source = try #require(try new.rows("SELECT name FROM qudo_import_source").first)
    #expect(
      try place.qudo("import", "moved.db", "--source", source, "--json").objects().allSatisfy {
        $0["result"] as? String == "alreadyImported"
      })
    #expect(try contents() == before)
    // Or it is another one after all.
    #expect(try place.qudo("import", "moved.db", "--source", "second").status == 1)
    #expect(try place.qudo("count", "--kind", "Wörker", "--json").objects().first?["ready"] as? Int == 2)
  }

  @Test func anotherDatabaseUnderTheSameNameIsRefused() throws {
    let old = try PerlDatabase(place, perlRows)
    try place.qudo("import", "old.db")
    let before = try contents()
    try old.execute(
      "DELETE FROM job WHERE id = 2; UPDATE job SET arg = 'other' WHERE id = 9; INSERT INTO job VALUES(1, 7, '', NULL, 0, 0, 0, 0, 0)"
    )
    let refused = try place.qudo("import", "old.db")
    #expect(
      refused.status == 1 && refused.output == ""
        && refused.errors.contains("job 9 differs from the row imported earlier"))
    #expect(try contents() == before)
    #expect(try place.qudo("import", "old.db", "--source", "b", "--json").objects().count == 8)
  }

  @Test func twoDatabasesOfOneQueueComeIntoOneFile() throws {
    _ = try PerlDatabase(place, perlRows)
    _ = try PerlDatabase(
      place, named: "b.db",
      "INSERT INTO func VALUES(3, 'Worker::Mail'); INSERT INTO job VALUES(2, 3, 'b', NULL, 0, 0, 0, 0, 0)")
    #expect(try place.qudo("import", "old.db").status == 0)
    let second = try place.qudo("import", "b.db", "--json")
    #expect(try second.objects().map { $0["new"] as? Int } == [1, 4] && second.status == 0)
    #expect(try new.rows("SELECT id FROM qudo_import_source ORDER BY id") == ["1", "2"])
  }
}
