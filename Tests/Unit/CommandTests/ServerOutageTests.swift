#if MySQL
import Foundation
import MariaDBServer
import ProcessSupport
import Testing

/// A server that cannot be used for a while: a worker and an enqueue wait, and go on.
@Suite(.waitsForProcesses) struct ServerOutageTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// What a fail-over looks like to a client.
  enum Outage: CaseIterable {
    case readOnly, password

    func begin(_ server: MariaDBServer) async throws {
      switch self {
      case .readOnly: try await server.query("SET GLOBAL read_only = 1")
      // A connection that is open stays so.
      case .password:
        try await server.query("SET PASSWORD FOR app@'%' = PASSWORD('other'); KILL CONNECTION USER app")
      }
    }

    func end(_ server: MariaDBServer) async throws {
      switch self {
      case .readOnly: try await server.query("SET GLOBAL read_only = 0")
      case .password: try await server.query("SET PASSWORD FOR app@'%' = PASSWORD('pw')")
      }
    }

    var words: String {
      switch self {
      case .readOnly: "the server has become read-only"
      case .password: "the server refuses the user"
      }
    }
  }

  /// - Returns: the server, and the URL of a database for a user who may not write while it is read-only.
  private func server() async throws -> (server: MariaDBServer, url: String, all: String) {
    let server = try await MariaDBServer.start()
    let name = try await server.makeDatabase()
    try await server.query("CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON \(name).* TO app@'%'")
    // The tables take a while; deadlines of tests are for jobs.
    try #require(try place.qudo("schema", "--database", server.url(name)).status == 0)
    return (server, server.url(name, user: "app", password: "pw"), server.url(name))
  }

  @Test("a worker waits until it passes", arguments: Outage.allCases) func worker(outage: Outage) async throws
  {
    let (server, url, all) = try await server()
    let worker = try place.start("work", "k=echo {}", "--database", url)
    try place.qudo("enqueue", "k", "before", "--call-timeout", "5m", "--database", all)
    #expect(try worker.output.line() == "before")
    try await outage.begin(server)
    // Of one who may write all the same, so that there is something to claim.
    try place.qudo("enqueue", "k", "meanwhile", "--database", all)
    try worker.errors.wait(for: outage.words)
    try await outage.end(server)
    #expect(try worker.output.line() == "meanwhile")
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
  }

  @Test("an enqueue waits until it passes", arguments: Outage.allCases) func enqueue(outage: Outage)
    async throws
  {
    let (server, url, _) = try await server()
    let enqueue = try place.start("enqueue", "k", "--lines", "--call-timeout", "5m", "--database", url)
    try enqueue.write("before\n")
    #expect(try enqueue.output.line() == "1")
    try await outage.begin(server)
    try enqueue.write("meanwhile\n")
    try enqueue.errors.wait(for: "no database is available, waiting")
    try await outage.end(server)
    let id = try #require(try enqueue.output.line())
    try enqueue.closeInput()
    #expect(try enqueue.end() == 0)
    #expect(try place.qudo("show", id, "--payload", "--database", url).output == "meanwhile")
  }

  @Test("an enqueue waits no longer than its deadline, and says from which line to go on") func deadline()
    async throws
  {
    let (server, url, _) = try await server()
    let enqueue = try place.start("enqueue", "k", "--lines", "--call-timeout", "5s", "--database", url)
    try enqueue.write("one\n")
    #expect(try enqueue.output.line() == "1")
    try await Outage.readOnly.begin(server)
    try enqueue.write("two\nthree\n")
    try enqueue.closeInput()
    let errors = try enqueue.errors.rest()
    #expect(try enqueue.end() == 75)
    #expect(
      errors.contains("the server has become read-only")
        && errors.contains("line 1 is enqueued. Continue from line 2"),
      "\(errors)")
    #expect(try enqueue.output.rest() == "")
    try await Outage.readOnly.end(server)
    #expect(try place.qudo("count", "--json", "--database", url).objects().first?["ready"] as? Int == 1)
  }

  @Test("a password that was never right is told at once") func wrongPassword() async throws {
    let (server, _, _) = try await server()
    let url = server.url("test1", user: "app", password: "wrong")
    let start = ContinuousClock.now
    for command in [["enqueue", "k", "--call-timeout", "10m"], ["work", "k=true"]] {
      let result = try place.qudo(command + ["--database", url], input: Data())
      #expect(result.status == 1 && result.errors.contains("the server refuses the user"))
    }
    #expect(ContinuousClock.now - start < .seconds(300))
  }

  // MARK: An answer that does not come

  /// Two batches, of which the second is sent while the server stands still.
  private func enqueueWhileItHangs(
    _ server: MariaDBServer, _ databases: [String], _ options: [String]
  ) throws -> (output: [String], errors: String, status: Int32) {
    let running = try Running(
      built("qudo"),
      ["enqueue", "k", "--lines", "--call-timeout", "8s"] + options
        + databases.flatMap { ["--database", $0] },
      in: place.folder,
      environment: [:], input: Pipe(), output: Pipe(), errors: Pipe())
    defer { running.kill(SIGKILL) }
    try running.write("1\n")
    let first = try #require(try running.output.line())
    server.pause()
    try running.write("2\n3\n")
    try running.closeInput()
    let start = ContinuousClock.now
    let output = try running.output.rest().split(separator: "\n").map(String.init)
    let errors = try running.errors.rest()
    let status = try running.end()
    // Its connection is closed only after the read timeout of 30 s: the command does not wait for that.
    #expect(ContinuousClock.now - start < .seconds(25))
    return ([first] + output, errors, status)
  }

  @Test("a hung server's lines go elsewhere and are named; the rest follows") func elsewhere() async throws {
    let (server, url, _) = try await server()
    let result = try enqueueWhileItHangs(
      server, [url + "?name=far", "near.db"], ["--order", "ordered", "--json"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      result.output == [
        #"{"id":1,"database":"far"}"#, #"{"id":1,"database":"near","mayBeDoubled":true}"#,
        #"{"id":2,"database":"near","mayBeDoubled":true}"#,
      ])
    #expect(result.errors.contains("line 2 may be doubled: it is in near as 1, and may be in far"))
    #expect(result.errors.contains("line 3 may be doubled: it is in near as 2, and may be in far"))
    #expect(
      result.errors.contains(
        "2 jobs went to near.db, because far could not be used; they stay there until a worker"))
    server.resume()
    // The first that asks after it waits until the server has come to what it was sent.
    #expect(try place.qudo("show", "1", "--payload", "--database", url).output == "1")
  }

  @Test("with --on-unknown stop it ends and says from which line to go on", arguments: [[], ["near.db"]])
  func stop(
    more: [String]
  ) async throws {
    let (server, url, _) = try await server()
    let result = try enqueueWhileItHangs(
      server, [url + "?name=far"] + more, ["--order", "ordered", "--on-unknown", "stop"])
    #expect(result.status == 1 && result.output == [more.isEmpty ? "1" : "far/1"], "\(result.errors)")
    #expect(
      result.errors.contains(
        "line 1 is enqueued, lines 2 to 3 may be. Continue from line 2, which may double lines 2 to 3"),
      "\(result.errors)"
    )
    server.resume()
    guard more.isEmpty else {
      return #expect(!place.exists("near.db") && !result.errors.contains("--idempotency-key"))
    }
    let key = try #require(
      result.errors.firstMatch(of: /with --idempotency-key ([0-9a-f]+): no job is doubled/)
    ).1
    let again = try place.qudo(
      "enqueue", "k", "--lines", "--json", "--idempotency-key", String(key), "--database", url,
      input: "1\n2\n3\n4\n")
    #expect(again.status == 0 && again.lines.count == 4 && again.lines[0].contains(#""existing":true"#))
    let payloads = try place.qudo("jobs", "--json", "--database", url).objects().compactMap {
      $0["payload"] as? String
    }
    #expect(payloads.sorted() == ["1", "2", "3", "4"])
  }
}
#endif
