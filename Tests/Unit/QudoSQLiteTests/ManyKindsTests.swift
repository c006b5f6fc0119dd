import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Claims of many kinds remember what they have read. Two drivers on one file and the model do the same, and must take the
/// same jobs in the same order.
@Suite struct ManyKindsTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  @Test(arguments: 1...12) func theyTakeTheSameJobsAsTheModel(seed: UInt64) async throws {
    let drivers: [any Driver] = [try file.open(clock: clock), try file.open(clock: clock)]
    let model = MemoryDriver(clock: clock)
    var random = Seeded(seed: seed)
    let kinds = (0..<40).map { Kind("kind.\($0)") }
    var held: [(found: Lease, expected: Lease)] = []
    for step in 0..<150 {
      let driver = drivers[Int.random(in: 0...1, using: &random)]
      switch Int.random(in: 0..<11, using: &random) {
      case 0..<3:
        let jobs = (0..<Int.random(in: 1...30, using: &random)).map { _ in
          NewJob(
            kinds[Int.random(in: 0..<40, using: &random)],
            priority: Int.random(in: 0..<10, using: &random) == 0 ? 1 : 0,
            due: Int.random(in: 0..<5, using: &random) == 0 ? .after(.seconds(2)) : .now)
        }
        #expect(try await driver.insert(jobs) == (try await model.insert(jobs)), "step \(step)")
      case 3..<7:
        let able = kinds.filter { _ in Int.random(in: 0..<8, using: &random) > 0 }
        let limit = Int.random(in: 1...40, using: &random)
        let demands = able.enumerated().map { index, kind in
          ClaimRequest.KindDemand(
            kind, leaseDuration: .seconds(index % 2 == 0 ? 5 : 9), limit: index % 5 == 0 ? 1 : nil)
        }
        let request = ClaimRequest(demands, limit: limit)
        let (found, expected) = (try await driver.claim(request), try await model.claim(request))
        #expect(found.jobs.map(\.id) == expected.jobs.map(\.id), "step \(step)")
        #expect(found.jobs.map(\.kind) == expected.jobs.map(\.kind), "step \(step)")
        #expect(
          found.timeUntilNextDue == expected.timeUntilNextDue
            && found.timeUntilNextLeaseExpiry == expected.timeUntilNextLeaseExpiry, "step \(step)")
        guard found.jobs.count == expected.jobs.count else { return }
        held += zip(found.jobs, expected.jobs).map { ($0.lease, $1.lease) }
      case 7..<9:
        held.shuffle(using: &random)
        let some = held.prefix(Int.random(in: 0...10, using: &random))
        held.removeFirst(some.count)
        let outcome: Settlement.Outcome = [
          .completed(), .released, .retry(after: .zero, message: ""), .snoozed(.seconds(1)),
        ][
          Int.random(in: 0..<4, using: &random)]
        let (found, _) = try await driver.settle(some.map { Settlement($0.found, outcome) }, claiming: nil)
        let (expected, _) = try await model.settle(
          some.map { Settlement($0.expected, outcome) }, claiming: nil)
        #expect(found == expected, "step \(step)")
      case 9:
        held.shuffle(using: &random)
        let some = held.prefix(Int.random(in: 0...10, using: &random))
        held.removeFirst(some.count)
        let found = try await driver.renew(some.map(\.found), for: .seconds(7))
        let expected = try await model.renew(some.map(\.expected), for: .seconds(7))
        #expect(found.map { $0 == nil } == expected.map { $0 == nil }, "step \(step)")
        held += zip(found, expected).compactMap { found, expected in
          if let found, let expected { (found, expected) } else { nil }
        }
      default: clock.advance(by: .seconds(Int.random(in: 1...4, using: &random)))
      }
    }
    #expect(
      try await drivers[0].count().reduce(0) { $0 + $1.ready } == model.count().reduce(0) { $0 + $1.ready })
    for driver in drivers { await driver.close() }
  }

  /// Promise 8: what a claim does must not grow with the kinds that others have.
  @Test("a claim of many kinds looks at few of those that it does not want")
  func otherKinds() async throws {
    let driver = try file.open(clock: clock)
    let kinds = (0...12).map { Kind("mine.\($0)") }
    _ = try await driver.insert(kinds.dropLast().map { NewJob($0) })
    func steps() async throws -> Int {
      // Others have changed the file: nothing of it is remembered.
      try file.execute("INSERT INTO qudo_kind(name) VALUES('new.' || random())")
      return try await driver.writer.write(isDurable: false, isSmall: true) { transaction throws(QudoError) in
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
        #expect(try transaction.claim(ClaimRequest(kinds.map { .init($0) }, limit: 0)).jobs.isEmpty)
        _ = try transaction.claimBest(
          try transaction.claimable(kinds.map { .init($0) }), 1, token: 1)
        return count.withLock { $0 }
      }
    }
    let few = try await steps()
    try file.execute(
      """
      INSERT INTO qudo_ready(kind, rank, due, last, first)
      WITH RECURSIVE n(value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM n WHERE value < 21000) SELECT value, 0, 0, value, value FROM n;
      INSERT INTO qudo_kind(id, name) VALUES(30000, 'mine.12')
      """)
    let many = try await steps()
    #expect(many < few + 200, "\(few) and \(many) times ten steps")
    await driver.close()
  }

  @Test func whatIsRolledBackIsNotRemembered() async throws {
    let driver = try file.open(clock: clock)
    let kinds = (0..<20).map { Kind("kind.\($0)") }
    _ = try await driver.insert(kinds.map { NewJob($0) })
    let request = ClaimRequest(kinds.map { ClaimRequest.KindDemand($0) }, limit: 5)
    let first = try await driver.claim(request).jobs.map(\.id)
    // Claims the next five, and then the transaction comes to nothing.
    await #expect(throws: QudoError.self) {
      _ = try await driver.writer.write(isDurable: false, isSmall: true) { transaction throws(QudoError) in
        #expect(try transaction.claim(request).jobs.count == 5)
        throw QudoError(.database, "given up")
      }
    }
    let second = try await driver.claim(request).jobs.map(\.id)
    #expect((first, second) == ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]))
    await driver.close()
  }
}
