import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Jobs that share a row of the ready or of the running, of which some go another way than the others.
@Suite struct RangeTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func fill(_ numbers: ClosedRange<Int> = 1...10) async throws {
    _ = try await driver.insert(numbers.map { job("\($0)") })
  }

  private func claimed(_ limit: Int = 10) async throws -> [Lease] {
    try await driver.claim(demand(limit)).jobs.map(\.lease)
  }

  private var ready: [String] {
    get throws { try file.rows("SELECT first, last FROM qudo_ready ORDER BY rank, due, last") }
  }
  private var running: [String] {
    get throws { try file.rows("SELECT first, last FROM qudo_running ORDER BY last") }
  }

  private func settle(_ leases: [Lease], _ outcome: Settlement.Outcome = .completed()) async throws
    -> [SettleResult]
  {
    try await driver.settle(leases.map { Settlement($0, outcome) }, claiming: nil).results
  }

  @Test func aBatchHasOneRowAndEachClaimTakesFromItsFront() async throws {
    try await fill()
    #expect(try ready == ["1|10"])
    #expect(try await driver.claim(demand(3)).texts == ["1", "2", "3"])
    #expect(try await driver.claim(demand(1)).texts == ["4"])
    #expect(try ready == ["5|10"] && running == ["1|3", "4|4"])
    #expect(try await driver.claim(demand()).texts == (5...10).map { "\($0)" })
    #expect(try ready == [] && running == ["1|3", "4|4", "5|10"])
    #expect(try await driver.claim(demand()).texts == [])
  }

  @Test func callersThatShareACommitShareARow() async throws {
    try await driver.writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      for number in 1...8 { _ = try transaction.insert([job("\(number)")]) }
      _ = try transaction.insert([job("9", priority: 1), job("10")])
    }
    #expect(try ready == ["9|9", "1|8", "10|10"])
    #expect(try await driver.claim(demand()).texts == ["9", "1", "2", "3", "4", "5", "6", "7", "8", "10"])
    #expect(try running == ["1|8", "9|9", "10|10"])
  }

  @Test(arguments: [
    ([1], ["2|10"]), ([10], ["1|9"]), ([5], ["1|4", "6|10"]), ([1, 2, 3], ["4|10"]), ([8, 9, 10], ["1|7"]),
    ([4, 5, 6], ["1|3", "7|10"]),
    ([7, 3, 5, 4], ["1|2", "6|6", "8|10"]), ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], []),
    ([2, 4, 6, 8, 10], ["1|1", "3|3", "5|5", "7|7", "9|9"]),
  ])
  func whateverIsSettledTheOthersRunOn(settled: [Int], left: [String]) async throws {
    try await fill()
    let leases = try await claimed()
    #expect(try await settle(settled.map { leases[$0 - 1] }) == settled.map { _ in .settled() })
    #expect(try running == left)
    #expect(
      try await driver.jobs(matching: JobQuery()).map(\.id) == (1...10).filter { !settled.contains(Int($0)) })
    #expect(try await settle(leases) == (1...10).map { settled.contains($0) ? .leaseLost : .settled() })
    #expect(try running == [] && file.rows("SELECT count(*) FROM qudo_job") == ["0"])
  }

  @Test func aLeaseThatComesTwiceInACallIsGoodOnce() async throws {
    try await fill(1...3)
    let leases = try await claimed()
    #expect(
      try await settle([leases[1], leases[0], leases[1], leases[2]]) == [
        .settled(), .settled(), .leaseLost, .settled(),
      ])
  }

  @Test func outcomesOfAllSortsAreWrittenInTheirOrder() async throws {
    _ = try await driver.insert((1...6).map { job("\($0)", unique: UniqueKey("\($0)")) })
    let leases = try await claimed()
    let next = job("next", unique: UniqueKey("2", onConflict: .keep))
    let outcomes: [Settlement.Outcome] = [
      .completed(replacements: [next]), .completed(), .released, .retry(after: .seconds(5), message: "no"),
      .completed(replacements: [next]), .aborted(message: ""),
    ]
    let results = try await driver.settle(zip(leases, outcomes).map { Settlement($0, $1) }, claiming: nil)
      .results
    // The second job has the key until it goes, and then the new one.
    #expect(
      results == [
        .settled(replacements: [.existing(2)]), .settled(), .settled(), .settled(),
        .settled(replacements: [.inserted(7)]), .settled(),
      ])
    #expect(try await driver.jobs(matching: JobQuery()).map(\.state) == [.ready, .delayed, .ready])
    #expect(try running == [])
  }

  @Test func aTokenOfAnotherClaimOpensNothingOfARow() async throws {
    try await fill()
    let leases = try await claimed(5)
    let others = try await claimed(5)
    #expect(leases[0].expiresAt == others[0].expiresAt)
    let forged = leases.map {
      Lease(job: $0.job + 5, token: $0.token, holder: $0.holder, expiresAt: $0.expiresAt)
    }
    #expect(try await settle(forged) == forged.map { _ in .leaseLost })
    #expect(try await driver.renew(forged, for: .seconds(90)) == forged.map { _ in nil })
    // Half of them are.
    #expect(
      try await settle(Array(leases[2...]) + forged[..<2]) == [
        .settled(), .settled(), .settled(), .leaseLost, .leaseLost,
      ])
    #expect(try running == ["1|2", "6|10"])
  }

  @Test("Jobs whose lease is renewed run on, and the others are recovered")
  func renewedJobsRunOnAndOthersAreRecovered() async throws {
    try await fill()
    let leases = try await claimed()
    clock.advance(by: .seconds(30))
    let extended = try await driver.renew([leases[6], leases[2], leases[3]], for: .seconds(60)).compactMap(
      \.self)
    #expect(extended.map(\.job) == [7, 3, 4])
    #expect(try running == ["1|2", "3|4", "5|6", "7|7", "8|10"])
    #expect(
      try await driver.renew(Array(leases[7...]), for: .seconds(40)).compactMap(\.self).map(\.job) == [
        8, 9, 10,
      ])
    clock.advance(by: .seconds(31))
    #expect(try await driver.count() == [JobCount("a", ready: 4, running: 6)])
    #expect(try await driver.jobs(matching: JobQuery(states: [.running])).map(\.id) == [3, 4, 7, 8, 9, 10])
    #expect(
      try await driver.jobs(matching: JobQuery(kinds: ["a"], states: [.ready], after: 1)).map(\.id) == [
        2, 5, 6,
      ])
    #expect(try await driver.claim(demand()).texts == ["1", "2", "5", "6"])
    // An older value of a lease that was extended is still good.
    #expect(try await settle([leases[2], extended[2], leases[0]]) == [.settled(), .settled(), .leaseLost])
    #expect(
      try await settle(leases.filter { [7, 8, 9, 10].contains($0.job) }) == [
        .settled(), .settled(), .settled(), .settled(),
      ])
  }

  @Test func aWholeRowIsExtendedAsOne() async throws {
    try await fill()
    let leases = try await claimed()
    let extended = try await driver.renew(leases.reversed(), for: .seconds(90))
    #expect(extended.map { $0?.job } == (1...10).reversed() && Set(extended.map { $0?.expiresAt }).count == 1)
    #expect(try running == ["1|10"])
    // To the same end again.
    #expect(try await driver.renew(extended.compactMap(\.self), for: .seconds(90)) == extended)
    #expect(try await settle(extended.compactMap(\.self)) == leases.map { _ in .settled() })
  }

  @Test("Of many expired leases each claim recovers a bounded number")
  func eachClaimRecoversABoundedNumber() async throws {
    try await fill(1...2500)
    #expect(try await claimed(2500).count == 2500)
    clock.advance(by: .seconds(61))
    let none = demand(0)
    let claim = try await driver.claim(none)
    #expect(claim.timeUntilNextLeaseExpiry == .zero)
    #expect(try running == ["1001|2500"])
    #expect(try await driver.claim(none).timeUntilNextLeaseExpiry == .zero)
    #expect(try await driver.claim(none).timeUntilNextLeaseExpiry == nil)
    #expect(try running == [])
    #expect(try await driver.count() == [JobCount("a", ready: 2500)])
    #expect(try await driver.claim(demand(3)).texts == ["1", "2", "3"])
  }

  @Test(arguments: [1, 5, 10]) func aJobAmongTheReadyIsOverwritten(number: Int) async throws {
    _ = try await driver.insert(
      (1...10).map { job("\($0)", unique: UniqueKey("\($0)", onConflict: .overwrite)) })
    #expect(try ready == ["1|10"])
    _ = try await driver.insert([
      job("new", unique: UniqueKey("\(number)", onConflict: .overwrite), priority: -1)
    ])
    #expect(try await driver.count() == [JobCount("a", ready: 10)])
    #expect(
      try await driver.claim(demand(20)).texts == (1...10).filter { $0 != number }.map { "\($0)" } + ["new"])
  }

  @Test(arguments: [1, 5, 10], [Due.now, .after(.seconds(5))])
  func aJobAmongTheReadyIsOverwrittenByStatements(number: Int, due: Due) async throws {
    _ = try await driver.insert((1...10).map { job("\($0)", unique: UniqueKey("\($0)")) })
    let app = try AppConnection(file.path)
    let new = job("new", unique: UniqueKey("\(number)", onConflict: .overwrite), priority: -1, due: due)
    try app.run("BEGIN IMMEDIATE")
    for statement in try SQLiteEnqueueStatements(clock: clock).statements(for: [new]) {
      #expect(app.execute(statement.sql, statement.values) == SQLITE_DONE)
    }
    try app.run("COMMIT")
    clock.advance(by: .seconds(6))
    #expect(try await driver.count() == [JobCount("a", ready: 10)])
    #expect(
      try await driver.claim(demand(20)).texts == (1...10).filter { $0 != number }.map { "\($0)" } + ["new"])
    #expect(try ready == [])
  }

  @Test func ofSeveralKindsPartsOfRowsAreClaimed() async throws {
    _ = try await driver.insert(
      (1...6).map { job("a\($0)") } + (1...6).map { job("b\($0)", kind: "b") } + (7...9).map { job("a\($0)") }
    )
    #expect(try ready == ["1|6", "7|12", "13|15"])
    #expect(try await driver.claim(demand(4, "a", "b")).texts == ["a1", "a2", "a3", "a4"])
    #expect(try await driver.claim(demand(6, "a", "b")).texts == ["a5", "a6", "b1", "b2", "b3", "b4"])
    #expect(try ready == ["11|12", "13|15"])
    #expect(try running == ["1|4", "5|10"])
    #expect(
      try await driver.count() == [JobCount("a", ready: 3, running: 6), JobCount("b", ready: 2, running: 4)])
    #expect(
      try await driver.jobs(matching: JobQuery(kinds: ["b"], states: [.running])).map(\.id) == [7, 8, 9, 10])
    #expect(try await driver.claim(demand(9, "a", "b")).texts == ["b5", "b6", "a7", "a8", "a9"])
    #expect(try ready == [])
  }

  @Test func jobsOfManyPrioritiesAreClaimedInTheirOrder() async throws {
    _ = try await driver.insert((1...60).map { job("\($0)", priority: $0 % 7) })
    let order = (1...60).sorted { ($1 % 7, $0) < ($0 % 7, $1) }.map { "\($0)" }
    #expect(try await driver.claim(demand(25)).texts == Array(order[..<25]))
    let rest = try await driver.claim(demand(99)).jobs
    #expect(rest.map { String(decoding: $0.payload.bytes, as: UTF8.self) } == Array(order[25...]))
    #expect(try await settle(rest.map(\.lease)) == rest.map { _ in .settled() })
    #expect(try await driver.count() == [JobCount("a", running: 25)])
  }
}
