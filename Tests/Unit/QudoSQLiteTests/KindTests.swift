import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// The numbers of kinds that a connection remembers.
@Suite struct KindTests {
  let file: TemporaryFile
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open()
  }

  @Test func aNumberThatWasRolledBackIsForgotten() async throws {
    await #expect(throws: QudoError.self) {
      try await driver.writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
        _ = try transaction.insert([job(kind: "rolled back")])
        throw QudoError(.database, "on purpose")
      }
    }
    // Another process takes the number for another kind.
    _ = try await file.open().insert([job("other", kind: "other")])
    _ = try await driver.insert([job("again", kind: "rolled back")])
    #expect(try await driver.claim(demand(9, "rolled back")).texts == ["again"])
    #expect(try await driver.claim(demand(9, "other")).texts == ["other"])
  }

  @Test func kindsThatSwiftCallsEqualAreKeptApart() async throws {
    let composed: Kind = "caf\u{E9}"
    let decomposed: Kind = "cafe\u{301}"
    for _ in 0..<2 { _ = try await driver.insert([job("1", kind: composed), job("2", kind: decomposed)]) }
    #expect(try await driver.claim(demand(9, composed)).texts == ["1", "1"])
    #expect(try await driver.count([decomposed]) == [JobCount(decomposed, ready: 2)])
  }

  @Test("kinds that are made up without end do not fill the memory")
  func bounded() async throws {
    let count = ConnectionCache.most + 50
    _ = try await driver.insert((0..<count).map { job(kind: Kind("customer.\($0)")) })
    let known = try await driver.writer.write(isDurable: true, isSmall: false) {
      transaction throws(QudoError) in transaction.connection.cache.count
    }
    #expect(known <= ConnectionCache.most)
    #expect(try await driver.claim(demand(1, "customer.0")).jobs.count == 1)
    #expect(try await driver.insert([job(kind: "customer.1")]).count == 1)
    #expect(try file.rows("SELECT count(*) FROM qudo_kind") == ["\(count)"])
  }

  @Test func aKindIsLookedUpOnce() async throws {
    _ = try await driver.insert([job(), job(), job(kind: "b")])
    let known = try await driver.writer.write(isDurable: true, isSmall: true) { transaction in
      [transaction.connection.cache["a"], transaction.connection.cache["b"]]
    }
    #expect(known == [1, 2])
  }
}
