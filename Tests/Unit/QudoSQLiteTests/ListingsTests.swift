import Foundation
import Logging
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// A file that is opened for its listings alone.
@Suite struct ListingsTests {
  let file: TemporaryFile
  let clock = ManualClock()
  private let driver: SQLiteDriver
  private let app: AppConnection

  init() async throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
    _ = try await driver.insert([job("one"), job("two", kind: "b"), job("later", due: .after(.seconds(60)))])
    _ = try await driver.settle(
      [Settlement(try await driver.claim(demand(1, "b")).jobs[0].lease, .failed(message: "broke"))],
      claiming: nil)
    _ = try await driver.claim(demand(1))
    app = try AppConnection(file.path)
  }

  private func open(_ clock: (any QueueClock)? = nil) throws -> SQLiteListings {
    try SQLiteListings(path: file.path, timeout: .milliseconds(200), clock: clock ?? self.clock)
  }

  private var code: QudoError.Code? {
    do {
      _ = try open()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  @Test("lists as the driver does, and refuses to write") func lists() async throws {
    let listings = try open()
    #expect(listings.name == "jobs")
    #expect(try await listings.count(nil) == [JobCount("a", delayed: 1, running: 1)])
    #expect(try await listings.jobs(matching: JobQuery()).map(\.state) == [.running, .delayed])
    #expect(try await listings.failures(LogQuery()).map(\.message) == ["broke"])
    #expect(try await listings.statuses(LogQuery()) == [])
    await #expect { try await listings.insert([job()]) } throws: { ($0 as? QudoError)?.code == .readOnly }
  }

  @Test("waits for no writer") func stuckWriter() async throws {
    let writeLock = try WriteLock(path: file.path)
    #expect(writeLock.takeIfFree())
    try app.run("BEGIN IMMEDIATE; UPDATE qudo_info SET value = value")
    #expect(try await open().count(nil).map(\.kind) == ["a"])
    try app.run("ROLLBACK")
    writeLock.giveBack()
  }

  @Test("sees whether the holder of a lease is alive, and changes nothing") func holders() async throws {
    let before = try app.rows("SELECT id, boot, locked FROM qudo_instance")
    #expect(try await open(ManualClock(boot: "boot-2")).count(nil) == [JobCount("a", delayed: 1, running: 1)])
    await driver.close()
    #expect(try await open().count(nil) == [JobCount("a", ready: 1, delayed: 1)])
    #expect(try app.rows("SELECT id, boot, locked FROM qudo_instance") == before)
  }

  @Test("does not migrate, and says so") func olderSchema() throws {
    try app.run("DELETE FROM qudo_schema WHERE version = (SELECT max(version) FROM qudo_schema)")
    let before = try app.rows("SELECT version FROM qudo_schema ORDER BY version")
    let error = #expect(throws: QudoError.self) { try open() }
    #expect(error?.code == .unsupportedDatabase && error?.message.contains("of an older Qudo") == true)
    #expect(try app.rows("SELECT version FROM qudo_schema ORDER BY version") == before)
  }

  @Test("reads a newer schema that lets this version read") func newerSchema() async throws {
    try app.run(
      "INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer) VALUES(98, 0, \(Schema.version), 98)"
    )
    #expect(try await open().count(nil).count == 1)
    try app.run(
      "INSERT INTO qudo_schema(version, applied_at, lowest_reader, lowest_writer) VALUES(99, 0, 99, 99)")
    #expect(code == .newerSchema)
  }

  @Test("makes no file and no tables") func nothingThere() throws {
    let path = file.path + "-none"
    #expect { try SQLiteListings(path: path) } throws: { ($0 as? QudoError)?.code == .cannotOpen }
    #expect(!FileManager.default.fileExists(atPath: path))
    let other = try AppConnection(path)
    try other.run("PRAGMA journal_mode = WAL; CREATE TABLE t(a)")
    #expect { try SQLiteListings(path: path) } throws: { ($0 as? QudoError)?.code == .unsupportedDatabase }
    #expect(try other.rows("SELECT name FROM sqlite_schema") == ["t"])
  }

  @Test("reads as much of payloads as a list shows") func payloads() async throws {
    _ = try await driver.insert([job("späte")])
    for driver in [driver, try open()] as [any LogDriver] {
      func found(_ query: JobQuery) async throws -> [[UInt8]] {
        try await driver.jobs(matching: query).map(\.payload.bytes)
      }
      let text = Array("späte".utf8)
      #expect(try await found(JobQuery(ids: [4]).withPayloads(upTo: 3)) == [Array(text.prefix(3))])
      #expect(try await found(JobQuery(after: 3).withPayloads(upTo: 5)) == [Array(text.prefix(5))])
      #expect(try await found(JobQuery(after: 3).withPayloads(upTo: -1)) == [[]])
      #expect(try await found(JobQuery(after: 3).withPayloads(upTo: .max)) == [text])
      #expect(try await driver.failures(LogQuery()).map(\.payload) == [Payload("two")])
      #expect(try await driver.failures(LogQuery().withoutPayloads).map(\.payload) == [nil])
    }
  }

  @Test("lists a copy that is not in WAL mode") func copy() async throws {
    try app.run("VACUUM INTO '\(file.path)-copy'; ")
    #expect(
      try await SQLiteListings(path: file.path + "-copy", clock: clock).count(nil) == [
        JobCount("a", ready: 1, delayed: 1)
      ], "nobody holds what is in a copy")
  }
}
