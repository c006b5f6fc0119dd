import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The receipts of idempotency keys go when their time is over.
@Suite struct ReceiptTests {
  private func count(_ driver: SQLiteDriver) async throws -> Int64? {
    try await driver.reader.read { snapshot throws(QudoError) in
      try snapshot.connection.integer("SELECT count(*) FROM qudo_receipt")
    }
  }

  @Test(arguments: [false, true]) func oldOnesAreDeletedAFewAtATime(_ areCloseTogether: Bool) async throws {
    let my = try Harness()
    func key(_ number: Int) -> IdempotencyKey? {
      areCloseTogether
        ? IdempotencyKey(
          bytes: [UInt8](repeating: 1, count: 14) + [UInt8(number / 256), UInt8(number % 256)])
        : IdempotencyKey()
    }
    _ = try await my.driver.insert((0..<300).map { NewJob("a", idempotencyKey: key($0)) })
    #expect(try await count(my.driver) == 300)
    my.clock.advance(by: .seconds(86_401))
    for number in 0..<400 {
      _ = try await my.driver.insert([NewJob("a", idempotencyKey: key(1000 + number))])
    }
    let left = try #require(try await count(my.driver))
    #expect(left >= 400)
    #expect(left < 480)
  }

  /// Each day as many keys that are random as keys that lie close together, later ones behind earlier ones.
  @Test("keys of two shapes leave no more than the live ones and a share", .timeLimit(.minutes(10)))
  func twoShapes() async throws {
    let my = try Harness()
    let perDay = 1500
    for day in 0..<8 {
      for step in 0..<10 {
        var jobs: [NewJob] = []
        for index in 0..<(perDay / 10) {
          let number = UInt64(day * perDay + step * (perDay / 10) + index)
          jobs.append(NewJob("a", idempotencyKey: IdempotencyKey()))
          let tail = withUnsafeBytes(of: number.bigEndian) { Array($0) }
          jobs.append(NewJob("a", idempotencyKey: IdempotencyKey(bytes: Array("ORDER-00".utf8) + tail)))
        }
        _ = try await my.driver.insert(jobs)
        my.clock.advance(by: .seconds(8640))
      }
      let all = try #require(try await count(my.driver))
      #expect(all < Int64(2 * perDay) * 6 / 5, "day \(day)")
    }
    await my.driver.close()
  }

  @Test("processes that enqueue once and end go on where the one before ended", .timeLimit(.minutes(10)))
  func oneShots() async throws {
    let file = try TemporaryFile()
    let clock = ManualClock()
    let first = try file.open(clock: clock)
    _ = try await first.insert((0..<200).map { _ in NewJob("a", idempotencyKey: IdempotencyKey()) })
    await first.close()
    clock.advance(by: .seconds(86_401))
    for _ in 0..<20 {
      let driver = try file.open(clock: clock)
      _ = try await driver.insert([NewJob("a", idempotencyKey: IdempotencyKey())])
      await driver.close()
    }
    #expect(Int64(try file.rows("SELECT count(*) FROM qudo_receipt")[0]) ?? 0 <= 20 + 16)
  }

  @Test("prune takes old receipts along and does not count them")
  func pruned() async throws {
    let my = try Harness()
    _ = try await my.driver.insert((0..<30).map { _ in NewJob("a", idempotencyKey: IdempotencyKey()) })
    #expect(try await my.driver.prune(PruneOptions(limit: 10)) == 0)
    #expect(try await count(my.driver) == 30)
    my.clock.advance(by: .seconds(86_401))
    #expect(try await my.driver.prune(PruneOptions(limit: 10)) == 0)
    #expect(try await count(my.driver) == 0)
  }

  @Test("prune reads a page of receipts after the other, and goes on where it ended", .timeLimit(.minutes(5)))
  func pages() async throws {
    let my = try Harness()
    let prune = PruneOptions(olderThan: .seconds(14 * 86_400))
    for _ in 0..<12 {
      _ = try await my.driver.insert((0..<1000).map { _ in NewJob("a", idempotencyKey: IdempotencyKey()) })
    }
    my.clock.advance(by: .seconds(43_200))
    _ = try await my.driver.insert((0..<500).map { _ in NewJob("a", idempotencyKey: IdempotencyKey()) })
    #expect(try await my.driver.prune(prune) == 0)
    #expect(try await count(my.driver) == 12_500)
    my.clock.advance(by: .seconds(43_201))
    #expect(try await my.driver.prune(prune) == 0)
    let left = try #require(try await count(my.driver))
    #expect(left > 500 && left < 4000)
    #expect(try await my.driver.prune(prune) == 0)
    #expect(try await count(my.driver) == 500)
  }

  @Test("idle workers take old receipts though no more keyed enqueues come")
  func idle() async throws {
    let my = try Harness()
    _ = try await my.driver.insert((0..<300).map { _ in NewJob("b", idempotencyKey: IdempotencyKey()) })
    my.clock.advance(by: .seconds(86_401))
    for _ in 0..<8 {
      _ = try await my.driver.claim(demand(1, "a"))
      my.clock.advance(by: .seconds(61))
    }
    #expect(try await count(my.driver) == 0)
  }

  @Test func jobsWithoutAKeyLeaveNone() async throws {
    let my = try Harness()
    _ = try await my.driver.insert([NewJob("a"), NewJob("a", unique: UniqueKey("k"))])
    #expect(try await count(my.driver) == 0)
  }

  @Test func theirTimeIsTheDrivers() async throws {
    let file = try TemporaryFile()
    let driver = try SQLiteDriver(path: file.path, idempotencyKeyLifetime: .milliseconds(1))
    let job = NewJob("a", idempotencyKey: IdempotencyKey("x"))
    let first = try await driver.insert([job])
    try await Task.sleep(for: .milliseconds(2))
    #expect(try await driver.insert([job]) != first)
    #expect(throws: QudoError.self) { try SQLiteDriver(path: file.path, idempotencyKeyLifetime: .zero) }
    await driver.close()
  }
}
