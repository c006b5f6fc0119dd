import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What the driver's writer has in mind, while another connection of the same process enqueues.
@Suite struct CachesTests {
  let my: Harness
  let app: AppConnection
  var driver: SQLiteDriver { my.driver }
  var queue: Queue<NoHooks> { my.queue }

  init() throws {
    my = try Harness()
    app = try AppConnection(my.file.path)
  }

  @Test("A kind that the application's transaction added is the same kind for the driver")
  func applicationsNewKindIsTheDrivers() async throws {
    _ = try await driver.insert([job("1")])
    try queue.enqueue(job("2", kind: "new"), in: app.handle)
    _ = try await driver.insert([job("3", kind: "new"), job("4", kind: "newer")])
    try queue.enqueue(job("5", kind: "newer"), in: app.handle)
    #expect(try await driver.claim(demand(9, "new")).texts == ["2", "3"])
    #expect(try await driver.claim(demand(9, "newer")).texts == ["4", "5"])
    #expect(try app.rows("SELECT count(*) FROM qudo_kind") == ["3"])
  }

  /// The number that the application's kind had goes to another kind of the driver's.
  @Test func aNewKindThatWasRolledBackIsNotRemembered() async throws {
    _ = try await driver.insert([job("1")])
    try app.run("BEGIN")
    try queue.enqueue(job("2", kind: "x"), in: app.handle)
    try app.run("ROLLBACK")
    _ = try await driver.insert([job("3", kind: "y"), job("4", kind: "x")])
    try queue.enqueue(job("5", kind: "x"), in: app.handle)
    #expect(try await driver.claim(demand(9, "y")).texts == ["3"])
    #expect(try await driver.claim(demand(9, "x")).texts == ["4", "5"])
  }

  /// The claim looks for a kind that is not there yet.
  @Test func thatAKindIsNotThereIsNotRemembered() async throws {
    #expect(try await driver.claim(demand(9, "x", "y")).texts == [])
    try queue.enqueue(job("1", kind: "x"), in: app.handle)
    #expect(try await driver.claim(demand(9, "x", "y")).texts == ["1"])
  }

  @Test("the number of waiting jobs is counted again when others change it") func waitingJobs() async throws {
    let bounded = job("x", maxWaiting: .refuse(4))
    func isFull() async throws -> Bool {
      do {
        _ = try await driver.insert([bounded])
        return false
      } catch  where error.code == .queueFull {
        return true
      }
    }
    #expect(try await !isFull())
    try queue.enqueue([job("2"), job("3")], in: app.handle)
    #expect(try await !isFull())
    #expect(try await isFull())
    try app.run("BEGIN")
    #expect(throws: QudoError.self) { try queue.enqueue(bounded, in: app.handle) }
    try queue.enqueue(job("other", kind: "b"), in: app.handle)
    try app.run("COMMIT")
    #expect(try await isFull())
    // The jobs leave on another connection, and on this one.
    try app.run("DELETE FROM qudo_ready WHERE kind = 1 AND first = 1; DELETE FROM qudo_job WHERE id = 1")
    #expect(try await !isFull())
    let claimed = try await driver.claim(demand(2)).jobs
    #expect(claimed.count == 2)
    #expect(try await !isFull())
    _ = try await driver.settle([Settlement(claimed[0].lease, .released)], claiming: nil)
    #expect(try await isFull())
    #expect(throws: QudoError.self) { try queue.statements(for: [bounded]) }
  }

  @Test("a number of waiting jobs tells whether a maximum is reached, while it is not exact")
  func waitingCounts() {
    var entry = WaitingCounts.Entry(count: 3, isCapped: false)
    #expect(entry.tells(of: 1, .refuse(3)) && entry.tells(of: 1, .dropOldest(2)))
    entry.hasLeft = true
    #expect(
      !entry.tells(of: 1, .refuse(3)) && entry.tells(of: 1, .refuse(4)) && entry.tells(of: 1, .dropOldest(4)))
    entry = WaitingCounts.Entry(count: 3, isCapped: true)
    #expect(
      entry.tells(of: 1, .refuse(3)) && !entry.tells(of: 1, .refuse(4)) && !entry.tells(of: 1, .dropOldest(3))
    )
    entry.hasLeft = true
    #expect(!entry.tells(of: 1, .refuse(3)))
  }

  /// Within the application's transaction the next call looks again.
  @Test("A new kind is forgotten when its savepoint is rolled back")
  func rolledBackKindIsForgotten() async throws {
    try app.run("BEGIN; SAVEPOINT s")
    try queue.enqueue(job("1", kind: "x"), in: app.handle)
    try app.run("ROLLBACK TO s")
    try queue.enqueue([job("2", kind: "y"), job("3", kind: "x")], in: app.handle)
    try app.run("COMMIT")
    #expect(try await driver.claim(demand(9, "y")).texts == ["2"])
    #expect(try await driver.claim(demand(9, "x")).texts == ["3"])
  }

  @Test func idsGoOnWhicheverConnectionGivesThem() async throws {
    #expect(try await driver.insert([job()]) == [.inserted(1)])
    #expect(try queue.enqueue(job(), in: app.handle).id.number == 2)
    #expect(try await driver.insert([job()]) == [.inserted(3)])
    try app.run("BEGIN")
    #expect(try queue.enqueue([job(), job()], in: app.handle).map(\.id.number) == [4, 5])
    try app.run("ROLLBACK")
    #expect(try await driver.insert([job()]) == [.inserted(4)])
    #expect(try queue.enqueue(job(), in: app.handle).id.number == 5)
  }

  @Test func theIdsOfJobsThatAreGoneAreNotGivenAgain() async throws {
    try queue.enqueue([job(), job()], in: app.handle)
    _ = try await driver.settle(
      try await driver.claim(demand()).jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    #expect(try queue.enqueue(job(), in: app.handle).id.number == 3)
    #expect(try await driver.insert([job()]) == [.inserted(4)])
  }
}
