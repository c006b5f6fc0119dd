#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// The control verbs while a server takes no writes, as after a fail-over.
@Suite struct ReadOnlyTests {
  /// The code of the error; nil without one.
  private func refusal(_ call: () async throws -> Void) async -> QudoError.Code? {
    do {
      try await call()
      return nil
    } catch {
      return (error as? QudoError)?.code
    }
  }

  /// Everything that the verbs could change.
  private func contents(_ driver: MySQLDriver) async throws -> [String] {
    [
      "\(try await driver.jobs(matching: JobQuery(limit: 100)))",
      "\(try await driver.failures(LogQuery(limit: 100)))",
      "\(try await driver.pauses())",
    ]
  }

  @Test("each control verb says that the server cannot be used, changes nothing, and works again afterwards")
  func control() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    // It is root's like, whom `read_only` does not keep from writing.
    let own = try database.driver()
    let ids = try await own.insert((0..<5).map { _ in NewJob("a") }).map(\.id)
    let leases = try await own.claim(ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 3)).jobs
      .map(\.lease)
    _ = try await own.settle(
      leases.prefix(2).map { Settlement($0, .failed(message: "no")) }, claiming: nil)
    let failures = try await own.failures(LogQuery(oldestFirst: true)).map(\.id)
    try #require(failures.count == 2)
    try await own.pause(["b"], until: nil, reason: "before")
    try await server.query(
      "CREATE USER app@'%' IDENTIFIED BY 'pw'; GRANT ALL ON \(database.name).* TO app@'%'")
    let driver = try database.driver(user: "app", password: "pw")
    #expect(try await driver.count().count == 1)

    let verbs: [(name: String, call: @Sendable () async throws -> Void)] = [
      ("pause", { try await driver.pause(["a"], until: nil, reason: nil) }),
      ("resume", { _ = try await driver.resume(nil) }),
      ("change", { _ = try await driver.change([ids[3]], JobChange(priority: 3)) }),
      ("change, by filter", { _ = try await driver.change(matching: JobQuery(), JobChange(priority: 4)) }),
      ("recover", { _ = try await driver.recover([ids[2]]) }),
      ("replay", { _ = try await driver.replay([failures[0]]) }),
      ("resolve", { _ = try await driver.resolve([failures[1]]) }),
      ("prune", { _ = try await driver.prune(PruneOptions()) }),
      ("cancel", { _ = try await driver.cancel([ids[3]], reason: nil) }),
      ("cancel, by filter", { _ = try await driver.cancel(matching: JobQuery(), reason: nil) }),
    ]
    let before = try await contents(own)
    try await server.query("SET GLOBAL read_only = 1")
    for verb in verbs {
      let code = await refusal(verb.call)
      #expect(code == .unreachable, "\(verb.name): \(code.map { "\($0)" } ?? "it was done")")
    }
    #expect(try await contents(own) == before)
    try await server.query("SET GLOBAL read_only = 0")
    for verb in verbs {
      let code = await refusal(verb.call)
      #expect(code == nil, "\(verb.name): \(code.map { "\($0)" } ?? "")")
    }
    // The last one has cancelled what was left, the replayed job included.
    #expect(try await own.count() == [])
    #expect(try await own.pauses() == [])
    #expect(try await TableInvariants.violations(in: database.name, on: server) == [])
    for driver in [own, driver] { await driver.close() }
  }
}
#endif
