#if MySQL
import Foundation
import MariaDBServer
import Testing

/// The command with a server, alone and together with a file.
@Suite(.waitsForProcesses) struct ServerTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test func theCommandWorksOnAServer() async throws {
    let server = try await MariaDBServer.shared()
    let url = server.url(try await server.makeDatabase(), options: "name=far")
    #expect(
      try place.qudo("enqueue", "k", "hello", "--call-timeout", "5m", "--database", url).output == "1\n")
    #expect(try place.qudo("work", "k=echo {}", "--until-empty", "--database", url).output == "hello\n")
    let report = try place.qudo("databases", "--json", "--database", url)
    let row = try #require(try report.objects().first)
    #expect(
      row["database"] as? String == "far" && row["state"] as? String == "live"
        && row["clockDifference"] is Int)
    #expect((row["version"] as? String)?.hasPrefix("MariaDB ") == true)
    #expect(
      !report.output.contains(server.password)
        && (row["url"] as? String)?.contains("qudo:***@127.0.0.1") == true)
  }

  @Test func aServerThatIsDownOrHangsIsPassedOver() async throws {
    let server = try await MariaDBServer.start()
    let url = server.url(try await server.makeDatabase(), options: "name=far")
    func enqueue(_ payload: String, deadline: String = "4s") throws -> CommandWorkspace.Result {
      try place.qudo(
        "enqueue", "k", payload, "--database", url, "--database", "near.db", "--order", "ordered",
        "--call-timeout", deadline)
    }
    #expect(try enqueue("1", deadline: "5m").output == "far/1\n")
    server.pause()
    #expect(try enqueue("2").output == "near/1\n", "it could not be opened within its share of the time")
    server.resume()
    server.kill()
    let result = try enqueue("3")
    #expect(
      result.output == "near/2\n" && result.errors.contains("unavailable")
        && !result.errors.contains(server.password))
    #expect(try place.qudo("count", "--database", url).status == 75)
    try await server.start()
    #expect(try enqueue("4", deadline: "5m").output == "far/2\n")
    let work = try place.qudo(
      "work", "k=echo {}", "--until-empty", "--database", url, "--database", "near.db")
    #expect(work.status == 0 && work.lines.sorted() == ["1", "2", "3", "4"])
  }

  @Test("a wait on a server ends with its jobs, which end elsewhere, or with its time") func waits()
    async throws
  {
    let server = try await MariaDBServer.shared()
    let url = server.url(try await server.makeDatabase(), options: "name=far")
    for kind in ["k", "other"] {
      #expect(try place.qudo("enqueue", kind, "x", "--call-timeout", "5m", "--database", url).status == 0)
    }
    let late = try place.qudo("wait", "1", "2", "--timeout", "10ms", "--database", url)
    #expect(late.status == 124 && late.output == "1 unfinished\n2 unfinished\n")
    let wait = try place.start("wait", "1", "2", "--database", url)
    #expect(try place.qudo("work", "k=cat", "--until-empty", "--record", "--database", url).output == "x")
    #expect(try wait.output.line() == "1 completed")
    #expect(try place.qudo("cancel", "2", "--database", url).output == "2 cancelled\n")
    #expect(try wait.output.line() == "2 cancelled")
    #expect(try wait.end() == 1)
  }
}
#endif
