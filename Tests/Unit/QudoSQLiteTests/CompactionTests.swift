import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Room that is given back to the disk.
@Suite struct CompactionTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  private func fill(_ driver: SQLiteDriver) async throws {
    _ = try await driver.insert(
      (0..<1_000).map {
        NewJob("a", payload: Payload([UInt8](repeating: 7, count: 1_000)), priority: $0 < 995 ? 1 : 0)
      })
    let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 995)).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
  }

  @Test func itIsWhatTheJobsThatAreGoneHad() async throws {
    let driver = try file.open(clock: clock)
    try await fill(driver)
    let kept = try await driver.jobs(matching: JobQuery())
    let compaction = try await driver.compact()
    #expect(compaction.before > 1_000_000 && compaction.after < 150_000)
    #expect(try await driver.jobs(matching: JobQuery()).map(\.id) == kept.map(\.id) && kept.count == 5)
    #expect(try await driver.compact().before == compaction.after)
    // It goes on as before, with ids that were never given.
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(1_001)])
    #expect(
      try await driver.claim(ClaimRequest([.init("a")], limit: 9)).jobs.map(\.id) == [
        996, 997, 998, 999, 1_000, 1_001,
      ])
    await driver.close()
  }

  @Test func othersOfTheSameFileGoOn() async throws {
    let driver = try file.open(clock: clock)
    let other = try file.open(clock: clock)
    try await fill(driver)
    #expect(try await other.insert([NewJob("b")]) == [.inserted(1_001)])
    _ = try await driver.compact()
    #expect(try await other.insert([NewJob("b")]) == [.inserted(1_002)])
    #expect(try await driver.claim(ClaimRequest([.init("b")], limit: 9)).jobs.map(\.id) == [1_001, 1_002])
    for driver in [driver, other] { await driver.close() }
  }

  @Test func anApplicationsFileIsLeftAlone() async throws {
    let app = try AppConnection(file.path)
    try app.run("PRAGMA journal_mode = WAL; CREATE TABLE mine(x)")
    let driver = try file.open(clock: clock)
    let error = await #expect(throws: QudoError.self) { _ = try await driver.compact() }
    #expect(error?.code == .unsupportedDatabase)
    await driver.close()
  }

  @Test func aClosedFileIsNotCompacted() async throws {
    let driver = try file.open(clock: clock)
    await driver.close()
    let error = await #expect(throws: QudoError.self) { _ = try await driver.compact() }
    #expect(error?.code == .closed)
  }
}
