import CSQLite
import FaultyDisk
import Testing

/// The disk itself: that it forgets, tears and fails as it is told to.
@Suite struct FaultyDiskTests {
  /// What a database of one table has after a power loss.
  private func rows(_ sql: [String], _ survival: Survival, _ seed: UInt64 = 1, fault: Fault? = nil) throws
    -> [String]
  {
    let disk = FaultyDisk()
    let folder = try Folder([:])
    var handle: OpaquePointer?
    #expect(
      sqlite3_open_v2(folder.path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, disk.name)
        == SQLITE_OK)
    sqlite3_exec(
      handle, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t(a)", nil, nil, nil)
    if let fault { disk.arm(fault) }
    for statement in sql { sqlite3_exec(handle, statement, nil, nil, nil) }
    let images = disk.images(survival, seed: seed)
    sqlite3_close(handle)
    return try Folder(images).run("SELECT a FROM t")
  }

  @Test func whatIsNotSyncedIsGoneAndWhatIsSyncedIsThere() throws {
    let sql = [
      "PRAGMA synchronous = FULL", "INSERT INTO t VALUES(1)", "PRAGMA synchronous = NORMAL",
      "INSERT INTO t VALUES(2)",
    ]
    #expect(try rows(sql, .nothing) == ["1"])
    #expect(try rows(sql, .all) == ["1", "2"])
    #expect(Set(try (1...30).map { try rows(sql, .some, $0).count }) == [1, 2])
  }

  @Test func whatAFailedSyncLeftIsNotBroughtByTheNextOne() throws {
    let sql = [
      "PRAGMA synchronous = NORMAL", "INSERT INTO t VALUES(1)", "PRAGMA synchronous = FULL",
      "INSERT INTO t VALUES(2)",
    ]
    #expect(try rows(sql + ["INSERT INTO t VALUES(3)"], .nothing) == ["1", "2", "3"])
    #expect(try rows(sql + ["INSERT INTO t VALUES(3)"], .nothing, fault: Fault(.error, .sync, at: 1)) == [])
  }

  @Test func aMachineThatIsOffWritesNothing() throws {
    let sql = [
      "PRAGMA synchronous = FULL", "INSERT INTO t VALUES(1)", "INSERT INTO t VALUES(2)",
      "INSERT INTO t VALUES(3)",
    ]
    #expect(try rows(sql, .nothing, fault: Fault(.powerLoss, .sync, at: 2)) == ["1"])
  }

  @Test func aFileWhoseFolderIsNotSyncedMayBeMissing() throws {
    let disk = FaultyDisk()
    let folder = try Folder([:])
    var handle: OpaquePointer?
    #expect(
      sqlite3_open_v2(folder.path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, disk.name)
        == SQLITE_OK)
    sqlite3_exec(handle, "PRAGMA synchronous = OFF; CREATE TABLE t(a)", nil, nil, nil)
    #expect(disk.images(.nothing).isEmpty && disk.images(.all).count == 1)
    sqlite3_exec(handle, "PRAGMA synchronous = FULL; CREATE TABLE u(a)", nil, nil, nil)
    #expect(disk.images(.nothing).count >= 1)
    sqlite3_close(handle)
  }
}
