#if MySQL
import Foundation
import MariaDBServer
import Testing

/// The command with a server, alone and beside a file.
@Suite(.waitsForProcesses) struct ServerTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  @Test func theCommandWorksOnAServer() async throws {
    let server = try await MariaDBServer.shared()
    let url = server.url(try await server.makeDatabase(), options: "name=far")
    #expect(try place.qudo("enqueue", "k", "hello", "--deadline", "5m", "--database", url).output == "1\n")
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
        "--deadline", deadline)
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
}
#endif
