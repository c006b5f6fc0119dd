#if MySQL
import Foundation
import MariaDBServer
import ProcessSupport
import Testing

/// The tables of a server go and come back under running commands: restored from a dump they are waited for, and made again they are
/// another database, to which nothing is written.
@Suite(.waitsForProcesses) struct ServerReplacementTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// A worker and an enqueue of a database that have done one job each.
  private struct Commands {
    let server: MariaDBServer
    let name: String
    let url: String
    let worker: Running
    let enqueue: Running

    func drop() async throws {
      let tables = try await server.query("SHOW TABLES LIKE 'qudo\\_%'", in: name)
      try await server.query("DROP TABLE \(tables.joined(separator: ", "))", in: name)
    }

    /// Hands over a line, and waits until both commands have met the missing tables.
    func meetMissingTables(_ line: String) throws {
      try enqueue.write(line)
      try enqueue.errors.wait(for: "no database is available, waiting")
      try worker.errors.wait(for: "Qudo's tables are missing")
    }
  }

  private func start(deadline: String) async throws -> Commands {
    let server = try await MariaDBServer.start()
    let name = try await server.makeDatabase()
    let url = server.url(name)
    let worker = try place.start("work", "k=echo {}", "--database", url)
    let enqueue = try place.start("enqueue", "k", "--lines", "--call-timeout", deadline, "--database", url)
    try enqueue.write("one\n")
    #expect(try enqueue.output.line() == "1")
    #expect(try worker.output.line() == "one")
    return Commands(server: server, name: name, url: url, worker: worker, enqueue: enqueue)
  }

  @Test("a restored dump is waited for, and no id is given again") func restored() async throws {
    let commands = try await start(deadline: "5m")
    let (server, worker, enqueue) = (commands.server, commands.worker, commands.enqueue)
    let dump = try await server.dump(commands.name)
    try await commands.drop()
    try commands.meetMissingTables("two\n")
    try await server.query(dump, in: commands.name)
    #expect(try enqueue.output.line() == "2")
    #expect(try worker.output.line() == "two")
    try enqueue.write("three\n")
    #expect(try enqueue.output.line() == "3")
    #expect(try worker.output.line() == "three")
    try enqueue.closeInput()
    #expect(try enqueue.end() == 0)
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    #expect(try await server.query("SELECT COUNT(*) FROM qudo_job", in: commands.name) == ["0"])
  }

  @Test("tables that were made anew are another database") func madeAnew() async throws {
    let commands = try await start(deadline: "5s")
    let (worker, enqueue) = (commands.worker, commands.enqueue)
    try await commands.drop()
    try commands.meetMissingTables("two\n")
    // Another program makes them.
    #expect(
      try place.qudo("enqueue", "k", "new", "--call-timeout", "5m", "--database", commands.url).output
        == "1\n")
    let said = try (worker.errors.rest(), enqueue.errors.rest())
    #expect(said.0.contains("another generation"), "\(said.0)")
    #expect(said.1.contains("line 1 is enqueued. Continue from line 2"), "\(said.1)")
    #expect(try worker.end() == 1)
    #expect(try [1, 75].contains(enqueue.end()))
    #expect(try worker.output.rest() == "" && enqueue.output.rest() == "")
    let jobs = try place.qudo("jobs", "--json", "--database", commands.url).objects()
    #expect(
      jobs.map { $0["payload"] as? String } == ["new"], "nothing was written to it, and nothing was run")
  }
}
#endif
