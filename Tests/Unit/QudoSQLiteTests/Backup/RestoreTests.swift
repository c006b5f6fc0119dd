import CSQLite
import Foundation
import ProcessSupport
import Qudo
import QudoTesting
import TestSupport
import Testing

@testable import QudoSQLite

#if canImport(Glibc)
import Glibc
#endif

/// `SQLiteDriver.restore`.
@Suite(.timeLimit(.minutes(5))) struct RestoreTests {
  let file: TemporaryFile
  let clock = ManualClock()
  private let driver: SQLiteDriver
  private var backup: String { file.path + ".backup" }
  private var other: String { file.folder.path + "/other.db" }

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func exists(_ path: String) -> Bool { FileStatus(path) != nil }
  private func open(_ path: String) throws -> SQLiteDriver {
    try SQLiteDriver(path: path, durability: .normal, clock: clock)
  }

  @discardableResult
  private func restore(to path: String, replacing: Bool = false) async throws -> RestorePlan {
    try await SQLiteDriver.restore(from: backup, to: path, replacing: replacing, clock: clock)
  }

  private func info(_ key: String, of path: String) throws -> [String] {
    try AppConnection(path).rows("SELECT hex(value) FROM qudo_info WHERE key = '\(key)'")
  }

  @Test("jobs that were running begin again, no old lease holds, and none counts an expired one")
  func running() async throws {
    _ = try await driver.insert([
      job("1"), job("2"), job("3"), job("later", due: .after(.seconds(60))), job("cancelled"),
    ])
    let claimed = try await driver.claim(demand(2)).jobs
    let held = try await driver.claim(demand(2)).jobs
    #expect(try await driver.cancel([held.last?.id ?? 0], reason: "no longer") == [.cancelling])
    _ = try await driver.backup(to: backup)
    _ = try await driver.settle([Settlement(claimed[0].lease, .completed())], claiming: nil)
    let plan = try await restore(to: other)
    #expect(plan.jobs == [JobCount("a", delayed: 1, running: 3)] && plan.replaced == nil)
    #expect(plan.cancelled == 1 && plan.expired == 0)
    let restored = try open(other)
    let jobs = try await restored.jobs(matching: JobQuery())
    #expect(jobs.map(\.id) == [1, 2, 3, 4] && jobs.allSatisfy { $0.expiredLeases == 0 && $0.attempt == 1 })
    #expect(jobs.map(\.state) == [.ready, .ready, .ready, .delayed])
    // The cancel was acknowledged before the backup.
    #expect(try await restored.failures(LogQuery()).map(\.message) == ["no longer"])
    let late = claimed.map { Settlement($0.lease, .completed()) }
    #expect(try await restored.settle(late, claiming: nil).results == [.leaseLost, .leaseLost])
    #expect(try await restored.renew(claimed.map(\.lease), for: .seconds(60)) == [nil, nil])
    #expect(try await restored.claim(demand()).texts == ["1", "2", "3"])
    #expect(try AppConnection(other).rows("SELECT count(*) FROM qudo_instance") == ["1"])
    await restored.close()
    #expect(try AppConnection(other).rows("PRAGMA integrity_check") == ["ok"])
    // The database of the backup knows nothing of it.
    #expect(try await driver.count() == [JobCount("a", delayed: 1, running: 3)])
  }

  @Test("what ends without a run is not among the jobs to run, in any state, and paused kinds are named")
  func plan() async throws {
    let expires = Expiry.after(.seconds(30))
    func keyed(_ expires: Expiry = .never) -> NewJob {
      NewJob("k", payload: Payload("k"), concurrencyKey: ConcurrencyKey("one"), expires: expires)
    }
    // Four are claimed: two that go on, one of them past its expiry, and two that are to be cancelled.
    _ = try await driver.insert([
      job("run"), job("late", expires: expires), job("cancelled"), job("both", expires: expires),
    ])
    let claimed = try await driver.claim(demand(4)).jobs
    #expect(try await driver.cancel([3, 4], reason: "no longer") == [.cancelling, .cancelling])
    _ = try await driver.insert([
      job("ready"), job("expired", expires: expires), job("later", due: .after(.seconds(90))),
      job("due", due: .after(.seconds(10))),
      job("due and expired", due: .after(.seconds(10)), expires: expires),
      job("changed", due: .after(.seconds(29)), expires: expires), keyed(), keyed(), keyed(expires),
      job("1", kind: "p"), job("2", kind: "p", due: .after(.seconds(90))), job("3", kind: "q"),
      job("gone", kind: "x", expires: expires),
    ])
    _ = try await driver.change([10], JobChange(due: .at(clock.now().wall.advanced(by: .seconds(80)))))
    try await driver.pause(["p"], until: nil, reason: nil)
    try await driver.pause(["q"], until: .after(.seconds(20)), reason: nil)
    _ = try await driver.backup(to: backup)
    clock.advance(by: .seconds(50))
    // The job "run" ends, and so do those that a restore does not run.
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
    _ = try await driver.claim(demand(0))
    await driver.close()
    let plan = try await SQLiteDriver.planRestore(from: backup, to: file.path, clock: clock)
    #expect(
      plan.jobs == [
        JobCount("a", ready: 2, delayed: 1, running: 1), JobCount("k", ready: 1, held: 1),
        JobCount("p", ready: 1, delayed: 1, isPaused: true), JobCount("q", ready: 1),
      ])
    #expect(plan.cancelled == 2 && plan.expired == 6 && plan.replaced?.ended == 1)
    #expect(try await restore(to: file.path, replacing: true) == plan)
    // The plan came true.
    let restored = try open(file.path)
    let claim = try await restored.claim(demand(20, "a", "k", "p", "q", "x"))
    #expect(claim.texts.sorted() == ["3", "due", "k", "ready", "run"])
    #expect(claim.givenUp.count == 6 && claim.givenUp.allSatisfy { $0.reason == .expired })
    let reasons = try await restored.failures(LogQuery(limit: 100)).map(\.reason)
    #expect(reasons.filter { $0 == .cancelled }.count == 2 && reasons.filter { $0 == .expired }.count == 6)
    #expect(
      try await restored.count() == [
        JobCount("a", delayed: 1, running: 3), JobCount("k", running: 1, held: 1),
        JobCount("p", ready: 1, delayed: 1, isPaused: true), JobCount("q", running: 1),
      ])
    await restored.close()
  }

  @Test("the backup stays as it is and is restored twice, each time as another database of the owner's")
  func twice() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: backup))
    for path in [other, other + "2"] {
      try await restore(to: path)
      #expect(FileStatus(path)?.mode == 0o600 && !exists(path + "-wal") && !exists(path + "-shm"))
      #expect(!exists(path + ".partial") && !exists(path + ".partial-wal"))
      let restored = try open(path)
      #expect(restored.name == "jobs")
      #expect(try await restored.claim(demand()).texts == ["1"])
      await restored.close()
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: backup)) == bytes)
    let generations = try [file.path, other, other + "2"].map { try info("generation", of: $0) }
    #expect(Set(generations).count == 3)
    #expect(try info("origin", of: other) == info("generation", of: file.path))
    #expect(try info("origin", of: other + "2") == info("generation", of: file.path))
  }

  @Test("other services know a job by the same key, and a new one by another") func worldKeys() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    func keys(_ driver: SQLiteDriver) async throws -> [String] {
      let keys = Locked<[String]>([])
      let handler = JobHandler("a") { context in keys.withLock { $0.append("\(context.idempotencyKey)") } }
      try await Worker(Queue(driver), handlers: [handler]).workUntilEmpty()
      return keys.withLock { $0 }
    }
    let first = try await keys(driver)
    clock.advance(by: .seconds(1))
    _ = try await driver.insert([job("2")])
    let second = try await keys(driver)
    try await restore(to: other)
    // A restored backup of a restored file is still one history.
    let restored = try open(other)
    try await restored.backup(to: backup, replacing: true)
    #expect(try await keys(restored) == first)
    await restored.close()
    try await restore(to: other, replacing: true)
    let again = try open(other)
    clock.advance(by: .seconds(1))
    // The number 2 is free here, and means another job.
    #expect(try await again.insert([job("2")]) == [.inserted(2)])
    let last = try await keys(again)
    #expect(last.first == first.first && last.count == 2 && Set(last).isDisjoint(with: second))
    await again.close()
  }

  @Test("the ids go on above those of the replaced file; the plan says what runs twice and what is not in it")
  func replaced() async throws {
    _ = try await driver.insert((1...5).map { job("\($0)") })
    _ = try await driver.backup(to: backup)
    let claimed = try await driver.claim(demand(2)).jobs
    _ = try await driver.settle(claimed.map { Settlement($0.lease, .completed()) }, claiming: nil)
    _ = try await driver.insert((6...8).map { job("\($0)") })
    await driver.close()
    await expect(code: .invalidArgument) { try await restore(to: file.path) }
    let dry = try await SQLiteDriver.planRestore(from: backup, to: file.path, clock: clock)
    #expect(dry.replaced?.ended == 2 && dry.replaced?.removed == 3 && dry.replaced?.users == [])
    #expect(try file.rows("SELECT count(*) FROM qudo_job") == ["6"])
    let plan = try await restore(to: file.path, replacing: true)
    #expect(plan == dry && plan.jobs == [JobCount("a", ready: 5)])
    let restored = try open(file.path)
    #expect(try await restored.insert([job("new")]) == [.inserted(9)])
    #expect(try await restored.claim(demand()).texts == ["1", "2", "3", "4", "5", "new"])
    await restored.close()
  }

  @Test("a repeated enqueue with a key adds a job only if the backup does not have it") func receipts()
    async throws
  {
    let keys = [IdempotencyKey(), IdempotencyKey()]
    func keyed(_ number: Int) -> NewJob {
      NewJob("a", payload: Payload("\(number)"), idempotencyKey: keys[number])
    }
    _ = try await driver.insert([keyed(0)])
    _ = try await driver.backup(to: backup)
    _ = try await driver.insert([keyed(1)])
    await driver.close()
    try await restore(to: file.path, replacing: true)
    let restored = try open(file.path)
    #expect(try await restored.insert([keyed(0), keyed(1)]) == [.existing(1), .inserted(3)])
    await restored.close()
  }

  @Test("schedules whose ticks have passed are named") func schedules() async throws {
    let next = clock.now().wall.advanced(by: .seconds(60))
    var paused = StoredSchedule(name: "paused", rule: "cron 0 2 * * * UTC", kind: "a")
    paused.isPaused = true
    _ = try await driver.store([
      StoredSchedule(
        name: "nightly", rule: "cron 0 2 * * * UTC", kind: "a", missed: "last:3", nextTick: next), paused,
    ])
    _ = try await driver.backup(to: backup)
    #expect(try await restore(to: other).overdueSchedules == [])
    clock.advance(by: .seconds(3600))
    #expect(
      try await restore(to: other, replacing: true).overdueSchedules == [
        .init(name: "nightly", kind: "a", nextTick: next, missed: "last:3")
      ])
  }

  // MARK: In use

  @Test(
    "a database that a driver or another program has open is not replaced, and the message names the process")
  func inUse() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    _ = try await driver.insert([job("2")])
    let error = await #expect(throws: QudoError.self) { try await restore(to: file.path, replacing: true) }
    #expect(error?.code == .busy && error?.message.contains("is in use by ") == true)
    #if os(Linux)
    #expect(error?.message.contains("this process (\(getpid()))") == true)
    let plan = try await SQLiteDriver.planRestore(from: backup, to: file.path, clock: clock)
    #expect(plan.replaced?.users.count == 1 && plan.replaced?.ended == 0 && plan.replaced?.removed == 1)
    #endif
    #expect(try await driver.count() == [JobCount("a", ready: 2)])
    await driver.close()
    do {
      let app = try AppConnection(file.path)
      #expect(try app.rows("SELECT count(*) FROM qudo_job") == ["2"])
      await expect(code: .busy) { try await restore(to: file.path, replacing: true) }
    }
    try await restore(to: file.path, replacing: true)
    #expect(try file.rows("SELECT count(*) FROM qudo_job") == ["1"])
  }

  @Test("while a restore runs, nobody else opens the database; then they find the new one") func held()
    async throws
  {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    await driver.close()
    let path = file.path
    let codes = Locked<[QudoError.Code?]>([])
    var restore = Restore(backup: backup, target: path, replaces: true, clock: clock)
    restore.observer = { event in
      guard event != .found, event != .published else { return }
      do throws(QudoError) {
        _ = try SQLiteDriver(path: path, busyTimeout: .milliseconds(1))
        codes.withLock { $0.append(nil) }
      } catch {
        codes.withLock { $0.append(error.code) }
      }
    }
    _ = try await restore.restore()
    #expect(codes.withLock { $0 } == [.busy, .busy, .busy, .busy])
    let restored = try open(path)
    #expect(try await restored.claim(demand()).texts == ["1"])
    await restored.close()
  }

  /// Runs asynchronous work on the thread of a restore.
  private static func wait(_ body: @escaping @Sendable () async throws -> Void) {
    let done = DispatchSemaphore(value: 0)
    Task {
      await #expect(throws: Never.self) { try await body() }
      done.signal()
    }
    done.wait()
  }

  @Test(
    "a database that a worker creates while the backup is copied is not overwritten",
    arguments: [true, false],
    [Restore.Event.found, .copied, .synced, .cleared])
  func created(staysOpen: Bool, event: Restore.Event) async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    let (path, worker) = (other, Locked<SQLiteDriver?>(nil))
    var restore = Restore(backup: backup, target: path, replaces: true, clock: clock)
    restore.observer = { [clock] now in
      guard now == event else { return }
      Self.wait {
        let driver = try SQLiteDriver(path: path, durability: .normal, clock: clock)
        _ = try await driver.insert([job("live")])
        if staysOpen { worker.withLock { $0 = driver } } else { await driver.close() }
      }
    }
    let error = await #expect(throws: QudoError.self) { try await restore.restore() }
    #expect(
      error?.code == .busy && error?.message.contains("was created while the backup was copied") == true,
      "\(String(describing: error))")
    #expect(!exists(path + ".partial"))
    if let worker = worker.withLock({ $0 }) {
      #expect(try await worker.insert([job("later")]) == [.inserted(2)])
      await worker.close()
    }
    let live = try open(path)
    #expect(try await live.claim(demand()).texts == (staysOpen ? ["live", "later"] : ["live"]))
    await live.close()
    #expect(try AppConnection(path).rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test(
    "a database that takes the place of the old one meanwhile keeps its files", arguments: [true, false],
    [Restore.Event.found, .holds, .copied, .synced, .cleared])
  func moved(isDamaged: Bool, event: Restore.Event) async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    let old = try open(other)
    await old.close()
    if isDamaged { try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: other)) }
    // A database with a job in its -wal, as a process that was killed left it.
    let folder = file.folder.path
    let new = folder + "/new"
    let copying = try ChildProcess(
      "/bin/sh", ["-ec", "mkdir $1/new; cp $1/jobs.db $1/jobs.db-wal $1/jobs.db-shm $1/new", "sh", folder])
    try #require(copying.end(within: 60) == 0)
    let size = FileStatus(new + "/jobs.db-wal")?.size ?? 0
    #expect(size > 0)
    let path = other
    var restore = Restore(backup: backup, target: path, replaces: true, clock: clock)
    restore.observer = { now in
      guard now == event else { return }
      for ending in ["-wal", "-shm", ""] { #expect(rename(new + "/jobs.db" + ending, path + ending) == 0) }
    }
    let error = await #expect(throws: QudoError.self) { try await restore.restore() }
    #expect(error?.code == .busy, "\(String(describing: error))")
    #expect(error?.message.hasPrefix("\(path) was replaced ") == true, "\(String(describing: error))")
    #expect(FileStatus(path + "-wal")?.size == size && exists(path + "-shm") && !exists(path + ".partial"))
    let live = try open(path)
    #expect(try await live.claim(demand()).texts == ["1"])
    await live.close()
    #expect(try AppConnection(path).rows("PRAGMA integrity_check") == ["ok"])
  }

  #if os(Linux)
  @Test("the end of a restore releases no lock of a driver that has opened the new file") func locks()
    async throws
  {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    let (path, worker) = (other, Locked<SQLiteDriver?>(nil))
    var restore = Restore(backup: backup, target: path, clock: clock)
    restore.observer = { [clock] event in
      guard event == .published else { return }
      Self.wait {
        let driver = try SQLiteDriver(path: path, durability: .normal, clock: clock)
        _ = try await driver.insert([job("2")])
        worker.withLock { $0 = driver }
      }
    }
    _ = try await restore.restore()
    // A line of /proc/locks is `1: POSIX  ADVISORY  READ 4711 fd:01:1234 1073741826 1073742335`.
    let inode = try #require(FileStatus(path)?.inode)
    let locks = try String(contentsOfFile: "/proc/locks", encoding: .utf8).split(separator: "\n").filter {
      $0.contains(" POSIX ") && $0.contains(" \(getpid()) ") && $0.contains(":\(inode) ")
    }
    #expect(!locks.isEmpty)
    await worker.withLock { $0 }?.close()
  }
  #endif

  @Test("a database of another program is not replaced, and one without tables is") func foreignTarget()
    async throws
  {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    for mode in ["WAL", "DELETE"] {
      try AppConnection(other).run("PRAGMA journal_mode = \(mode); CREATE TABLE IF NOT EXISTS mine(x)")
      await expect(code: .unsupportedDatabase) { try await restore(to: other, replacing: true) }
      await expect(code: .unsupportedDatabase) {
        _ = try await SQLiteDriver.planRestore(from: backup, to: other, clock: clock)
      }
      #expect(try AppConnection(other).rows("SELECT count(*) FROM mine") == ["0"])
    }
    try AppConnection(other).run("DROP TABLE mine")
    #expect(try await restore(to: other, replacing: true).jobs == [JobCount("a", ready: 1)])
  }

  @Test("a damaged old file does not use up the ids") func highestID() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    await driver.close()
    try file.execute("INSERT OR REPLACE INTO qudo_info VALUES('highest_id', 9223372036854775807)")
    try await restore(to: file.path, replacing: true)
    let restored = try open(file.path)
    #expect(try await restored.insert([job("2")]) == [.inserted(2)])
    await restored.close()
  }

  @Test("changes beside the backup are noticed, before and during the copy", arguments: ["-wal", "-journal"])
  func besideBackup(ending: String) async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    let beside = backup + ending
    var meanwhile = Restore(backup: backup, target: other, clock: clock)
    meanwhile.observer = { event in
      guard event == .holds else { return }
      #expect(throws: Never.self) { try Data("changes".utf8).write(to: URL(fileURLWithPath: beside)) }
    }
    await expect(code: .busy) { _ = try await meanwhile.restore() }
    let error = await #expect(throws: QudoError.self) { try await restore(to: other) }
    #expect(error?.code == .unsupportedDatabase && error?.message.contains("a \(ending) next to") == true)
    #expect(!exists(other) && !exists(other + ".partial"))
    try Data().write(to: URL(fileURLWithPath: beside))
    try await restore(to: other)
  }

  @Test("a process that has the old file open notices") func oldFile() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    try FileManager.default.removeItem(atPath: file.path)
    // Its -wal is still there, and is not the new file's.
    await expect(code: .busy) { try await restore(to: file.path) }
    for end in ["-wal", "-shm"] { try FileManager.default.removeItem(atPath: file.path + end) }
    try await restore(to: file.path)
    // It looks every 10 ms.
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end, (try? await driver.insert([job("2")])) != nil {}
    await expect(code: .databaseReplaced) { _ = try await driver.insert([job("2")]) }
    await expect(code: .databaseReplaced) { _ = try await driver.claim(demand()) }
    await driver.close()
    let restored = try open(file.path)
    #expect(try await restored.claim(demand()).texts == ["1"])
    await restored.close()
  }

  @Test("what a killed process left beside the old file is neither lost nor taken for the new one's")
  func killed() async throws {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    _ = try await driver.insert((0..<50).map { job("later \($0)") })
    // What a process that is killed now leaves. Another process copies: here, closing the file would lose SQLite's locks.
    let copying = try ChildProcess(
      "/bin/sh",
      [
        "-ec", "mkdir $1/crashed; cp $1/jobs.db $1/jobs.db-wal $1/jobs.db-shm $1/crashed", "sh",
        file.folder.path,
      ])
    try #require(copying.end(within: 60) == 0)
    let crashed = file.folder.path + "/crashed/jobs.db"
    #expect((FileStatus(crashed + "-wal")?.size ?? 0) > 0)
    // A restore that fails after it has locked the old file: what was in the -wal is in the file now.
    try FileManager.default.createDirectory(atPath: crashed + ".partial", withIntermediateDirectories: false)
    await #expect(throws: QudoError.self) { try await restore(to: crashed, replacing: true) }
    #expect(FileStatus(crashed + "-wal")?.size == 0)
    let old = try open(crashed)
    #expect(try await old.count() == [JobCount("a", ready: 51)])
    await old.close()
    try FileManager.default.removeItem(atPath: crashed + ".partial")
    #expect(try await restore(to: crashed, replacing: true).replaced?.removed == 50)
    let restored = try open(crashed)
    #expect(try await restored.claim(demand()).texts == ["1"])
    await restored.close()
    #expect(try AppConnection(crashed).rows("PRAGMA integrity_check") == ["ok"])
  }

  @Test("a replaced file keeps its permissions, and one that cannot be read is replaced") func oldOnes()
    async throws
  {
    _ = try await driver.insert([job("1")])
    _ = try await driver.backup(to: backup)
    try Data(repeating: 7, count: 8192).write(to: URL(fileURLWithPath: other))
    #expect(chmod(other, 0o640) == 0)
    let plan = try await restore(to: other, replacing: true)
    #expect(plan.replaced?.damage != nil && plan.replaced?.ended == nil)
    #expect(FileStatus(other)?.mode == 0o640)
    #expect(try AppConnection(other).rows("PRAGMA integrity_check") == ["ok"])
    // Another queue's jobs cannot be compared.
    try FileManager.default.removeItem(atPath: other)
    let strange = try open(other)
    _ = try await strange.insert((0..<9).map { job("\($0)") })
    await strange.close()
    #expect(try await restore(to: other, replacing: true).replaced?.ended == nil)
    let restored = try open(other)
    #expect(try await restored.insert([job("new")]) == [.inserted(10)])
    await restored.close()
  }

  // MARK: Backups that cannot be used

  @Test("a damaged, foreign or newer backup, or none, is refused and changes nothing") func refused()
    async throws
  {
    _ = try await driver.insert((0..<50).map { job("\($0)" + String(repeating: "x", count: 5_000)) })
    _ = try await driver.backup(to: backup)
    let good = try Data(contentsOf: URL(fileURLWithPath: backup))
    func expectRefused(_ code: QudoError.Code, _ bytes: Data?, _ what: String) async throws {
      try? FileManager.default.removeItem(atPath: backup)
      if let bytes { try bytes.write(to: URL(fileURLWithPath: backup)) }
      let error = await #expect(throws: QudoError.self, "\(what)") { try await restore(to: other) }
      #expect(
        error?.code == code && error?.message.hasPrefix(backup) == true,
        "\(what): \(String(describing: error))")
      await #expect(throws: QudoError.self, "\(what)") {
        try await SQLiteDriver.planRestore(from: backup, to: other)
      }
      #expect(!exists(other) && !exists(other + ".partial"), "\(what)")
    }
    var damaged = good
    damaged.replaceSubrange(20_480..<61_440, with: Data(repeating: 0x5A, count: 40_960))
    try await expectRefused(.corrupt, damaged, "damaged pages")
    try await expectRefused(.corrupt, good.prefix(good.count / 2), "cut off")
    try await expectRefused(.notADatabase, Data(repeating: 7, count: 4096), "no database")
    try await expectRefused(.unsupportedDatabase, Data(), "empty")
    try await expectRefused(.cannotOpen, nil, "none")
    try good.write(to: URL(fileURLWithPath: backup))
    try AppConnection(backup).run(
      "PRAGMA journal_mode = DELETE; INSERT INTO qudo_schema SELECT max(version) + 1, 0, 1, max(version) + 1 FROM qudo_schema"
    )
    try await expectRefused(.newerSchema, try Data(contentsOf: URL(fileURLWithPath: backup)), "newer")
    try FileManager.default.removeItem(atPath: backup)
    try AppConnection(backup).run("CREATE TABLE mine(x)")
    try await expectRefused(
      .unsupportedDatabase, try Data(contentsOf: URL(fileURLWithPath: backup)), "foreign")
    // A database that is in use is no backup, and no database is restored onto its own backup.
    await expect(code: .unsupportedDatabase) { try await SQLiteDriver.restore(from: file.path, to: other) }
    try good.write(to: URL(fileURLWithPath: backup))
    await expect(code: .invalidArgument) { try await restore(to: backup, replacing: true) }
    #expect(try Data(contentsOf: URL(fileURLWithPath: backup)) == good)
  }

  @Test("a copy by VACUUM INTO, and one of an older version, become queues of this version") func others()
    async throws
  {
    _ = try await driver.insert([job("1")])
    try AppConnection(file.path).run("VACUUM INTO '\(backup)'")
    try await restore(to: other)
    let restored = try open(other)
    #expect(try await restored.claim(demand()).texts == ["1"])
    await restored.close()
    let old = file.folder.path + "/old.db"
    try AppConnection(old).run("PRAGMA journal_mode = WAL")
    for migration in Schema.migrations.dropLast(2) {
      try AppConnection(old).run(
        "BEGIN; \(migration.sql); INSERT INTO qudo_schema VALUES(\(migration.version), 0, 5, 7); COMMIT")
    }
    try AppConnection(old).run("INSERT INTO qudo_info VALUES('name', 'old')")
    try await SQLiteDriver.backup(of: old, to: backup, replacing: true)
    let plan = try await restore(to: other, replacing: true)
    #expect(plan.jobs == nil && plan.schemaVersion == Int(Schema.version) - 2 && plan.database == "old")
    #expect(try AppConnection(other).rows("SELECT max(version) FROM qudo_schema") == ["\(Schema.version)"])
  }

  #if os(Linux)
  @Test("a full disk leaves the old database", .enabled(if: SmallDisk.canMount)) func fullDisk() async throws
  {
    let disk = try SmallDisk()
    let path = disk.folder + "/jobs.db"
    let small = try open(path)
    _ = try await small.insert([job("old")])
    await small.close()
    _ = try await driver.insert((0..<100).map { job("\($0)" + String(repeating: "x", count: 60_000)) })
    _ = try await driver.backup(to: backup)
    await expect(code: .diskFull) { try await restore(to: path, replacing: true) }
    let old = try open(path)
    #expect(try await old.claim(demand()).texts == ["old"])
    await old.close()
    #expect(try FileManager.default.contentsOfDirectory(atPath: disk.folder) == ["jobs.db"])
  }
  #endif
}
