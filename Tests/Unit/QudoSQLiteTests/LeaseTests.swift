import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The token decides, wherever the lease was thought to lie.
@Suite struct LeaseTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func claimed() async throws -> Lease {
    _ = try await driver.insert([job()])
    return try #require(try await driver.claim(demand()).jobs.first).lease
  }

  @Test func aLeaseAsItWasBeforeAnExtensionIsStillGood() async throws {
    let lease = try await claimed()
    let extended = try #require(try await driver.renew([lease], for: .seconds(90))[0])
    let again = try #require(try await driver.renew([lease], for: .seconds(120))[0])
    #expect(extended.token == lease.token && again.expiresAt - extended.expiresAt == 30_000_000)
    #expect(try await driver.settle([Settlement(lease, .completed())], claiming: nil).results == [.settled()])
    #expect(try await driver.settle([Settlement(again, .completed())], claiming: nil).results == [.leaseLost])
  }

  /// It counts its running jobs instead of looking after each.
  @Test("the driver knows when its first lease expires, however jobs begin and end", arguments: 1...8)
  func firstExpiry(seed: UInt64) async throws {
    var random = Seeded(seed: seed)
    var leases: [Lease] = []
    for step in 0..<80 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1: _ = try await driver.insert((0..<Int.random(in: 1...6, using: &random)).map { job("\($0)") })
      case 2:
        let duration = Duration.seconds(Int.random(in: 30...90, using: &random))
        let count = Int.random(in: 1...5, using: &random)
        leases += try await driver.claim(demand(count, leaseDuration: duration)).jobs.map(\.lease)
      case 3 where !leases.isEmpty:
        let place = leases.indices.randomElement(using: &random) ?? 0
        leases[place] = try #require(try await driver.renew([leases[place]], for: .seconds(60))[0])
      default:
        let count = min(leases.count, Int.random(in: 1...5, using: &random))
        let ended = Array(leases.shuffled(using: &random).prefix(count))
        let outcome: Settlement.Outcome = Bool.random(using: &random) ? .completed() : .released
        // The last settlement claims, too: both are one transaction.
        let next = step.isMultiple(of: 3) ? demand(1) : nil
        let settled = try await driver.settle(ended.map { Settlement($0, outcome) }, claiming: next)
        #expect(settled.results.allSatisfy { $0 == .settled() })
        leases.removeAll { lease in ended.contains { $0.job == lease.job } }
        leases += settled.claim?.jobs.map(\.lease) ?? []
      }
      let end = try file.rows("SELECT min(ends) FROM qudo_running")[0]
      let known = try await driver.claim(demand(1, "nobody")).timeUntilNextLeaseExpiry
      #expect(known == Int64(end).map { .microseconds($0 - clock.sinceBoot()) }, "step \(step)")
    }
  }

  /// Each of them would else read through all that run.
  @Test("a call reads through the running once, however many of its leases are stale")
  func staleLeases() async throws {
    _ = try await driver.insert((0..<400).map { job("\($0)") })
    var leases: [Lease] = []
    // One by one, so that each has a row and a token of its own.
    for _ in 0..<400 { leases += try await driver.claim(demand(1)).jobs.map(\.lease) }
    clock.advance(by: .seconds(1))
    let stale = Array(leases.prefix(200))
    for lease in stale { #expect(try await driver.renew([lease], for: .seconds(90))[0] != nil) }
    let gone = (1...100).map {
      Lease(job: 1000 + Int64($0), token: 7, holder: leases[0].holder, expiresAt: leases[0].expiresAt)
    }
    func steps(_ some: [Lease]) async throws -> (steps: Int, held: Int) {
      try await driver.writer.write(isDurable: false, isSmall: true) { transaction throws(QudoError) in
        let count = Locked(0)
        let context = Unmanaged.passUnretained(count).toOpaque()
        sqlite3_progress_handler(
          transaction.connection.handle, 10,
          { context in
            if let context {
              Unmanaged<Locked<Int>>.fromOpaque(context).takeUnretainedValue().withLock { $0 += 1 }
            }
            return 0
          }, context)
        defer { sqlite3_progress_handler(transaction.connection.handle, 0, nil, nil) }
        let held = try transaction.removeFromRunning(some).count { $0 }
        return (count.withLock { $0 }, held)
      }
    }
    let (few, one) = try await steps([stale[0], stale[1]])
    let (many, rest) = try await steps(Array(stale[2...]) + gone)
    #expect(one == 2 && rest == 198)
    #expect(many < few * 25, "\(few) for two, \(many) for 298, times ten steps")
    #expect(try await driver.count() == [JobCount("a", running: 200)])
  }

  @Test func anotherTokenOrAnotherJobIsRefused() async throws {
    let lease = try await claimed()
    for forged in [
      Lease(job: lease.job, token: lease.token ^ 1, holder: lease.holder, expiresAt: lease.expiresAt),
      Lease(job: lease.job + 1, token: lease.token, holder: lease.holder, expiresAt: lease.expiresAt),
    ] {
      #expect(try await driver.renew([forged], for: .seconds(1)) == [nil])
      #expect(
        try await driver.settle([Settlement(forged, .completed())], claiming: nil).results == [.leaseLost])
    }
    #expect(try await driver.count() == [JobCount("a", running: 1)])
  }

  @Test func anExtensionBeyondAllTimeHoldsForEver() async throws {
    let lease = try await claimed()
    #expect(try await driver.renew([lease], for: .seconds(Int64.max))[0]?.expiresAt == .max - 1)
    #expect(try await driver.jobs(matching: JobQuery()).map(\.leaseExpiresAt) == [.latest])
  }
}
