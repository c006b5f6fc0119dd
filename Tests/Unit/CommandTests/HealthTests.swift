import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

/// What a probe asks.
@Suite(.waitsForProcesses) struct HealthTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// A timeout that no slow machine exceeds.
  private func health(_ arguments: String...) throws -> CommandWorkspace.Result {
    try place.qudo(["health", "--timeout", "5m"] + arguments, input: Data())
  }

  @Test("a database that can be read is healthy without conditions, and nothing is printed") func plain()
    throws
  {
    try place.qudo("enqueue", "mail", "x", "--database", "jobs.db")
    let result = try health("--database", "jobs.db")
    #expect(result.status == 0 && result.output == "" && result.errors == "")
  }

  @Test("one line for each condition that fails") func conditions() throws {
    try place.qudo("enqueue", "mail", "--lines", "--database", "jobs.db", input: "1\n2\n3\n")
    try place.qudo("enqueue", "sms", "1", "--database", "jobs.db")
    let all = try health("--worker", "--oldest-ready", "0", "--max-ready", "3", "--database", "jobs.db")
    #expect(all.status == 1 && all.errors == "")
    #expect(all.lines.count == 3)
    #expect(all.lines.first == "jobs: no worker: no living process has looked for jobs in the file")
    #expect(
      try #require(all.lines.dropFirst().first)
        .wholeMatch(of: /jobs: a job of the kind mail has been ready for [0-9.]+ s, more than 0 s/) != nil)
    #expect(all.lines.last == "jobs: more than 3 jobs are ready")
    #expect(try health("--oldest-ready", "1h", "--max-ready", "4", "--database", "jobs.db").status == 0)
    #expect(try health("--max-ready", "3", "--kind", "mail", "--database", "jobs.db").status == 0)
    #expect(try health("--max-ready", "2", "--kind", "mail", "--database", "jobs.db").status == 1)
    #expect(
      try health("--max-ready", "0", "--oldest-ready", "0", "--kind", "none", "--database", "jobs.db").status
        == 0)
  }

  @Test("paused kinds wait on purpose") func paused() throws {
    try place.qudo("enqueue", "mail", "1")
    try place.qudo("pause", "mail")
    #expect(try health("--max-ready", "0", "--oldest-ready", "0").status == 0)
    try place.qudo("resume", "mail")
    #expect(try health("--max-ready", "0", "--oldest-ready", "0").lines.count == 2)
  }

  @Test("a worker is there from its first look until it ends, an enqueue is none") func worker() async throws
  {
    let manager = try NotifySocket(place.path("notify"))
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    _ = try await driver.insert([NewJob("other")])
    #expect(try health("--worker").status == 1)
    let worker = try place.start("work", "mail=true", environment: ["NOTIFY_SOCKET": manager.name])
    try manager.wait(for: "READY=1")
    #expect(try health("--worker").status == 0)
    worker.kill(SIGKILL)
    _ = try worker.end()
    #expect(
      try health("--worker").lines == ["qudo: no worker: no living process has looked for jobs in the file"])
    await driver.close()
  }

  @Test("it waits for no writer") func locked() throws {
    try place.qudo("enqueue", "mail", "1")
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(place.path("qudo.db"), &handle) == SQLITE_OK)
    try #require(
      sqlite3_exec(handle, "BEGIN EXCLUSIVE; UPDATE qudo_info SET value = value", nil, nil, nil) == SQLITE_OK)
    #expect(try health("--max-ready", "1").status == 0)
    #expect(try health("--max-ready", "0").status == 1)
  }

  @Test("it gives up at its timeout if a process keeps all others out") func exclusive() throws {
    try place.qudo("enqueue", "mail", "1")
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(place.path("qudo.db"), &handle) == SQLITE_OK)
    let sql = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE qudo_info SET value = value"
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
    let result = try place.qudo("health", "--timeout", "50ms")
    #expect(
      result.status == 75 && result.lines.count == 1 && result.output.contains("qudo: cannot be read: "))
  }

  @Test("a file that is not there is unreachable, and is not made") func missing() throws {
    let result = try health("--database", "none.db")
    #expect(
      result.status == 75 && result.lines.count == 1 && result.output.contains("none: cannot be read: "))
    #expect(try FileManager.default.contentsOfDirectory(atPath: place.folder.path) == [])
    try place.qudo("enqueue", "mail", "1")
    let both = try health("--database", "none.db", "--database", "qudo.db")
    #expect(both.status == 1 && both.lines.count == 1)
    #expect(!place.exists("none.db"))
  }

  @Test("wrong usage") func usage() throws {
    for arguments in [
      ["--max-ready", "-1"], ["--max-ready", "x"], ["--oldest-ready", "soon"], ["--timeout", "0"], ["--none"],
    ] { #expect(try place.qudo(["health"] + arguments, input: Data()).status == 64) }
    #if MySQL
    let server = try place.qudo("health", "--worker", "--database", "mysql://127.0.0.1/jobs")
    #expect(server.status == 64 && server.errors.contains("a server does not tell whether a worker is there"))
    #endif
  }

  @Test("JSON has what was found") func json() throws {
    try place.qudo("enqueue", "mail", "--lines", input: "1\n2\n3\n")
    let result = try health(
      "--json", "--max-ready", "1", "--worker", "--database", "qudo.db", "--database", "none.db")
    #expect(result.status == 1)
    let rows = try result.objects()
    #expect(rows.count == 2)
    #expect(
      Set(rows[0].keys) == [
        "database", "healthy", "worker", "oldestReady", "oldestReadyKind", "ready", "problems",
      ])
    #expect(rows[0]["database"] as? String == "qudo" && rows[0]["healthy"] as? Bool == false)
    #expect(rows[0]["worker"] as? Bool == false && rows[0]["ready"] as? Int == 2)
    #expect((rows[0]["oldestReady"] as? Double ?? 0) > 0 && rows[0]["oldestReadyKind"] as? String == "mail")
    #expect((rows[0]["problems"] as? [String])?.count == 2)
    #expect(rows[1]["healthy"] as? Bool == false && rows[1]["ready"] is NSNull && rows[1]["worker"] is NSNull)
    try place.qudo("work", "mail=true", "--until-empty")
    let empty = try health("--json").objects()
    #expect(empty.first?["healthy"] as? Bool == true && empty.first?["oldestReady"] is NSNull)
    #expect(empty.first?["ready"] is NSNull)
  }
}
