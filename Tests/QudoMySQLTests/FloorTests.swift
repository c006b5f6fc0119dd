#if MySQL
@testable import QudoMySQL
import Qudo
import Testing

@Suite struct FloorTests {
  private let long = Floors.slow + .milliseconds(1)
  private let start = ContinuousClock.now
  private func key(_ id: Int64, ranking: Int64 = 0) -> Floors.Key { Floors.Key(ranking: ranking, due: 10 * id, id: id) }

  private func slowFloors() -> Floors {
    var floors = Floors()
    for id in 1...2 { floors.claimed(from: floors.view(start), took: long, time: 100, last: [1: key(Int64(id))]) }
    return floors
  }

  @Test func quickClaimsReadFromTheBeginning() {
    var floors = Floors()
    for _ in 0..<9 {
      let view = floors.view(start)
      #expect(view.isWhole)
      floors.claimed(from: view, took: .milliseconds(1), time: 100, last: [1: key(5)])
    }
    // One slow one may be by chance.
    floors.claimed(from: floors.view(start), took: long, time: 100, last: [1: key(6)])
    let after = floors.view(start)
    #expect(after.isWhole)
  }

  @Test func slowOnesGoOnWhereTheyCameToAndLookBackInTime() {
    var floors = slowFloors()
    let view = floors.view(start)
    #expect(!view.isWhole)
    #expect(view.ready(1).text.contains("id >= 2"))
    #expect(view.ready(2).isEmpty)
    #expect(view.times("due").text == "due >= 100 AND")
    floors.claimed(from: view, took: .zero, time: 120, last: [1: key(9), 2: key(1)])
    // One that began earlier does not set it back.
    floors.claimed(from: view, took: .zero, time: nil, last: [1: key(4)])
    let next = floors.view(start)
    #expect(next.ready(1).text.contains("id >= 9"))
    #expect(next.ready(2).text.contains("id >= 1"))
    #expect(next.next.text.contains("ends >= 120"))
    let whole = floors.view(start + Floors.pause(after: long))
    #expect(whole.isWhole)
    floors.claimed(from: whole, took: .milliseconds(1), time: 130, last: [1: key(10)])
    let quick = floors.view(start + Floors.pause(after: long))
    #expect(quick.isWhole, "it is quick again")
  }

  @Test func theLongerAWholeReadTakesTheMoreSeldomItIsDone() {
    #expect(Floors.pause(after: .milliseconds(5)) == .seconds(2))
    #expect(Floors.pause(after: .milliseconds(500)) == .seconds(10))
    #expect(Floors.pause(after: .seconds(9)) == .seconds(20))
    var floors = slowFloors()
    let half = Floors.pause(after: long) / 2
    let (early, late, again) = (floors.mayScan(start + half - .milliseconds(1)), floors.mayScan(start + half), floors.mayScan(start + half))
    #expect(!early && late && !again)
  }

  @Test func aClaimThatFindsNothingLooksFromTheBeginningAtOnce() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    _ = try await driver.insert((0..<20).map { _ in NewJob("a") })
    let far = Floors.Key(ranking: 0, due: .max - 1, id: 1)
    driver.pool.access.floors.withLock { floors in
      for _ in 0..<2 { floors.claimed(from: floors.view(.now), took: .seconds(1), time: nil, last: [1: far]) }
    }
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 10)).jobs.map(\.id) == Array(1...10))
    // So it is with when the next one is due, after the server's clock was set back.
    _ = try await driver.insert([NewJob("b", due: .after(.seconds(60)))])
    driver.pool.access.floors.withLock { floors in
      for _ in 0..<2 { floors.claimed(from: floors.view(.now), took: .seconds(1), time: .max / 2, last: [1: far]) }
    }
    #expect(try await driver.claim(ClaimRequest([.init("b")], limit: 10)).nextDue != nil)
    await driver.close()
    try await database.drop()
  }

  @Test func jobsOfOnesOwnThatLieBeforeItAreFound() {
    for (ranking, isOld, isFound) in [(-1, false, true), (0, true, true), (0, false, false), (1, false, false)] as [(Int64, Bool, Bool)] {
      var floors = slowFloors()
      floors.entered(entries((1, ranking, isOld)))
      let view = floors.view(start)
      #expect(view.ready(1).isEmpty == isFound)
    }
  }

  private func entries(_ jobs: (kind: Int64, ranking: Int64, isOld: Bool)...) -> Floors.Entries {
    var entries = Floors.Entries()
    for job in jobs { entries.add(job.kind, ranking: job.ranking, isOld: job.isOld) }
    return entries
  }

  @Test func theBestOfSeveralThatEnterCounts() {
    for jobs in [[(0, false), (-1, false)], [(-1, false), (0, false)], [(0, true), (5, false)], [(5, false), (0, true)]] as [[(Int64, Bool)]] {
      var (floors, entries) = (slowFloors(), Floors.Entries())
      for (ranking, isOld) in jobs { entries.add(1, ranking: ranking, isOld: isOld) }
      floors.entered(entries)
      let view = floors.view(start)
      #expect(view.ready(1).isEmpty)
    }
  }

  /// Its claim did not see them, as they were not committed yet.
  @Test func jobsThatEnterWhileAnotherClaimReadsAreNotPassedOver() {
    var floors = slowFloors()
    floors.claimed(from: floors.view(start), took: .zero, time: nil, last: [1: key(2), 2: key(2)])
    let view = floors.view(start)
    floors.entered(entries((1, -1, false)))
    floors.claimed(from: view, took: .zero, time: nil, last: [1: key(9), 2: key(9)])
    var next = floors.view(start)
    #expect(next.ready(1).isEmpty)
    #expect(next.ready(2).text.contains("id >= 9"))
    floors.claimed(from: next, took: .zero, time: nil, last: [1: key(10)])
    next = floors.view(start)
    #expect(next.ready(1).text.contains("id >= 10"))
  }

  /// What lies before the floor is read from the index's own place.
  @Test func theFloorIsLookedUpInTheIndexAndWhatIsMissedIsFound() async throws {
    let database = try await TestDatabase()
    let driver = try database.driver()
    _ = try await driver.insert((0..<3000).map { NewJob("a", payload: Payload("\($0)")) })
    let want = ClaimRequest([.init("a")], limit: 10)
    let slow = Duration.seconds(1)
    _ = try await driver.claim(ClaimRequest([.init("a")], limit: 1000))
    let connection = try database.connection()
    let row = try #require(try connection.run("SELECT ranking, due, id FROM qudo_ready ORDER BY id LIMIT 1").rows?.next())
    let key = Floors.Key(ranking: row.integer(0), due: row.integer(1), id: row.integer(2))
    driver.pool.access.floors.withLock { floors in
      for _ in 0..<2 { floors.claimed(from: floors.view(.now - .seconds(11)), took: slow, time: 100, last: [1: key]) }
    }
    #expect(try await driver.claim(want).jobs.map(\.id) == Array(1001...1010))
    #expect(try await driver.claim(want).jobs.map(\.id) == Array(1011...1020))

    var floors = Floors()
    for _ in 0..<2 { floors.claimed(from: floors.view(.now), took: slow, time: 100, last: [1: key]) }
    let view = floors.view(.now)
    let sql = try #require(ClaimReading.ready([ClaimableKind(ability: .init("a"), number: 1)], 10, from: view))
    try connection.run("ANALYZE TABLE qudo_ready")
    let plan = try #require(try connection.run("EXPLAIN \(sql)").rows?.next())
    #expect(plan.text(3) == "range")
    #expect(plan.text(6) == "28", "all four columns are looked up")
    #expect(!plan.text(9).contains("filesort"))

    // Another process has a job before the floor: whoever finds less than it wants looks from the beginning.
    let other = try database.driver()
    _ = try await other.insert([NewJob("a", priority: 9)])
    #expect(try await driver.claim(ClaimRequest([.init("a")], limit: 3000)).jobs.first?.priority == 9)
    for one in [driver, other] { await one.close() }
    try await database.drop()
  }
}
#endif
