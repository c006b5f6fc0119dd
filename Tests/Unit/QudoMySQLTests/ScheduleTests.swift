#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Schedules while other sessions work, under stopped statements and lost answers, and what they cost.
@Suite struct ScheduleTests {
  private let start = Timestamp(microseconds: 1_700_000_000_000_000)

  private func check(_ database: TestDatabase) async throws {
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
  }

  private func schedule(_ name: String, version: Int64 = 0) -> StoredSchedule {
    var schedule = StoredSchedule(name: name, rule: "r", kind: "a", nextTick: start)
    schedule.version = version
    return schedule
  }

  private func tick(_ name: String, _ version: Int64, _ count: Int = 1, skipsOverlap: Bool = false)
    -> ScheduleTick
  {
    ScheduleTick(
      name: name, version: version, jobs: (0..<count).map { NewJob("a", payload: Payload("\(name) \($0)")) },
      tick: start, next: start.advanced(by: .seconds(60)), skipsOverlap: skipsOverlap)
  }

  // MARK: Other sessions

  @Test("a session that has locked the schedule is waited for, and what it wrote counts")
  func behindAnother() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    #expect(try await driver.store([schedule("s"), schedule("t")]) == [true, true])
    let session = try database.connection(commits: false)
    try session.run("SELECT name FROM qudo_schedule WHERE name = 's' FOR UPDATE")
    async let answer = driver.advance([tick("t", 1), tick("s", 1)])
    let waits =
      "SELECT 1 FROM information_schema.PROCESSLIST WHERE db = '\(database.name)' AND info LIKE '%qudo_schedule AS s%FOR UPDATE%' AND id <> CONNECTION_ID()"
    try await database.server.wait(for: waits)
    try session.run(["UPDATE qudo_schedule SET version = 2 WHERE name = 's'", "COMMIT"])
    let results = try await answer
    #expect(results[1] == .superseded)
    let jobs = try await driver.jobs(matching: JobQuery())
    #expect(results[0] == .enqueued(jobs.map(\.id)) && jobs.map(\.payload.bytes) == [Array("t 0".utf8)])
    #expect(try await driver.schedules(nil).map(\.lastJob) == [nil, jobs[0].id])
    await driver.close()
    try await database.drop()
  }

  @Test("ticks that enqueue the same unique keys in other orders get along") func besideEachOther()
    async throws
  {
    let database = try await TestDatabase()
    let drivers = try (0..<3).map { _ in try database.driver() }
    let names = (0..<12).map { "\($0)" }
    #expect(try await drivers[0].store(names.map { schedule($0) }) == names.map { _ in true })
    let start = start
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (number, driver) in drivers.enumerated() {
        group.addTask {
          for round in 0..<30 {
            let due = try await driver.schedules(number == 1 ? names.reversed() : names)
            let ticks = due.map { schedule in
              ScheduleTick(
                name: schedule.name, version: schedule.version,
                jobs: [
                  NewJob(
                    "a", unique: UniqueKey("\((round + number) % 5)", onConflict: .overwrite), due: .now),
                  NewJob("a", payload: Payload("\(schedule.name) \(schedule.version)")),
                ], tick: start, next: start, skipsOverlap: false)
            }
            _ = try await driver.advance(number == 2 ? ticks.reversed() : ticks)
          }
        }
      }
      try await group.waitForAll()
    }
    // Each version of a schedule enqueued its job once.
    let jobs = try await drivers[0].jobs(matching: JobQuery(limit: 9999)).filter { !$0.payload.bytes.isEmpty }
    let texts = jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) }
    let expected = try await drivers[0].schedules(nil).flatMap { schedule in
      (1..<schedule.version).map { "\(schedule.name) \($0)" }
    }
    #expect(texts.sorted() == expected.sorted() && texts.count >= 30 * 12)
    try await check(database)
    for driver in drivers { await driver.close() }
    try await database.drop()
  }

  // MARK: Lost answers and stopped statements

  /// Fails as if the server had been told to stop it.
  private static let stopped = "SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1317, MESSAGE_TEXT = 'stopped'"

  @Test("a COMMIT that was done and whose answer is lost is not done again, and its answer is known")
  func lostAnswers() async throws {
    let database = try await TestDatabase()
    let (isArmed, met) = (Locked(false), Locked(0))
    let driver = try database.driver(
      options: "pool=1",
      replacing: { statement in
        guard statement.text == "COMMIT",
          isArmed.withLock({ isArmed in
            defer { isArmed = false }
            return isArmed
          })
        else { return statement.bytes }
        met.withLock { $0 += 1 }
        return statement.bytes + Array("; \(Self.stopped)".utf8)
      })
    // Makes the kind.
    let held = try await driver.insert([NewJob("a", payload: Payload("held"), unique: "k")])[0].id
    func losing<Result>(_ body: () async throws -> Result) async throws -> Result {
      isArmed.withLock { $0 = true }
      defer { #expect(!isArmed.withLock { $0 }) }
      return try await body()
    }
    let stored = try await losing {
      try await driver.store([schedule("s"), schedule("t", version: 3), schedule("u")])
    }
    #expect(stored == [true, false, true])
    #expect(try await driver.schedules(nil).map(\.version) == [1, 1])
    var keyed = tick("u", 1)
    keyed.jobs.append(NewJob("a", unique: "k"))
    let results = try await losing {
      try await driver.advance([tick("s", 1, 3), tick("t", 1), keyed, tick("s", 2, 2, skipsOverlap: true)])
    }
    let ids = try await driver.jobs(matching: JobQuery()).map(\.id).filter { $0 != held }
    #expect(
      results == [
        .enqueued(Array(ids.prefix(3))), .superseded, .enqueued([ids[3], held]), .overlapped,
      ])
    #expect(ids.count == 4)
    let schedules = try await driver.schedules(nil)
    #expect(schedules.map(\.version) == [3, 2] && schedules.map(\.lastJob) == [ids[2], held])
    #expect(try await losing { try await driver.advance([tick("s", 3, 0)]) } == [.enqueued([])])
    #expect(try await losing { try await driver.removeSchedules(["u", "t"]) } == [true, false])
    #expect(try await driver.schedules(nil).map(\.name) == ["s"])
    #expect(met.withLock { $0 } == 4)
    try await check(database)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "a verb of which a statement finds nothing is not committed, or is made up for",
    arguments: [
      "UPDATE qudo_schedule", "DELETE FROM qudo_schedule", "SELECT s.name, s.version",
      "SELECT s.name, s.rule",
      "SELECT COUNT", "SELECT COALESCE(MIN(next_tick)",
    ])
  func shortStatement(_ beginning: String) async throws {
    let database = try await TestDatabase()
    let met = Locked(0)
    let driver = try database.driver(
      options: "pool=1", clock: { [start] in start },
      replacing: { statement in
        let text = statement.text.replacing("\nWHERE ", with: " WHERE ")
        guard statement.text.contains("qudo_schedule"), text.contains(beginning) else {
          return statement.bytes
        }
        let short: String
        if beginning == "SELECT COUNT" {
          short = text.replacing("SELECT COUNT(*)", with: "SELECT NULLIF(COUNT(*), COUNT(*))")
        } else if beginning.hasPrefix("SELECT COALESCE") {
          // LEAST of NULL and anything is NULL.
          short = text.replacing("COALESCE(MIN(next_tick), ", with: "LEAST(MIN(next_tick), NULL, ")
        } else if let place = text.ranges(of: " WHERE ").last, text.hasPrefix(beginning) {
          short = "\(text[..<place.lowerBound]) WHERE 0 AND \(text[place.upperBound...])"
        } else {
          return statement.bytes
        }
        guard
          met.withLock({
            $0 += 1; return $0 % (beginning.hasPrefix("UPDATE") ? 17 : 3) == 1
          })
        else { return statement.bytes }
        return Array(short.utf8)
      })
    let names = (0..<6).map { "\($0)" }
    for round in 0..<4 {
      #expect(try await driver.store(names.map { schedule($0) }) == names.map { _ in true })
      #expect(try await driver.store(names.map { schedule($0, version: 1) }) == names.map { _ in true })
      let due = try await driver.dueSchedules(after: nil, limit: 9)
      #expect(due.due.map(\.name) == names && due.next == nil)
      #expect(try await driver.schedules(["2", "x"]).map(\.version) == [2])
      let first = try await driver.advance(names.map { tick($0, 2, skipsOverlap: true) })
      let ids = try await driver.jobs(matching: JobQuery(limit: 100)).map(\.id).suffix(6)
      #expect(first == ids.map { .enqueued([$0]) })
      #expect(
        try await driver.advance(names.map { tick($0, 3, skipsOverlap: true) })
          == names.map { _ in .overlapped })
      #expect(try await driver.dueSchedules(after: nil, limit: 9).next == start.advanced(by: .seconds(60)))
      #expect(try await driver.schedules(nil).map(\.version) == names.map { _ in 4 })
      #expect(try await driver.removeSchedules(names) == names.map { _ in true })
      #expect(try await driver.count() == [JobCount("a", ready: 6 * (round + 1))])
      try await check(database)
    }
    #expect(met.withLock { $0 } > 2, "there was none of these statements")
    await driver.close()
    try await database.drop()
  }

  // MARK: Cost

  @Test("many ticks take a few round trips, and other verbs do not know of schedules") func cost()
    async throws
  {
    let database = try await TestDatabase()
    let texts = Locked<[String]>([])
    let driver = try database.driver(
      options: "pool=1", trustsIdle: .seconds(3600),
      observer: { statement in texts.withLock { $0.append(statement.text) } })
    let names = (1000..<1200).map { "\($0)" }
    _ = try await driver.insert([NewJob("a")])
    var trips: [Int] = []
    func count<Result>(_ body: () async throws -> Result) async throws -> Result {
      let before = driver.roundTrips
      defer { trips.append(driver.roundTrips - before) }
      return try await body()
    }
    #expect(try await count { try await driver.store(names.map { schedule($0) }) } == names.map { _ in true })
    #expect(try await count { try await driver.dueSchedules(after: nil, limit: 999) }.due.count == 200)
    let results = try await count { try await driver.advance(names.map { tick($0, 1, 2) }) }
    #expect(Set(results).count == 200)
    #expect(try await count { try await driver.advance([tick(names[0], 2, 0)]) } == [.enqueued([])])
    #expect(try await count { try await driver.removeSchedules(names) } == names.map { _ in true })
    // Lock, then write; and between them the insert, whose numbers the schedules store.
    #expect(trips == [2, 1, 3, 2, 2])
    texts.withLock { $0 = [] }
    _ = try await driver.insert([NewJob("a"), NewJob("a", unique: "k")])
    let jobs = try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs
    _ = try await driver.renew(jobs.map(\.lease), for: .seconds(9))
    _ = try await driver.settle(
      jobs.enumerated().map { Settlement($1.lease, $0 == 0 ? .failed(message: "") : .completed()) },
      claiming: ClaimRequest([.init("a")], limit: 9))
    _ = try await driver.promote(limit: 9)
    #expect(texts.withLock { $0.filter { $0.contains("qudo_schedule") } } == [])
    await driver.close()
    try await database.drop()
  }

  @Test("a schedule that the server has no room for is refused") func packet() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver(
      limits: {
        var limits = Limits(); limits.payloadBytes = 1 << 30; return limits
      }())
    try await driver.connect()
    let facts = try #require(driver.facts)
    var large = schedule("large")
    large.payload = Payload(Array(repeating: 1, count: facts.longestPacket / 2))
    await #expect {
      try await driver.store([schedule("s"), large])
    } throws: { error in
      (error as? QudoError)?.code == .invalidArgument && "\(error)".contains("max_allowed_packet")
    }
    #expect(try await driver.schedules(nil) == [])
    await driver.close()
    try await database.drop()
  }
}
#endif
