#if MySQL
import Foundation
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct WatchTests {
  @Test func itLooksLongerAtATimeWhileNothingHappens() {
    var memory = WatchMemory()
    var lengths: [Duration] = []
    for _ in 0..<6 {
      lengths.append(memory.length)
      let rings = memory.note(.nothing)
      #expect(!rings && memory.pause == .zero)
    }
    #expect(lengths == [.seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(15), .seconds(15)])
    let rings = memory.note(.found(step: 7))
    #expect(rings && memory.length == .seconds(1) && memory.pause == .zero)
  }

  /// A row that a session has locked which is gone, say: it rings for that every second at least.
  @Test("Rows that are found and not claimed are asked for more and more seldom")
  func unclaimableRowsAreWatchedLessOften() {
    var memory = WatchMemory()
    var pauses: [Duration] = []
    for _ in 0..<9 {
      let rings = memory.note(.found(step: 1))
      #expect(rings)
      pauses.append(memory.pause)
    }
    #expect(pauses.prefix(3) == [.milliseconds(20), .milliseconds(40), .milliseconds(80)])
    #expect(pauses.last == .seconds(1))
    _ = memory.note(.nothing)
    #expect(memory.pause == .zero)
    let whenStopped = memory.note(.stopped)
    #expect(whenStopped && memory.pause == .seconds(1), "nobody knows what is there")
  }

  @Test func itRingsWhenTheServerIsBack() {
    var memory = WatchMemory()
    let rings = [WatchMemory.Outcome.lost, .lost, .nothing, .nothing].map { memory.note($0) }
    #expect(rings == [false, false, true, false])
  }

  @Test func kindsThatNobodyMissesAreNotLookedFor() {
    var memory = WatchMemory()
    #expect(memory.wanted.isEmpty)
    memory.missed(["a", "b"])
    _ = memory.note(.found(step: 3))
    memory.missed(["b"])
    #expect(memory.wanted == ["a", "b"])
    _ = memory.note(.found(step: 1))
    #expect(memory.wanted == ["b"])
    for _ in 0..<3 { _ = memory.note(.found(step: 1)) }
    #expect(memory.wanted == ["b"], "nobody has claimed since")
  }

  @Test func whoListensHearsOfAnotherProcesssJob() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    var heard = rings.makeAsyncIterator()
    for number in 0..<3 {
      _ = try await there.insert([NewJob("a", payload: Payload("\(number)"))])
      await heard.next()
      #expect(try await here.claim(ClaimRequest([.init("a")], limit: 5)).jobs.count == 1)
    }
    here.doorbell.stopListening(id)
    await here.close()
    await there.close()
    try await database.drop()
  }

  /// The statement's rows are joined once and its subqueries not: a kind that it looked up at its beginning would be unknown forever.
  @Test("a kind that is made while a statement looks is seen by it", .timeLimit(.minutes(5))) func newKind()
    async throws
  {
    let database = try await TestDatabase()
    let driver = try database.driver()
    try await driver.connect()
    let statement = WatchLook(
      ["new"], driver.pool.access.kinds, length: .seconds(15), time: Transaction.serverTime
    ).statement
    let look = Task {
      try await withCheckedThrowingContinuation { (answer: CheckedContinuation<Bool, any Error>) in
        Thread.detachNewThread {
          answer.resume(
            with: Result {
              let connection = try database.connection()
              try connection.run("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
              return try connection.run(statement).rows?.next() != nil
            })
        }
      }
    }
    let looks =
      "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE db = DATABASE() AND command = 'Query' AND info LIKE '%SLEEP(%' AND id <> CONNECTION_ID()"
    try await database.server.wait(for: looks, in: database.name) { $0 == ["1"] }
    _ = try await driver.insert([NewJob("new")])
    #expect(try await look.value, "it has come to its end")
    await driver.close()
    try await database.drop()
  }

  @Test("a kind at its maximum of running jobs hides no other one, and is found when one of them has ended")
  func fullKind() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let want = ClaimRequest([.init("a", maxRunning: 1), .init("b")], limit: 5)
    _ = try await there.insert([NewJob("a"), NewJob("a"), NewJob("b")])
    let held = try await there.claim(want).jobs
    #expect(held.map(\.kind) == ["a", "b"])
    #expect(try await here.claim(want).jobs.isEmpty)
    let connection = try database.connection()
    /// The step at which a look finds something.
    func step(_ steps: Int) throws -> Int64? {
      let look = WatchLook(
        ["a", "b"], here.pool.access.kinds, length: WatchMemory.step * steps, time: Transaction.serverTime)
      return try connection.run(look.statement).rows?.next()?.integer(0)
    }
    #expect(try step(25) == nil)
    _ = try await there.insert([NewJob("b")])
    #expect(try step(25) == 1)
    #expect(try await here.claim(want).jobs.map(\.kind) == ["b"])
    _ = try await there.settle([Settlement(held[0].lease, .completed())], claiming: nil)
    #expect(try step(25) == 10)
    #expect(try step(4) == 4, "a look of fewer steps")
    await here.close()
    await there.close()
    try await database.drop()
  }

  @Test("a look waits for the next token of a kind whose rate is used up, and then looks for its jobs")
  func usedUpRate() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    func want(_ rate: RateLimit) -> ClaimRequest {
      ClaimRequest([.init("a", rate: rate), .init("b")], limit: 5)
    }
    let slow = want(RateLimit(1, per: .seconds(3600)))
    _ = try await there.insert([NewJob("a"), NewJob("a"), NewJob("a")])
    #expect(try await here.claim(slow).jobs.count == 1)
    let connection = try database.connection()
    /// The step at which a look finds something.
    func step(_ steps: Int, in length: Duration = .zero) throws -> Int64? {
      let look = WatchLook(
        ["a", "b"], here.pool.access.kinds, length: WatchMemory.step * steps,
        time: "\(Transaction.serverTime) + \(length.wholeMicroseconds)")
      return try connection.run(look.statement).rows?.next()?.integer(0)
    }
    #expect(try step(10) == nil, "of a kind that may begin nothing")
    #expect(try step(10, in: .seconds(3600)) == 1, "once its token is there")
    _ = try await there.insert([NewJob("b")])
    #expect(try step(10) == 1, "of another kind")
    #expect(try await here.claim(slow).jobs.map(\.kind) == ["b"])
    // Another worker without a rate: its claim forgets it.
    #expect(try await here.claim(ClaimRequest([.init("a")], limit: 1)).jobs.count == 1)
    #expect(try step(10) == 1)
    await here.close()
    await there.close()
    try await database.drop()
  }

  /// No id is new then: whoever asked for the highest one would not hear of it.
  @Test func aJobThatIsGivenBackOrCommittedLateIsHeardOf() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    let ids = try await there.insert([NewJob("a"), NewJob("a")]).map(\.id)
    let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 5)
    let leases = try await there.claim(want).jobs.map(\.lease)
    let late = try database.connection(commits: false)
    try late.run([
      "INSERT INTO qudo_job(kind, ranking, due, enqueued, payload) VALUES(1, 0, 5, 5, '')",
      "INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES(1, 0, 5, LAST_INSERT_ID(), 0)",
    ])
    let newest = try await there.insert([NewJob("a")]).map(\.id)
    #expect(try await here.claim(want).jobs.map(\.id) == newest)

    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    func next() async throws -> [Int64] {
      for await _ in rings {
        let jobs = try await here.claim(want).jobs
        if !jobs.isEmpty { return jobs.map(\.id) }
      }
      return []
    }
    _ = try await there.release([leases[0]])
    #expect(try await next() == [ids[0]])
    try late.run("COMMIT")
    #expect(try await next() == [newest[0] - 1])
    // A row that a session has locked that goes.
    let other = try database.connection(commits: false)
    try other.run("UPDATE qudo_running SET ends = 7 WHERE id = \(ids[1])")
    try other.run("COMMIT")
    #expect(try await next() == [ids[1]])
    here.doorbell.stopListening(id)
    for driver in [here, there] { await driver.close() }
    try await database.drop()
  }

  /// A worker that waits for one kind is not woken forever by jobs of another one.
  @Test func itRingsForWhatWasMissedAndNotForOtherKinds() async throws {
    let database = try await TestDatabase()
    let (here, there) = (try database.driver(), try database.driver())
    _ = try await there.insert([NewJob("b")])
    let want = ClaimRequest([.init("a")], limit: 5)
    #expect(try await here.claim(want).jobs.isEmpty)
    let (rings, signal) = AsyncStream<Void>.makeStream()
    let id = here.doorbell.listen { signal.yield() }
    // The kind is not known yet: it looks for its name.
    let looks =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE 'WITH RECURSIVE s%qudo_kind%'"
    try await database.server.wait(for: looks)
    #expect(here.doorbell.rings == 0)
    let inserted = try await there.insert([NewJob("a")])
    for await _ in rings { break }
    #expect(try await here.claim(want).jobs.map(\.id) == inserted.map(\.id))
    here.doorbell.stopListening(id)
    for driver in [here, there] { await driver.close() }
    try await database.drop()
  }

  @Test func anIdleDriverAsksOnceInAWhile() async throws {
    let server = try await MariaDBServer.start()
    let database = try await TestDatabase(on: server)
    let driver = try database.driver()
    _ = try await driver.claim(ClaimRequest([.init("a")], limit: 5))
    let id = driver.doorbell.listen {}
    func count(_ name: String) async throws -> Int {
      let line = try await server.query("SHOW GLOBAL STATUS LIKE '\(name)'").first ?? ""
      return Int(line.split(separator: "\t").last ?? "") ?? 0
    }
    // It looks while a statement of its own is on its way: what is counted between two looks at the counter is that, and the other look.
    try await server.wait(
      for: "SELECT 1 FROM information_schema.PROCESSLIST WHERE info LIKE 'WITH RECURSIVE s%'")
    let before = try await count("Questions")
    for _ in 0..<20 { _ = try await server.query("SELECT SLEEP(0.05)") }
    let asked = try await count("Questions") - before
    // Of each client program's own the client asks for a name or so as well.
    #expect(asked <= 20 * 3 + 6)
    driver.doorbell.stopListening(id)
    await driver.close()
    #expect(
      try await server.query(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND command = 'Sleep'"
      ) == ["0"])
  }
}
#endif
