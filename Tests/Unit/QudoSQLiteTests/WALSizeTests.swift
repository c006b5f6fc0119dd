import CSQLite
import Foundation
import Qudo
import QudoSQLite
import TestSupport
import Testing

/// How large the WAL gets during a read transaction that does not end, and after it.
@Suite struct WALSizeTests {
  @Test func itIsGivenBackWhenAForeignReaderEnds() async throws {
    let file = try TemporaryFile()
    let driver = try file.open()
    var reader: OpaquePointer?
    #expect(sqlite3_open_v2(file.path, &reader, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    defer { sqlite3_close_v2(reader) }
    #expect(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let jobs = Array(
      repeating: NewJob("a", payload: Payload([UInt8](repeating: 0, count: 1 << 20))), count: 8)
    for _ in 0..<10 { _ = try await driver.insert(jobs) }
    #expect(try size(file) > 64 << 20, "the reader pins it")
    #expect(sqlite3_exec(reader, "COMMIT", nil, nil, nil) == SQLITE_OK)
    // After the next commit all is copied, and what is committed then starts again. Who came before the writer's thread did is
    // committed first.
    for _ in 0..<3 { _ = try await driver.insert(jobs) }
    #expect(try size(file) <= 64 << 20)
    await driver.close()
  }

  @Test("If the WAL exceeds its limit, enqueues are refused and settles are not")
  func beyondTheLimitOnlyEnqueuesAreRefused() async throws {
    let file = try TemporaryFile()
    let driver = try SQLiteDriver(path: file.path, maxWALSize: 16 << 20)
    _ = try await driver.insert([NewJob("b")])
    let held = try await driver.claim(ClaimRequest([.init("b")], limit: 1)).jobs
    var reader: OpaquePointer?
    #expect(sqlite3_open_v2(file.path, &reader, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    defer { sqlite3_close_v2(reader) }
    #expect(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let job = NewJob("a", payload: Payload([UInt8](repeating: 0, count: 1 << 20)))
    var stored = 0
    let refusal = await #expect(throws: QudoError.self) {
      while stored < 40 {
        _ = try await driver.insert([job])
        stored += 1
      }
    }
    #expect(refusal?.code == .busy && (12...17).contains(stored))
    #expect(try size(file) < 20 << 20)
    #expect(
      try await driver.settle(held.map { Settlement($0.lease, .completed()) }, claiming: nil).results == [
        .settled()
      ])
    #expect(sqlite3_exec(reader, "COMMIT", nil, nil, nil) == SQLITE_OK)
    // The checkpoint that makes room comes first.
    _ = try await driver.insert([job])
    #expect(try await driver.count(["a"]).map(\.ready).allSatisfy { $0 > stored })
    await driver.close()
  }

  @Test("a process that has written nothing yet knows that the WAL is at its limit")
  func limitOfOthers() async throws {
    let file = try TemporaryFile()
    let other = try SQLiteDriver(path: file.path, durability: .normal)
    var reader: OpaquePointer?
    #expect(sqlite3_open_v2(file.path, &reader, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    defer { sqlite3_close_v2(reader) }
    #expect(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let job = NewJob("a", payload: Payload([UInt8](repeating: 0, count: 1 << 20)))
    _ = try await other.insert(Array(repeating: job, count: 20))
    #expect(try size(file) > 17 << 20)
    for _ in 0..<3 {
      let driver = try SQLiteDriver(path: file.path, durability: .normal, maxWALSize: 16 << 20)
      await #expect { try await driver.insert([NewJob("a")]) } throws: { ($0 as? QudoError)?.code == .busy }
      await driver.close()
    }
    #expect(sqlite3_exec(reader, "COMMIT", nil, nil, nil) == SQLITE_OK)
    // The file is as large as before until it is used again.
    let driver = try SQLiteDriver(path: file.path, durability: .normal, maxWALSize: 16 << 20)
    #expect(try await driver.insert([NewJob("a")]) == [.inserted(21)])
    await driver.close()
    await other.close()
  }

  @Test func aLimitThatMakesNoSenseIsRefused() throws {
    let file = try TemporaryFile()
    #expect { try SQLiteDriver(path: file.path, maxWALSize: 1 << 20) } throws: {
      ($0 as? QudoError)?.code == .invalidArgument
    }
  }

  private func size(_ file: TemporaryFile) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: file.path + "-wal")[.size] as? Int)
  }
}
