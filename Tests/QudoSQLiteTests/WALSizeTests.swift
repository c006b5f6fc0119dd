import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

/// How large the WAL gets beside a reader that does not end, and after it.
@Suite struct WALSizeTests {
  @Test func itIsGivenBackWhenAForeignReaderEnds() async throws {
    let file = try TemporaryFile()
    let driver = try file.open()
    var reader: OpaquePointer?
    #expect(sqlite3_open_v2(file.path, &reader, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    defer { sqlite3_close_v2(reader) }
    #expect(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let jobs = Array(repeating: NewJob("a", payload: Payload([UInt8](repeating: 0, count: 1 << 20))), count: 8)
    for _ in 0..<10 { _ = try await driver.insert(jobs) }
    #expect(try size(file) > 64 << 20, "the reader pins it")
    #expect(sqlite3_exec(reader, "COMMIT", nil, nil, nil) == SQLITE_OK)
    // The next commit copies all, and the one after it begins anew.
    for _ in 0..<2 { _ = try await driver.insert(jobs) }
    #expect(try size(file) <= 64 << 20)
    await driver.close()
  }

  private func size(_ file: TemporaryFile) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: file.path + "-wal")[.size] as? Int)
  }
}
