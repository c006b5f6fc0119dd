import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

/// What a file can be before Qudo opens it.
@Suite struct OpeningTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  private func sqlite(_ sql: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(file.path, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
  }

  private func refusal() -> QudoError.Code? {
    do {
      _ = try file.open()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  @Test func anothersTablesAreRefused() throws {
    try sqlite("PRAGMA journal_mode = WAL; CREATE TABLE qudo_job(a)")
    #expect(refusal() == .foreignSchema)
  }

  @Test func anApplicationsFileInAnotherJournalModeIsRefusedAndStaysSo() throws {
    try sqlite("CREATE TABLE data(a)")
    #expect(refusal() == .unsuitableFile)
    #expect(!FileManager.default.fileExists(atPath: file.path + "-wal"))
  }

  @Test func anApplicationsFileInWALModeIsShared() async throws {
    try sqlite("PRAGMA journal_mode = WAL; CREATE TABLE data(a)")
    let driver = try file.open()
    #expect(try await driver.insert([job()]) == [.inserted(1)])
    try sqlite("INSERT INTO data VALUES(1)")
  }

  @Test func aNewerSchemaIsRefusedUnlessItAllowsThisVersion() async throws {
    await (try file.open()).close()
    try sqlite("INSERT INTO qudo_schema VALUES(98, 0, 1, 1)")
    #expect(refusal() == nil)
    try sqlite("INSERT INTO qudo_schema VALUES(99, 0, 1, 99)")
    #expect(refusal() == .newerSchema)
  }

  @Test func aTruncatedFileIsCorrupt() async throws {
    do {
      let driver = try file.open()
      _ = try await driver.insert((0..<500).map { job("\($0)") })
      await driver.close()
    }
    try FileHandle(forWritingTo: URL(fileURLWithPath: file.path)).truncate(atOffset: 5000)
    do {
      let driver = try file.open()
      await #expect(throws: QudoError.self) { try await driver.claim(want(1000)) }
    } catch let error as QudoError {
      #expect(error.code == .corrupt)
    }
  }

  @Test func aFolderAndAMissingFolderCannotBeOpened() throws {
    for path in [file.folder.path, file.folder.path + "/none/x.db"] {
      #expect { try SQLiteDriver(path: path) } throws: { ($0 as? QudoError)?.code == .cannotOpen }
    }
  }

  @Test func whatIsHandedInAfterClosingIsRefused() async throws {
    let driver = try file.open()
    await driver.close()
    await #expect { try await driver.insert([job()]) } throws: { ($0 as? QudoError)?.code == .closed }
  }

  @Test func manyCallersShareCommitsAndEachIsAnswered() async throws {
    let driver = try file.open()
    let ids = try await withThrowingTaskGroup(of: InsertResult.self) { group in
      for number in 0..<500 { group.addTask { try await driver.insert([job("\(number)")])[0] } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(ids == Set((1...500).map { InsertResult.inserted($0) }))
  }
}
