#if QUDO_INTERLEAVINGS && MySQL
import Evidence
import MariaDBServer
import Qudo
@testable import QudoMySQL
import QudoTesting
import Testing

extension Interleavings {
  /// The pool of connections to a server, the transactions that callers share, and the watch.
  @Suite(.enabled(if: Evidence.isAsked)) struct ServerTests {
    @Test func eachCallerIsAnsweredOnceAndToldTheTruth() async throws {
      try await callers("callers of a server", seeds: 12, options: { "pool=\($0.number(1...3))" })
    }

    @Test func connectionsAreKilledMeanwhile() async throws {
      try await callers(
        "callers whose connections are killed", seeds: 8, kills: true, options: { "pool=\($0.number(1...3))" }
      )
    }

    @Test("Callers wait for a connection until the timeout, and no longer")
    func waitForAConnectionEndsAtTheTimeout() async throws {
      try await callers(
        "callers with a short time-out", seeds: 8, timeout: .milliseconds(50), options: { _ in "pool=1" })
    }

    @Test func nobodyIsOverlookedWhenAllComeAtOnce() async throws {
      let server = try await Server.one.value
      await interleavings("waves of callers of a server", "calls", seeds: 6) { _, random in
        let database = try await server.makeDatabase()
        let driver = try Server.driver(server, database, options: "pool=\(random.number(1...2))")
        try await driver.connect()
        let calls = try await Waves.run(driver, 40, &random)
        await driver.close()
        try await server.query("DROP DATABASE \(database)")
        return calls
      }
    }

    private func callers(
      _ name: String, seeds: Int, kills: Bool = false, timeout: Duration = .seconds(30),
      options: (inout Seeded) -> String
    ) async throws {
      let server = try await Server.one.value
      await interleavings(name, "calls", seeds: seeds) { seed, random in
        let (database, clock, ledger) = (try await server.makeDatabase(), ManualClock(), Ledger())
        // The tables are made before anything is in the way.
        let fresh = try Server.driver(server, database, clock: clock)
        try await fresh.connect()
        let driver = try Server.driver(
          server, database, options: options(&random), clock: clock, timeout: timeout)
        let closesAfter = random.once(in: 3) ? Int.max : random.number(0...60)
        var expected: Set<QudoError.Code> = timeout < .seconds(1) ? [.busy] : []
        if kills { expected.formUnion([.outcomeUnknown, .unreachable, .database]) }
        let killer = kills ? Task { await Server.killConnections(server, database, seed: seed) } : nil
        let hog = timeout < .seconds(1) ? Task { await Server.hog(driver) } : nil
        await Caller.run(
          (0..<8).map {
            Caller($0, driver, ledger, closesAfter: closesAfter, expected: expected, seed: seed)
          }, calls: 8)
        await hog?.value
        killer?.cancel()
        await killer?.value
        await driver.close()
        let last = try Server.driver(server, database, clock: clock)
        try ledger.check(try await last.jobs(matching: JobQuery(limit: 10_000)))
        await last.close()
        await fresh.close()
        try await server.query("DROP DATABASE \(database)")
        return ledger.calls
      }
    }

    @Test func noWakeUpIsLost() async throws {
      let server = try await Server.one.value
      await interleavings("waking idle workers of a server", "wake-ups", seeds: 6) { seed, random in
        let (database, clock, runs) = (try await server.makeDatabase(), ManualClock(), Runs())
        let drivers = [
          try Server.driver(server, database, options: "pool=2"),
          try Server.driver(server, database, options: "pool=2"),
        ]
        try await drivers[0].connect()
        var options = WorkerOptions()
        options.concurrency = random.number(1...3)
        options.clock = clock
        options.logger = quiet
        let handler = JobHandler("a") { context in
          runs.begin(context.payload.name)
          runs.end(context.payload.name, completes: true)
        }
        let worker = try Worker(Queue(drivers[0]), handlers: [handler], options: options)
        let work = Task { try await worker.work() }
        await withTaskGroup(of: Void.self) { group in
          for caller in 0..<3 {
            let ways = (0..<4).map { _ in (random.number(0...1), random.number(0...30)) }
            group.addTask {
              for (index, (way, pause)) in ways.enumerated() {
                let name = "\(caller).\(index)"
                await giveWay(pause)
                do {
                  _ = try await drivers[way].insert([job(name)])
                } catch {
                  Issue.record("seed \(seed): \(error)")
                }
                await runs.begins(name)
              }
            }
          }
        }
        work.cancel()
        _ = try await work.value
        try runs.check()
        for driver in drivers { await driver.close() }
        try await server.query("DROP DATABASE \(database)")
        return 12
      }
    }
  }
}

private enum Server {
  /// It writes to the disk once a second only: the machine does not fail here.
  static let one = Task {
    try await MariaDBServer.start([
      "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
      "--sync-frm=0",
    ])
  }

  static func driver(
    _ server: MariaDBServer, _ database: String, options: String = "", clock: ManualClock? = nil,
    timeout: Duration = .seconds(30)
  ) throws -> MySQLDriver {
    let url = try DatabaseURL(parsing: server.url(database, options: options))
    guard case .mysql(let place) = url.place else { throw Wrong("no server") }
    return try MySQLDriver(
      place, timeout: timeout, clock: clock.map { clock in { @Sendable in clock.now().wall } },
      // The sanitizer, and threads that yield, delay a client for longer than the default.
      idleTransactionTimeout: .seconds(60))
  }

  /// Somebody who has a connection for longer than others wait for one.
  static func hog(_ driver: MySQLDriver) async {
    for _ in 0..<3 {
      // Closed meanwhile, or too late itself.
      try? await driver.pool.transact { transaction throws(QudoError) in
        _ = try transaction.connection.run("SELECT SLEEP(0.1)")
        try transaction.commit()
      }
    }
  }

  /// One after the other, until the task is cancelled.
  static func killConnections(_ server: MariaDBServer, _ database: String, seed: UInt64) async {
    var random = Seeded(seed: seed)
    while !Task.isCancelled {
      let ids =
        (try? await server.query("SELECT id FROM information_schema.processlist WHERE db = '\(database)'"))
        ?? []
      // It may be gone by then.
      if let id = ids.randomElement(using: &random) { _ = try? await server.query("KILL CONNECTION \(id)") }
    }
  }
}
#endif
