import CSQLite
import Foundation
import Qudo
import QudoTesting
import TestSupport
import Testing

@testable import QudoSQLite

#if canImport(Glibc)
import Glibc
#endif

/// `SQLiteDriver.backup`.
@Suite(.timeLimit(.minutes(5))) struct CopyTests {
  let file: TemporaryFile
  let clock = ManualClock()
  private let driver: SQLiteDriver
  private var target: String { file.path + ".backup" }
  private var partial: String { target + ".partial" }

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func exists(_ path: String) -> Bool { FileStatus(path) != nil }

  /// The names in the folder that begin like the backup's.
  private func backups() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: file.folder.path).filter { $0.hasPrefix("jobs.db.") }
      .sorted()
  }

  /// Jobs of some 6 MB: the copy takes several steps.
  private func fill() async throws {
    _ = try await driver.insert((0..<100).map { job("\($0)" + String(repeating: "x", count: 60_000)) })
  }

  @Test("is one plain file of the owner's, with all jobs in their states") func report() async throws {
    _ = try await driver.insert([
      job("1"), job("2"), job("3", kind: "b"), job("4", due: .after(.seconds(60))), job("5"),
    ])
    #expect(try await driver.claim(demand(2)).jobs.count == 2)
    let report = try await driver.backup(to: target)
    #expect(report.database == "jobs" && report.file == target && report.schemaVersion == Int(Schema.version))
    #expect(report.jobs == [JobCount("a", ready: 1, delayed: 1, running: 2), JobCount("b", ready: 1)])
    #expect(Int64(report.bytes) == FileStatus(target)?.size && FileStatus(target)?.mode == 0o600)
    #expect(report.takenAt == clock.now().wall && report.held == .zero && report.took >= report.read)
    #expect(try backups() == ["jobs.db.backup"])
    #expect(try AppConnection(target).rows("PRAGMA integrity_check") == ["ok"])
    #expect(try AppConnection(target).rows("PRAGMA journal_mode") == ["wal"])
    // The queue goes on.
    #expect(try await driver.insert([job("6")]) == [.inserted(6)])
  }

  @Test("an empty queue has a backup as well") func empty() async throws {
    let report = try await driver.backup(to: target)
    #expect(report.jobs == [] && report.bytes > 0)
    #expect(try await SQLiteListings(path: target).count(nil) == [])
  }

  @Test("a file that no process has open keeps no -wal, and an older version's is not migrated")
  func untouched() async throws {
    _ = try await driver.insert([job("1")])
    await driver.close()
    try file.execute("DELETE FROM qudo_schema WHERE version = (SELECT max(version) FROM qudo_schema)")
    let before = try Data(contentsOf: URL(fileURLWithPath: file.path))
    let report = try await SQLiteDriver.backup(of: file.path, to: target)
    #expect(report.jobs == nil && report.schemaVersion == Int(Schema.version) - 1)
    #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == before)
    #expect(!exists(file.path + "-wal") && !exists(file.path + "-shm"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: target)).count == before.count)
  }

  @Test("commits between the steps neither restart the copy nor get into it") func othersCommit() async throws
  {
    try await fill()
    let app = try AppConnection(file.path)
    try app.run("PRAGMA busy_timeout = 60000; CREATE TABLE mine(x); INSERT INTO mine VALUES('before')")
    let path = file.path
    let steps = Locked(0)
    var backup = Backup(database: path, target: target)
    backup.observer = { event in
      guard event == .begun || event == .copied else { return }
      steps.withLock { $0 += 1 }
      #expect(throws: Never.self) {
        try AppConnection(path).run(
          "PRAGMA busy_timeout = 60000; INSERT INTO mine VALUES('later'); UPDATE qudo_job SET payload = 'new'"
        )
      }
    }
    let report = try await backup.start()
    // One for each 2 MiB: a restart would begin again after each of them.
    let pages = report.bytes / 2048
    #expect(steps.withLock { $0 } == 1 + pages / Int(PageCopy.pagesPerStep))
    #expect(try AppConnection(target).rows("SELECT * FROM mine") == ["before"])
    #expect(
      try AppConnection(target).rows("SELECT count(*) FROM qudo_job WHERE length(payload) > 60000") == ["100"]
    )
    #expect(try AppConnection(target).rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("a WAL that grows too large is stopped: writers wait, and enqueues do not fail") func fullWAL()
    async throws
  {
    try await fill()
    let path = file.path
    let busy = try SQLiteDriver(path: path, durability: .normal, maxWALSize: 64 << 20)
    let (holds, sizes) = (Locked(0), Locked<[Int]>([]))
    var backup = Backup(database: path, target: target)
    backup.maxWALSize = 64 << 20
    backup.observer = { event in
      switch event {
      case .begun:
        // What is committed now stays in the WAL until the copy is complete.
        #expect(throws: Never.self) {
          try AppConnection(path).run(
            "PRAGMA busy_timeout = 60000; CREATE TABLE mine(x); INSERT INTO mine VALUES(randomblob(20000000))"
          )
        }
      case .holds:
        holds.withLock { $0 += 1 }
        sizes.withLock { $0.append(Int(FileStatus(path + "-wal")?.size ?? 0)) }
        // No other writer of Qudo gets in.
        let lock = open(path + "-wal", O_RDWR | O_CLOEXEC)
        #expect(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
        close(lock)
      default: break
      }
    }
    let stop = Locked(false)
    let writer = Task {
      var count = 0
      while !stop.withLock({ $0 }) {
        _ = try await busy.insert([job("later")])
        count += 1
      }
      return count
    }
    let report = try await backup.start()
    stop.withLock { $0 = true }
    _ = try await writer.value
    #expect(holds.withLock { $0 } > 0 && report.held > .zero)
    #expect(sizes.withLock { $0 }.allSatisfy { $0 > 16 << 20 && $0 < 64 << 20 })
    #expect(try AppConnection(target).rows("PRAGMA integrity_check") == ["ok"])
    #expect(try await busy.insert([job("last")]).count == 1)
    await busy.close()
  }

  @Test("a WAL file that once was large is measured by what it holds") func oldWAL() async throws {
    try await fill()
    let path = file.path
    let app = try AppConnection(path)
    // 40 MB, all of which are in the database file.
    try app.run(
      """
      PRAGMA busy_timeout = 60000; PRAGMA wal_autocheckpoint = 0; CREATE TABLE mine(x);
      INSERT INTO mine VALUES(randomblob(40000000)); PRAGMA wal_checkpoint(FULL)
      """)
    let size = try #require(FileStatus(path + "-wal")?.size)
    let holds = Locked(0)
    var backup = Backup(database: path, target: target)
    backup.maxWALSize = 64 << 20
    backup.observer = { event in
      if event == .begun {
        #expect(throws: Never.self) {
          try AppConnection(path).run(
            "PRAGMA busy_timeout = 60000; INSERT INTO mine VALUES(randomblob(20000000))")
        }
      } else if event == .holds {
        holds.withLock { $0 += 1 }
      }
    }
    let report = try await backup.start()
    #expect(holds.withLock { $0 } > 0 && report.held > .zero)
    #expect(
      size > 40_000_000 && FileStatus(path + "-wal")?.size == size, "the growth was in the file's old part")
    #expect(try AppConnection(target).rows("SELECT count(*) FROM mine") == ["1"])
  }

  @Test("gives up if connections that do not wait fill the WAL, so that enqueues do not fail") func givesUp()
    async throws
  {
    try await fill()
    let path = file.path
    let busy = try SQLiteDriver(path: path, durability: .normal, maxWALSize: 16 << 20)
    var backup = Backup(database: path, target: target)
    backup.maxWALSize = 16 << 20
    backup.observer = { event in
      guard event == .begun else { return }
      #expect(throws: Never.self) {
        try AppConnection(path).run(
          "PRAGMA busy_timeout = 60000; CREATE TABLE mine(x); INSERT INTO mine VALUES(randomblob(15000000))")
      }
    }
    let error = await #expect(throws: QudoError.self) { try await backup.start() }
    #expect(error?.code == .busy && error?.message.contains("which was given up") == true)
    #expect(try backups() == [])
    #expect(try await busy.insert([job("later")]) == [.inserted(101)])
    await busy.close()
    // It is the WAL's size alone that was too large.
    #expect(try await driver.backup(to: target).jobs == [JobCount("a", ready: 101)])
    await expect(code: .invalidArgument) {
      try await SQLiteDriver.backup(of: path, to: target + "2", maxWALSize: (16 << 20) - 1)
    }
  }

  // MARK: Refusals

  @Test("refuses the database itself, by each of its names, and the files beside it") func itself()
    async throws
  {
    _ = try await driver.insert([job("1")])
    let link = file.folder.path + "/link.db"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file.path)
    for path in [
      file.path, file.path + "-wal", file.path + "-shm", file.path + "-journal", link,
      file.folder.path + "/./jobs.db",
    ] {
      await expect(code: .invalidArgument) { try await driver.backup(to: path, replacing: true) }
    }
    // A hard link makes two files of SQLite's of one, so the database is refused as a whole.
    let other = file.folder.path + "/hard.db"
    try FileManager.default.linkItem(atPath: file.path, toPath: other)
    for path in [other, file.path] {
      await #expect(throws: QudoError.self) {
        try await SQLiteDriver.backup(of: file.path, to: path, replacing: true)
      }
    }
    try FileManager.default.removeItem(atPath: other)
    #expect(try await driver.insert([job("2")]) == [.inserted(2)])
    #expect(try file.rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("refuses a file that exists, unless it is to be replaced") func existing() async throws {
    try Data("mine".utf8).write(to: URL(fileURLWithPath: target))
    await expect(code: .invalidArgument) { try await driver.backup(to: target) }
    #expect(try String(contentsOfFile: target, encoding: .utf8) == "mine" && !exists(partial))
    _ = try await driver.insert([job("1")])
    #expect(try await driver.backup(to: target, replacing: true).jobs == [JobCount("a", ready: 1)])
    #expect(try await SQLiteListings(path: target).count(nil) == [JobCount("a", ready: 1)])
  }

  @Test("refuses folders, links, pipes and other databases that are in use, also to replace them")
  func places() async throws {
    let folder = file.folder.path
    try FileManager.default.createDirectory(atPath: folder + "/sub", withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/soft", withDestinationPath: folder + "/none")
    #expect(mkfifo(folder + "/pipe", 0o600) == 0)
    let other = try SQLiteDriver(path: folder + "/other.db")
    for name in ["sub", "soft", "pipe", "other.db", "sub/"] {
      await #expect(throws: QudoError.self, "\(name)") {
        try await driver.backup(to: "\(folder)/\(name)", replacing: true)
      }
    }
    await expect(code: .cannotOpen) { try await driver.backup(to: folder + "/none/b.db") }
    await expect(code: .invalidArgument) { try await driver.backup(to: "") }
    await expect(code: .invalidArgument) {
      try await driver.backup(to: folder + "/" + String(repeating: "n", count: 250))
    }
    await other.close()
    // A link in the place of the unfinished file leads nowhere.
    try FileManager.default.createSymbolicLink(atPath: partial, withDestinationPath: folder + "/victim")
    await expect(code: .unsupportedDatabase) { try await driver.backup(to: target) }
    #expect(!exists(folder + "/victim"))
  }

  @Test("refuses what is no queue, and a format of a newer version") func foreign() async throws {
    let other = try AppConnection(file.folder.path + "/other.db")
    try other.run("PRAGMA journal_mode = WAL; CREATE TABLE mine(x)")
    await expect(code: .unsupportedDatabase) {
      try await SQLiteDriver.backup(of: file.folder.path + "/other.db", to: target)
    }
    try file.execute(
      "INSERT INTO qudo_schema SELECT max(version) + 1, 0, max(version) + 1, max(version) + 1 FROM qudo_schema"
    )
    await expect(code: .newerSchema) { try await SQLiteDriver.backup(of: file.path, to: target) }
    await expect(code: .cannotOpen) { try await SQLiteDriver.backup(of: file.path + ".none", to: target) }
    #expect(try backups() == [])
  }

  @Test("finds damage before the file gets its name, and keeps the older backup") func damage() async throws {
    try await fill()
    _ = try await driver.backup(to: target)
    let good = try Data(contentsOf: URL(fileURLWithPath: target))
    await driver.close()
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file.path))
    // The second page and some after it.
    try handle.seek(toOffset: 2048)
    try handle.write(contentsOf: Data(repeating: 0x5A, count: 40_960))
    try handle.close()
    let error = await #expect(throws: QudoError.self) {
      try await SQLiteDriver.backup(of: file.path, to: target, replacing: true)
    }
    #expect(
      error?.code == .corrupt && error?.message.hasPrefix(file.path) == true, "\(String(describing: error))")
    #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == good && !exists(partial))
  }

  @Test("two backups at once: each to its own file, and only one to the same") func twice() async throws {
    try await fill()
    let (path, target) = (file.path, target)
    let results = Locked<[Result<BackupReport, QudoError>]>([])
    var backup = Backup(database: path, target: target)
    backup.observer = { event in
      guard event == .begun else { return }
      for place in [target, target + "2"] {
        let done = DispatchSemaphore(value: 0)
        Task {
          let result = await Result { () async throws(QudoError) in
            try await Backup(database: path, target: place).start()
          }
          results.withLock { $0.append(result) }
          done.signal()
        }
        done.wait()
      }
    }
    let report = try await backup.start()
    let found = results.withLock { $0 }
    guard case .failure(let error) = found.first, error.code == .busy else {
      return #expect(Bool(false), "\(found)")
    }
    #expect(try found.last?.get().jobs == report.jobs)
    #expect(try backups() == ["jobs.db.backup", "jobs.db.backup2"])
  }

  @Test("a cancelled task leaves nothing behind") func cancelled() async throws {
    try await fill()
    let path = file.path
    let (begun, tellBegun) = AsyncStream<Void>.makeStream()
    let go = DispatchSemaphore(value: 0)
    var backup = Backup(database: path, target: target)
    backup.observer = { event in
      guard event == .begun else { return }
      tellBegun.yield()
      go.wait()
    }
    let task = Task { [backup] in try await backup.start() }
    for await _ in begun { break }
    task.cancel()
    go.signal()
    await expect(code: .cancelled) { _ = try await task.value }
    #expect(try backups() == [])
  }

  @Test("what a killed backup left is written over") func leftover() async throws {
    _ = try await driver.insert([job("1")])
    try Data(repeating: 1, count: 1 << 20).write(to: URL(fileURLWithPath: partial))
    #expect(try await driver.backup(to: target).bytes < 1 << 20)
    #expect(try backups() == ["jobs.db.backup"])
    #expect(try AppConnection(target).rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("an empty -wal that a killed program left is no database in use; an empty one of a driver is")
  func emptyWAL() async throws {
    _ = try await driver.backup(to: target)
    try Data().write(to: URL(fileURLWithPath: target + "-wal"))
    _ = try await driver.insert([job("1")])
    #expect(try await driver.backup(to: target, replacing: true).jobs == [JobCount("a", ready: 1)])
    let other = try TemporaryFile()
    let open = try other.open()
    _ = try await open.insert([job("live")])
    try AppConnection(other.path).run("PRAGMA wal_checkpoint(TRUNCATE)")
    #expect(FileStatus(other.path + "-wal")?.size == 0)
    await expect(code: .invalidArgument) { try await driver.backup(to: other.path, replacing: true) }
    #expect(try await open.claim(demand()).texts == ["live"])
    await open.close()
  }

  @Test("a database that gets the backup's name meanwhile is not replaced") func createdMeanwhile()
    async throws
  {
    _ = try await driver.insert([job("1")])
    let (target, other) = (target, Locked<SQLiteDriver?>(nil))
    var backup = Backup(database: file.path, target: target, replaces: true)
    backup.observer = { event in
      guard event == .checked else { return }
      #expect(throws: Never.self) {
        let driver = try SQLiteDriver(path: target, durability: .normal)
        other.withLock { $0 = driver }
      }
    }
    await expect(code: .invalidArgument) { _ = try await backup.start() }
    let live = try #require(other.withLock { $0 })
    #expect(try await live.insert([job("live")]) == [.inserted(1)])
    await live.close()
    #expect(!exists(partial))
  }

  @Test("an unfinished file that another one replaces is neither published nor removed") func otherPartial()
    async throws
  {
    _ = try await driver.backup(to: target)
    let good = try Data(contentsOf: URL(fileURLWithPath: target))
    let partial = partial
    for isThere in [true, false] {
      var backup = Backup(database: file.path, target: target, replaces: true)
      backup.observer = { event in
        guard event == .checked else { return }
        #expect(unlink(partial) == 0)
        guard isThere else { return }
        #expect(throws: Never.self) { try Data("mine".utf8).write(to: URL(fileURLWithPath: partial)) }
      }
      await expect(code: .busy) { _ = try await backup.start() }
      #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == good)
      #expect(exists(partial) == isThere)
      if isThere { #expect(try String(contentsOfFile: partial, encoding: .utf8) == "mine") }
    }
  }

  @Test("a closed driver, and one whose file was replaced, make none") func closed() async throws {
    let other = try TemporaryFile()
    let open = try other.open()
    try FileManager.default.removeItem(atPath: other.path)
    try await driver.backup(to: target)
    try FileManager.default.copyItem(atPath: target, toPath: other.path)
    await expect(code: .databaseReplaced) { try await open.backup(to: target + "2") }
    await open.close()
    await driver.close()
    await expect(code: .closed) { try await driver.backup(to: target + "2") }
    #expect(try backups() == ["jobs.db.backup"])
  }

  #if os(Linux)
  @Test("a full disk leaves no file, and the older backup", .enabled(if: SmallDisk.canMount))
  func fullDisk() async throws {
    let disk = try SmallDisk()
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: disk.folder + "/b.db")
    let good = try Data(contentsOf: URL(fileURLWithPath: disk.folder + "/b.db"))
    try await fill()
    await expect(code: .diskFull) { try await driver.backup(to: disk.folder + "/b.db", replacing: true) }
    await expect(code: .diskFull) { try await driver.backup(to: disk.folder + "/c.db") }
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk.folder) == ["b.db"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: disk.folder + "/b.db")) == good)
  }
  #endif
}

extension Result where Failure == QudoError {
  /// The result of an asynchronous call.
  fileprivate init(_ body: () async throws(QudoError) -> Success) async {
    do throws(QudoError) { self = .success(try await body()) } catch { self = .failure(error) }
  }
}

#if os(Linux)
/// A file system of 1 MiB in memory.
final class SmallDisk: Sendable {
  let folder: String

  /// Only root can mount, and not in every container. In CI, that is a failure.
  static let canMount = (try? SmallDisk()) != nil || ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  init() throws {
    folder =
      FileManager.default.temporaryDirectory.appendingPathComponent("qudo-small-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    guard mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0 else {
      rmdir(folder)
      throw CocoaError(.fileWriteNoPermission)
    }
  }

  deinit {
    // Lazily (MNT_DETACH): a test that failed may have files open.
    umount2(folder, 2)
    rmdir(folder)
  }
}
#endif
