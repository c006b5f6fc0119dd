import Qudo
@testable import QudoSQLite
import QudoTesting
import Testing

/// The receipts of idempotency keys go when their time is over.
@Suite struct ReceiptTests {
  private func count(_ driver: SQLiteDriver) async throws -> Int64? {
    try await driver.reader.read { snapshot throws(QudoError) in try snapshot.connection.integer("SELECT count(*) FROM qudo_receipt") }
  }

  @Test(arguments: [false, true]) func oldOnesAreDeletedAFewAtATime(_ areCloseTogether: Bool) async throws {
    let my = try Harness()
    func key(_ number: Int) -> IdempotencyKey? {
      areCloseTogether ? IdempotencyKey(bytes: [UInt8](repeating: 1, count: 14) + [UInt8(number / 256), UInt8(number % 256)]) : IdempotencyKey()
    }
    _ = try await my.driver.insert((0..<300).map { NewJob("a", idempotencyKey: key($0)) })
    #expect(try await count(my.driver) == 300)
    my.clock.advance(by: .seconds(86_401))
    for number in 0..<400 { _ = try await my.driver.insert([NewJob("a", idempotencyKey: key(1000 + number))]) }
    let left = try #require(try await count(my.driver))
    #expect(left >= 400)
    #expect(left < 480)
  }

  @Test func jobsWithoutAKeyLeaveNone() async throws {
    let my = try Harness()
    _ = try await my.driver.insert([NewJob("a"), NewJob("a", unique: UniqueKey("k"))])
    #expect(try await count(my.driver) == 0)
  }

  @Test func theirTimeIsTheDrivers() async throws {
    let file = try TemporaryFile()
    let driver = try SQLiteDriver(path: file.path, receipts: .milliseconds(1))
    let job = NewJob("a", idempotencyKey: IdempotencyKey("x"))
    let first = try await driver.insert([job])
    try await Task.sleep(for: .milliseconds(2))
    #expect(try await driver.insert([job]) != first)
    #expect(throws: QudoError.self) { try SQLiteDriver(path: file.path, receipts: .zero) }
    await driver.close()
  }
}
