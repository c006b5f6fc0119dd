import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Who holds a lease, and whether it lives: by the kernel's locks and not by what a machine calls its boot.
@Suite struct InstanceTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  @Test(
    "containers that call the same boot otherwise leave each other's leases alone",
    arguments: ["boot-2", "unknown", ""])
  func otherBootID(other: String) async throws {
    let host = try file.open(clock: clock)
    let container = try file.open(clock: ManualClock(boot: other))
    _ = try await host.insert([job("1"), job("2")])
    let first = try #require(try await host.claim(demand(1)).jobs.first)
    let second = try #require(try await container.claim(demand(1)).jobs.first)
    for _ in 0..<3 {
      #expect(try await container.claim(demand()).texts == [])
      #expect(try await host.claim(demand()).texts == [])
    }
    #expect(try await host.count() == [JobCount("a", running: 2)])
    #expect(
      try await container.settle([Settlement(second.lease, .completed())], claiming: nil).results == [
        .settled()
      ])
    #expect(
      try await host.settle([Settlement(first.lease, .completed())], claiming: nil).results == [.settled()])
  }

  @Test("a reboot under the same boot id keeps no lease")
  func sameBootID() async throws {
    clock.advance(by: .seconds(100 * 86_400))
    let before = try file.open(clock: clock)
    _ = try await before.insert([job("1")])
    #expect(try await before.claim(demand()).texts == ["1"])
    await before.close()
    let after = try file.open(clock: ManualClock())
    #expect(try await after.claim(demand()).texts == ["1"])
  }

  @Test("without kernel locks a lease goes by its boot, and never ends later than its length from now")
  func withoutLocks() async throws {
    clock.advance(by: .seconds(100 * 86_400))
    let before = try file.open(clock: clock)
    _ = try await before.insert([job("1"), job("2")])
    _ = try await before.claim(demand(1))
    await before.close()
    try file.execute("UPDATE qudo_instance SET locked = 0")
    let same = try file.open(clock: clock)
    #expect(try await same.claim(demand(1)).texts == ["2"])
    #expect(try await same.count() == [JobCount("a", running: 2)])
    await same.close()
    try file.execute("UPDATE qudo_instance SET locked = 0")
    // The clock starts again, and the boot has the same name.
    let after = try file.open(clock: ManualClock())
    #expect(try await after.jobs(matching: JobQuery()).map(\.state) == [.ready, .ready])
    #expect(try await after.claim(demand()).texts == ["1", "2"])
    await after.close()
    try file.execute("UPDATE qudo_instance SET locked = 0")
    let other = try file.open(clock: ManualClock(boot: "boot-2"))
    #expect(try await other.claim(demand()).texts == ["1", "2"])
  }

  @Test("an instance whose number was given twice takes another one")
  func numberGivenTwice() async throws {
    let first = try file.open(clock: clock)
    _ = try await first.insert([job("1"), job("2")])
    _ = try await first.claim(demand(1))
    // As a restore leaves it: the file does not know of the first one.
    try file.execute(
      "DELETE FROM qudo_instance; UPDATE sqlite_sequence SET seq = 0 WHERE name = 'qudo_instance'; DELETE FROM qudo_running"
    )
    let second = try file.open(clock: clock)
    #expect(try await second.claim(demand(1)).texts == ["2"])
    #expect(try file.rows("SELECT id FROM qudo_instance") == ["2"])
    await expect(code: .databaseReplaced) { _ = try await first.claim(demand(1)) }
  }

  @Test("drivers that are gone leave no rows behind")
  func rowsGo() async throws {
    for _ in 0..<5 {
      let driver = try file.open(clock: clock)
      _ = try await driver.insert([job()])
      let claimed = try await driver.claim(demand()).jobs
      _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
      await driver.close()
    }
    #expect(try file.rows("SELECT id FROM qudo_instance") == ["5"])
  }

  @Test("an enqueue alone needs no instance")
  func enqueuesAlone() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job()])
    _ = try await driver.claim(demand(1, "b"))
    #expect(try file.rows("SELECT count(*) FROM qudo_instance") == ["0"])
  }
}

/// One process at `off` takes the promise of all others away.
@Suite struct FileDurabilityTests {
  let file: TemporaryFile

  init() throws { file = try TemporaryFile() }

  private func open(_ durability: SQLiteDriver.Durability) throws -> SQLiteDriver {
    try SQLiteDriver(path: file.path, durability: durability)
  }

  @Test(
    "off is refused beside full and normal, and they beside off",
    arguments: [SQLiteDriver.Durability.full, .normal])
  func offBeside(other: SQLiteDriver.Durability) async throws {
    let first = try open(other)
    #expect { try open(.off) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    let second = try open(other == .full ? .normal : .full)
    await first.close()
    #expect { try open(.off) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    await second.close()
    let off = try open(.off)
    let otherOff = try open(.off)
    #expect { try open(other) } throws: { ($0 as? QudoError)?.code == .invalidArgument }
    await off.close()
    await otherOff.close()
    _ = try open(other)
  }

  @Test("what was written at off is synced before a driver above it writes")
  func syncedAfterOff() async throws {
    let marks = "SELECT count(*) FROM qudo_info WHERE key = 'unsynced'"
    let off = try open(.off)
    _ = try await off.insert([job()])
    await off.close()
    #expect(try file.rows(marks) == ["1"])
    let full = try open(.full)
    #expect(try file.rows(marks) == ["0"])
    await full.close()
  }
}

/// A file that is not any more what was opened.
@Suite struct ReplacedFileTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  @Test(
    "a restore under a running process is noticed by the next enqueue; no kind and no id is taken for another"
  )
  func restore() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    try file.execute("VACUUM INTO '\(file.path).backup'")
    _ = try await driver.insert([job("2", kind: "b")])
    try restore(from: "\(file.path).backup")
    await expect(code: .databaseReplaced) { _ = try await driver.insert([job("3", kind: "b")]) }
    await expect(code: .databaseReplaced) { _ = try await driver.claim(demand()) }
    await driver.close()
    let again = try file.open(clock: clock)
    // The ids that were given before the restore are not given again, and the file counts as another one.
    #expect(try await again.insert([job("3", kind: "c")]) == [.inserted(3)])
    #expect(try await again.claim(demand(9, "a", "b", "c")).texts == ["1", "3"])
  }

  @Test("what a connection knows of kinds does not outlive a restore")
  func kinds() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    try file.execute("VACUUM INTO '\(file.path).backup'")
    // Knows the kind, and no id that the backup does not know.
    try file.execute("INSERT INTO qudo_kind(name) VALUES('b')")
    let other = try file.open(clock: clock)
    #expect(try await other.claim(demand(9, "b", "x")).texts == [])
    try restore(from: "\(file.path).backup")
    _ = try await driver.insert([job("c", kind: "c")])
    #expect(try await other.claim(demand(9, "b", "x")).texts == [])
    #expect(try await other.claim(demand(9, "c")).texts == ["c"])
  }

  @Test("no listing knows the kinds of what a restore removed")
  func listedKinds() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    try file.execute("VACUUM INTO '\(file.path).backup'")
    let other = try file.open(clock: clock)
    _ = try await other.insert([job("b", kind: "b")])
    #expect(try await driver.count(["b"]).map(\.ready) == [1])
    try restore(from: "\(file.path).backup")
    let third = try file.open(clock: clock)
    _ = try await third.insert([job("c", kind: "c")])
    #expect(try await driver.count(["b"]) == [])
    #expect(try await driver.jobs(matching: JobQuery(kinds: ["b"])) == [])
    #expect(try await driver.count(["c"]).map(\.ready) == [1])
  }

  @Test("a file with the content of another one is noticed")
  func otherFile() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    let other = try TemporaryFile()
    let source = try other.open(clock: clock)
    _ = try await source.insert((0..<9).map { job("\($0)") })
    await source.close()
    try restore(from: other.path)
    await expect(code: .databaseReplaced) { _ = try await driver.insert([job("2")]) }
  }

  @Test(
    "a file that is removed, renamed or replaced is noticed by each call",
    arguments: ["removed", "renamed", "replaced", "wal removed", "wal renamed", "shm removed", "shm renamed"])
  func moved(how: String) async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    _ = try await driver.count()
    let files = FileManager.default
    switch how {
    case "removed": for end in ["", "-wal", "-shm"] { try files.removeItem(atPath: file.path + end) }
    case "renamed": try files.moveItem(atPath: file.path, toPath: file.path + ".old")
    case "wal removed": try files.removeItem(atPath: file.path + "-wal")
    case "wal renamed": try files.moveItem(atPath: file.path + "-wal", toPath: file.path + "-wal.old")
    case "shm removed": try files.removeItem(atPath: file.path + "-shm")
    case "shm renamed": try files.moveItem(atPath: file.path + "-shm", toPath: file.path + "-shm.old")
    default:
      let other = try TemporaryFile()
      await (try other.open(clock: clock)).close()
      try files.removeItem(atPath: file.path)
      try files.moveItem(atPath: other.path, toPath: file.path)
    }
    // It looks every 10 ms.
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end, (try? await driver.insert([job("2")])) != nil {}
    await expect(code: .databaseReplaced) { _ = try await driver.insert([job("2")]) }
    await expect(code: .databaseReplaced) { _ = try await driver.claim(demand()) }
    await expect(code: .databaseReplaced) { _ = try await driver.count() }
    await expect(code: .databaseReplaced) { _ = try await driver.prune(PruneOptions()) }
    await driver.close()
  }

  @Test("a worker of a file that was removed ends")
  func workerEnds() async throws {
    let driver = try file.open(clock: SystemClock())
    let queue = Queue(driver)
    let worker = try Worker(queue, handlers: [JobHandler("a") { _ in }])
    try FileManager.default.removeItem(atPath: file.path)
    await expect(code: .databaseReplaced) { try await worker.work() }
    await queue.close()
  }

  /// By SQLite's own means: in a transaction like any other.
  private func restore(from path: String) throws {
    var (source, target): (OpaquePointer?, OpaquePointer?)
    defer {
      sqlite3_close(source)
      sqlite3_close(target)
    }
    try #require(sqlite3_open(path, &source) == SQLITE_OK && sqlite3_open(file.path, &target) == SQLITE_OK)
    let backup = try #require(sqlite3_backup_init(target, "main", source, "main"))
    try #require(sqlite3_backup_step(backup, -1) == SQLITE_DONE)
    try #require(sqlite3_backup_finish(backup) == SQLITE_OK)
  }
}

func expect(
  code: QudoError.Code, _ body: () async throws -> Void, sourceLocation: SourceLocation = #_sourceLocation
) async {
  await #expect(sourceLocation: sourceLocation) { try await body() } throws: {
    ($0 as? QudoError)?.code == code
  }
}
