import CSQLite
import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Backups while other processes commit as fast as they can, and backups and restores that are killed.
@Suite(.timeLimit(.minutes(10))) struct BackupTortureTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
    "qudo-backup-\(UUID().uuidString)")
  private var database: String { folder.appendingPathComponent("jobs.db").path }
  private var backup: String { database + ".backup" }

  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false) }

  private func log(_ name: String) -> String { folder.appendingPathComponent("\(name).log").path }

  private func start(_ role: String, _ log: String, _ seed: Int) throws -> ChildProcess {
    try ChildProcess(try built("TortureProcess").path, [role, database, self.log(log), "\(seed)"])
  }

  private func kill(_ process: ChildProcess) {
    process.kill(SIGKILL)
    _ = process.end(within: 60)
  }

  /// The complete lines of a process's log.
  private func lines(_ log: String) -> [Substring] {
    let text = (try? String(contentsOfFile: self.log(log), encoding: .utf8)) ?? ""
    return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
  }

  private func wait(_ process: ChildProcess, for count: Int, in log: String) async throws {
    while lines(log).count < count {
      try #require(process.isRunning, "the process ended by itself")
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  private func rows(_ sql: String, _ path: String) throws -> [String] {
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    var rows: [String] = []
    while sqlite3_step(statement) == SQLITE_ROW {
      rows.append(String(cString: sqlite3_column_text(statement, 0)))
    }
    return rows
  }

  private let payloads = "SELECT CAST(payload AS TEXT) FROM qudo_job WHERE payload IS NOT NULL ORDER BY id"

  @Test("ends, is sound, restores, and has each job that was acknowledged before") func underLoad()
    async throws
  {
    defer { try? FileManager.default.removeItem(at: folder) }
    let writers = try [1, 2].map { try start("enqueue", "writer\($0)", $0) }
    defer { writers.forEach(kill) }
    for (index, writer) in writers.enumerated() { try await wait(writer, for: 500, in: "writer\(index + 1)") }
    for round in 1...3 {
      let before = ["writer1", "writer2"].flatMap(lines)
      let acknowledged = Set(before.map { String($0.dropFirst("ack ".count)) })
      let report = try await SQLiteDriver.backup(of: database, to: backup, replacing: round > 1)
      #expect(!writers.contains { !$0.isRunning })
      #expect(try rows("PRAGMA integrity_check", backup) == ["ok"])
      let jobs = try rows(payloads, backup)
      #expect(acknowledged.isSubset(of: jobs) && acknowledged.count >= 1000)
      #expect(report.jobs?.reduce(0) { $0 + $1.ready + $1.delayed + $1.running } == jobs.count)
      let restored = database + ".restored"
      _ = try await SQLiteDriver.restore(from: backup, to: restored, replacing: round > 1)
      #expect(try rows(payloads, restored) == jobs)
      #expect(try rows("PRAGMA integrity_check", restored) == ["ok"])
      // They have gone on.
      try await wait(writers[0], for: lines("writer1").count + 10, in: "writer1")
    }
    // It is a queue.
    let driver = try SQLiteDriver(path: database + ".restored")
    #expect(
      try await driver.claim(ClaimRequest([.init("torture")], limit: 10)).jobs.count == 10)
    await driver.close()
  }

  @Test("a backup that is killed leaves no file under its name, or the old one", arguments: 0..<4)
  func killedBackup(step: Int) async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let driver = try SQLiteDriver(path: database, durability: .normal)
    // More than one step of a copy.
    _ = try await driver.insert(
      (0..<1000).map { NewJob("a", payload: Payload("\($0)" + String(repeating: "x", count: 5_000))) })
    for round in 1...2 {
      let process = try start("backup", "\(round)", step)
      defer { kill(process) }
      try await wait(process, for: 1, in: "\(round)")
      kill(process)
      let exists = FileManager.default.fileExists(atPath: backup)
      #expect(exists == (round == 2) && FileManager.default.fileExists(atPath: backup + ".partial"))
      if exists { #expect(try rows("SELECT count(*) FROM qudo_job", backup) == ["1000"]) }
      // The queue is free, and the next backup writes over what was left.
      _ = try await driver.insert([NewJob("a", payload: Payload("after \(round)"))])
      if round == 1 {
        #expect(try rows("SELECT count(*) FROM qudo_job", database) == ["1001"])
        _ = try await driver.cancel([1001], reason: nil)
        try await driver.backup(to: backup)
      } else {
        try await driver.backup(to: backup, replacing: true)
        #expect(try rows("SELECT count(*) FROM qudo_job", backup) == ["1001"])
      }
      #expect(!FileManager.default.fileExists(atPath: backup + ".partial"))
      #expect(try rows("PRAGMA integrity_check", backup) == ["ok"])
    }
    await driver.close()
  }

  @Test("a restore that is killed leaves the old database or the new one", arguments: 0..<5)
  func killedRestore(step: Int) async throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let driver = try SQLiteDriver(path: database, durability: .normal)
    _ = try await driver.insert((0..<100).map { NewJob("a", payload: Payload("\($0)")) })
    _ = try await driver.backup(to: backup)
    _ = try await driver.insert((0..<50).map { NewJob("a", payload: Payload("later \($0)")) })
    await driver.close()
    let process = try start("restore", "restore", step)
    defer { kill(process) }
    try await wait(process, for: 1, in: "restore")
    if step < 4 {
      // Nobody else gets in meanwhile.
      #expect(throws: QudoError.self) {
        _ = try SQLiteDriver(path: database, create: false, busyTimeout: .milliseconds(1))
      }
    }
    kill(process)
    let there = try SQLiteDriver(path: database, durability: .normal, create: false)
    #expect(try await there.count() == [JobCount("a", ready: step == 4 ? 100 : 150)])
    #expect(try await there.insert([NewJob("a")]) == [.inserted(151)])
    await there.close()
    #expect(try rows("PRAGMA integrity_check", database) == ["ok"])
    _ = try await SQLiteDriver.restore(from: backup, to: database, replacing: true)
    #expect(try rows("SELECT count(*) FROM qudo_job", database) == ["100"])
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
      $0.contains(".partial")
    }
    #expect(left == [])
  }
}
