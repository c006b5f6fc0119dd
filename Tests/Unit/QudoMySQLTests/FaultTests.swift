#if MySQL
import Dispatch
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Connections and servers that are lost in the midst of things.
@Suite struct FaultTests {
  /// The server's clock goes on, however long a test takes.
  private let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)

  /// What was acknowledged, and what may be there.
  private struct Tally {
    var inserted: Set<String> = []
    var unknown: Set<String> = []
    var codes: Set<QudoError.Code> = []

    mutating func add(_ text: String, _ error: QudoError?) {
      guard let error else { inserted.insert(text); return }
      codes.insert(error.code)
      if error.code == .outcomeUnknown { unknown.insert(text) }
    }
  }

  private func insert(_ text: String, _ driver: MySQLDriver) async -> QudoError? {
    do throws(QudoError) {
      _ = try await driver.insert([NewJob("a", payload: Payload(text))])
      return nil
    } catch {
      return error
    }
  }

  private func check(_ tally: Tally, _ driver: MySQLDriver) async throws {
    let found = try await driver.jobs(matching: JobQuery(limit: 100_000)).map {
      String(decoding: $0.payload.bytes, as: UTF8.self)
    }
    #expect(Set(found).count == found.count, "each once")
    #expect(tally.inserted.subtracting(found).isEmpty, "what was acknowledged is there")
    #expect(
      Set(found).subtracting(tally.inserted).isSubset(of: tally.unknown), "and else only what may be there")
    #expect(tally.codes.isSubset(of: [.unreachable, .outcomeUnknown]))
    #expect(
      try await driver.count(["a"]).map(\.ready) == (found.isEmpty ? [] : [found.count]), "in its place")
  }

  private static let kill = """
    SELECT CONCAT('KILL CONNECTION ', id) FROM information_schema.PROCESSLIST WHERE user = 'qudo'
    """

  @Test("Killed connections lose nothing that was acknowledged")
  func killedConnectionsLoseNothing() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver()
    try await driver.connect()
    let inserted = Locked(0)
    let killer = Task {
      // As often as it takes, on however slow a machine, that much comes through in between.
      var kills = 0
      while kills < 25 || inserted.withLock({ $0 }) <= 50 {
        kills += 1
        let statements = try await server.query(Self.kill).joined(separator: ";\n")
        // One that has gone by itself is no matter.
        if !statements.isEmpty { _ = try? await server.query(statements) }
      }
    }
    let done = Locked(false)
    let tally = await withTaskGroup(of: Tally.self) { group in
      for worker in 0..<6 {
        group.addTask {
          var tally = Tally()
          var number = 0
          while !done.withLock({ $0 }) {
            number += 1
            let error = await insert("\(worker)-\(number)", driver)
            tally.add("\(worker)-\(number)", error)
            if error == nil { inserted.withLock { $0 += 1 } }
          }
          return tally
        }
      }
      _ = await killer.result
      done.withLock { $0 = true }
      return await group.reduce(into: Tally()) { sum, tally in
        sum.inserted.formUnion(tally.inserted)
        sum.unknown.formUnion(tally.unknown)
        sum.codes.formUnion(tally.codes)
      }
    }
    _ = try await killer.value
    #expect(tally.inserted.count > 50)
    try await check(tally, driver)
    await driver.close()
  }

  @Test func aConnectionThatWasKilledWhileIdleIsReplaced() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver(options: "pool=1")
    _ = try await driver.insert([NewJob("a")])
    let lease = try await driver.claim(want).jobs[0].lease
    try await server.query(try await server.query(Self.kill).joined(separator: ";"))
    #expect(
      try await driver.settle([Settlement(lease, .completed())], claiming: want).results == [.settled()])
    try await server.query(try await server.query(Self.kill).joined(separator: ";"))
    #expect(try await driver.count() == [])
    await driver.close()
  }

  @Test("A server that is killed during commits keeps acknowledged jobs")
  func killedServerKeepsAcknowledgedJobs() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver()
    var all = Tally()
    for round in 0..<3 {
      try await driver.connect()
      let tally = Locked(Tally())
      try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in 0..<4 {
          group.addTask {
            for number in 0..<100_000 {
              let text = "\(round)-\(worker)-\(number)"
              let error = await insert(text, driver)
              tally.withLock { $0.add(text, error) }
              if error != nil { return }
            }
          }
        }
        group.addTask {
          while tally.withLock({ $0.inserted.count }) < 50 { try await Task.sleep(for: .milliseconds(5)) }
          server.kill()
        }
        try await group.waitForAll()
      }
      all = tally.withLock { tally in
        all.inserted.formUnion(tally.inserted)
        all.unknown.formUnion(tally.unknown)
        all.codes.formUnion(tally.codes)
        return all
      }
      try await server.start()
      try await check(all, driver)
    }
    await driver.close()
  }

  @Test("A call leaves a server that does not answer after the timeout")
  func silentServerIsLeftAfterTheTimeout() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver(
      options: "read-timeout=1s&connect-timeout=1s&pool=1")
    _ = try await driver.insert([NewJob("a")])
    server.pause()
    let error = await #expect(throws: QudoError.self) { try await driver.claim(want) }
    #expect(error?.code == .unreachable)
    server.resume()
    #expect(try await driver.claim(want).jobs.count == 1)
    await driver.close()
  }

  @Test func idsAreNotReusedAfterARestartOfTheServer() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver()
    var last: Int64 = 0
    for isKilled in [false, true, false] {
      let ids = try await driver.insert([NewJob("a"), NewJob("a")]).map(\.id)
      #expect(ids[0] > last)
      last = ids[1]
      let jobs = try await driver.claim(want).jobs
      _ = try await driver.settle(
        jobs.map { Settlement($0.lease, .failed(message: ""), recording: .zero) }, claiming: nil)
      #expect(try await driver.prune(PruneOptions()) == 4)
      if isKilled { server.kill() } else { try await server.stop() }
      try await server.start()
    }
    #expect(try await driver.failures(LogQuery()) == [])
    await driver.close()
  }

  @Test func aRestartOfTheServerEndsNoLease() async throws {
    let server = try await MariaDBServer.start()
    let driver = try await TestDatabase(on: server).driver()
    _ = try await driver.insert([NewJob("a")])
    let lease = try await driver.claim(want).jobs[0].lease
    try await server.stop()
    try await server.start()
    #expect(try await driver.claim(want).jobs.isEmpty)
    #expect(try await driver.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()])
    await driver.close()
  }

  @Test("A session that holds a row makes others busy after the timeout")
  func heldRowMakesOthersBusy() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "read-timeout=60s", timeout: .seconds(1))
    _ = try await driver.insert([NewJob("a"), NewJob("a")])
    let leases = try await driver.claim(want).jobs.map(\.lease)
    let other = try database.connection()
    try other.run("START TRANSACTION")
    try other.run("SELECT id FROM qudo_running WHERE id = \(leases[0].job) FOR UPDATE")
    // A claim goes round it, a settle of that job cannot.
    #expect(try await driver.claim(want).jobs.isEmpty)
    let error = await #expect(throws: QudoError.self) {
      try await driver.settle([Settlement(leases[0], .completed())], claiming: nil)
    }
    #expect(error?.code == .busy)
    #expect(
      try await driver.settle([Settlement(leases[1], .completed())], claiming: nil).results == [.settled()])
    try other.run("ROLLBACK")
    #expect(
      try await driver.settle([Settlement(leases[0], .completed())], claiming: nil).results == [.settled()])
    await driver.close()
    try await database.drop()
  }

  @Test("If no connection is free, a call fails after the timeout and says so")
  func noFreeConnectionTimesOut() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(options: "pool=1", timeout: .milliseconds(200))
    try await driver.connect()
    let (started, signal) = AsyncStream<Void>.makeStream()
    let isRefused = DispatchSemaphore(value: 0)
    async let slow: Void = driver.pool.transact { transaction throws(QudoError) in
      signal.finish()
      isRefused.wait()
      try transaction.commit()
    }
    for await _ in started {}
    let error = await #expect(throws: QudoError.self) { try await driver.count() }
    #expect(error?.code == .busy)
    #expect(error?.message.contains("all 1 connections") == true)
    isRefused.signal()
    _ = try await slow
    #expect(try await driver.count() == [])
    await driver.close()
    try await database.drop()
  }
}
#endif
