import Foundation
import Qudo
import QudoSQLite
import TestSupport
import Testing

/// What a file can be before Qudo opens it.
@Suite struct OpeningTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  private func refusal() -> QudoError.Code? {
    do {
      _ = try file.open()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  @Test func anothersTablesAreRefused() throws {
    try file.execute("PRAGMA journal_mode = WAL; CREATE TABLE qudo_job(a)")
    #expect(refusal() == .foreignSchema)
  }

  @Test("An application's file in another journal mode is refused and keeps its mode")
  func otherJournalModeIsRefused() throws {
    try file.execute("CREATE TABLE data(a)")
    #expect(refusal() == .unsupportedDatabase)
    #expect(!FileManager.default.fileExists(atPath: file.path + "-wal"))
  }

  @Test func anApplicationsFileInWALModeIsShared() async throws {
    try file.execute("PRAGMA journal_mode = WAL; CREATE TABLE data(a)")
    let driver = try file.open()
    #expect(try await driver.insert([job()]) == [.inserted(1)])
    try file.execute("INSERT INTO data VALUES(1)")
  }

  @Test("A newer schema is refused unless it allows this version")
  func newerSchemaMustAllowThisVersion() async throws {
    await (try file.open()).close()
    try file.execute("INSERT INTO qudo_schema VALUES(98, 0, 1, 1)")
    #expect(refusal() == nil)
    try file.execute("INSERT INTO qudo_schema VALUES(99, 0, 1, 99)")
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
      await #expect(throws: QudoError.self) { try await driver.claim(demand(1000)) }
    } catch let error as QudoError {
      #expect(error.code == .corrupt)
    }
  }

  @Test func anEmptyFileIsANewDatabase() async throws {
    try Data().write(to: URL(fileURLWithPath: file.path))
    #expect(try await file.open().insert([job()]) == [.inserted(1)])
  }

  /// A single byte is empty to SQLite: it writes one itself to work round a file system.
  @Test(arguments: [2, 15, 100, 512, 5000])
  func garbageIsNotADatabaseAndIsLeft(bytes: Int) throws {
    let garbage = Data((0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) })
    try garbage.write(to: URL(fileURLWithPath: file.path))
    #expect(refusal() == .notADatabase)
    #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == garbage)
    #expect(try FileManager.default.contentsOfDirectory(atPath: file.folder.path) == ["jobs.db"])
  }

  @Test func aMissingFileIsNotMadeUnlessAsked() throws {
    #expect { try SQLiteDriver(path: file.path, create: false) } throws: {
      ($0 as? QudoError)?.code == .cannotOpen
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: file.folder.path) == [])
  }

  /// SQLite follows it, so that all who open the file, by whatever name, share the files next to the real one.
  @Test func aSymbolicLinkIsTheFileThatItPointsTo() async throws {
    let link = file.folder.appendingPathComponent("link.db").path
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "jobs.db")
    let byLink = try SQLiteDriver(path: link, durability: .normal)
    let direct = try file.open()
    _ = try await byLink.insert([job("x")])
    #expect(try await direct.claim(demand()).texts == ["x"])
    #expect(try await byLink.count() == [JobCount("a", running: 1)])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: file.folder.path).sorted()
        == ["jobs.db", "jobs.db-shm", "jobs.db-wal", "link.db"])
  }

  @Test(arguments: ["file:odd?mode=memory.db", "a b'c\"%20.db", "émoji 🐦.db", "-rf.db"])
  func aNameIsOnlyAName(name: String) async throws {
    let path = file.folder.appendingPathComponent(name).path
    _ = try await SQLiteDriver(path: path, durability: .normal).insert([job()])
    #expect(FileManager.default.fileExists(atPath: path))
  }

  @Test(arguments: ["", ":memory:", "a\0b"])
  func whatIsNoPathIsRefused(path: String) {
    #expect { try SQLiteDriver(path: path) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
  }

  @Test("Planted triggers do not fire, and planted views are not read")
  func plantedTriggersAndViewsAreInert() async throws {
    await (try file.open()).close()
    try file.execute(
      """
      CREATE TABLE spy(what);
      CREATE TRIGGER spy1 AFTER INSERT ON qudo_job BEGIN INSERT INTO spy VALUES('insert'); END;
      CREATE TRIGGER spy2 BEFORE DELETE ON qudo_ready BEGIN SELECT RAISE(ABORT, 'no'); END;
      CREATE TRIGGER spy3 AFTER INSERT ON qudo_running BEGIN UPDATE qudo_running SET token = 0; END;
      CREATE VIEW qudo_view AS SELECT * FROM qudo_job;
      """)
    let driver = try file.open()
    _ = try await driver.insert([job()])
    let claimed = try await driver.claim(demand()).jobs
    #expect(
      try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil).results == [
        .settled()
      ])
    #expect(try file.rows("SELECT * FROM spy") == [])
  }

  @Test func aTableThatAViewReplacedIsRefused() async throws {
    await (try file.open()).close()
    try file.execute(
      "DROP TABLE qudo_ready; CREATE VIEW qudo_ready AS SELECT 1 AS kind, 0 AS rank, 0 AS due, 1 AS id")
    #expect(refusal() == .foreignSchema)
  }

  @Test("A view that replaces a table later is an error and is not read")
  func viewInPlaceOfATableIsNotRead() async throws {
    let driver = try file.open()
    try file.execute(
      "DROP TABLE qudo_ready; CREATE VIEW qudo_ready AS SELECT 1 AS kind, 0 AS rank, 0 AS due, 1 AS id")
    await #expect(throws: QudoError.self) { try await driver.count() }
    await #expect(throws: QudoError.self) { try await driver.insert([job()]) }
  }

  @Test func aMessageNamesTheFile() throws {
    try Data("garbage, garbage".utf8).write(to: URL(fileURLWithPath: file.path))
    #expect { try file.open() } throws: { "\($0)".contains(file.path) }
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
