import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// No room: nothing is lost, and all works again when there is some.
@Suite struct FullDiskTests {
  private func isFull(_ error: any Error) -> Bool { (error as? QudoError)?.code == .diskFull }

  private func limitPages(_ driver: SQLiteDriver, to count: Int) async throws {
    try await driver.writer.write(isDurable: true, isSmall: true) { transaction throws(QudoError) in
      try transaction.connection.run("PRAGMA max_page_count = \(count)", values: [])
    }
  }

  @Test("A database that may not grow refuses enqueues and keeps its jobs")
  func databaseThatMayNotGrowKeepsItsJobs() async throws {
    let file = try TemporaryFile()
    let driver = try file.open()
    let big = String(repeating: "x", count: 20_000)
    _ = try await driver.insert([job("first"), job("second")])
    let jobs = try await driver.claim(demand()).jobs
    // Less than it has means as much as it has.
    try await limitPages(driver, to: 1)
    await #expect(performing: { try await driver.insert([job(), job(big, kind: "new")]) }, throws: isFull)
    let failed = Settlement(jobs[0].lease, .failed(message: big))
    let replaced = Settlement(jobs[1].lease, .completed(replacements: [job(big)]))
    for settlement in [failed, replaced] {
      await #expect(performing: { try await driver.settle([settlement], claiming: demand()) }, throws: isFull)
    }
    #expect(try await driver.count() == [JobCount("a", running: 2)])
    #expect(try await driver.failures(LogQuery()).isEmpty)
    try await limitPages(driver, to: 1_000_000)
    #expect(
      try await driver.settle([failed, replaced], claiming: nil).results == [
        .settled(), .settled(replacements: [.inserted(3)]),
      ])
    #expect(try await driver.insert([job("again", kind: "new")]) == [.inserted(4)])
    #expect(try await driver.claim(demand(9, "new")).texts == ["again"])
    #expect(try file.rows("PRAGMA integrity_check") == ["ok"])
  }

  #if os(Linux)
  /// Only root can mount, and not in every container. In CI, that is a failure.
  private static let canMount: Bool = {
    guard ProcessInfo.processInfo.environment["QUDO_CI"] == nil else { return true }
    guard let folder = mounted() else { return false }
    unmount(folder)
    return true
  }()

  /// The folder of a new file system of 1 MiB in memory.
  private static func mounted() -> String? {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-full-\(UUID().uuidString)"
    ).path
    guard mkdir(folder, 0o700) == 0 else { return nil }
    guard mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0 else { rmdir(folder); return nil }
    return folder
  }

  private static func unmount(_ folder: String) {
    // Lazily (MNT_DETACH): a test that failed may have files open.
    umount2(folder, 2)
    rmdir(folder)
  }

  @Test(.enabled(if: canMount)) func aFullFileSystemRefusesUntilThereIsRoom() async throws {
    let folder = try #require(Self.mounted())
    defer { Self.unmount(folder) }
    let driver = try SQLiteDriver(path: folder + "/jobs.db", durability: .normal)
    _ = try await driver.insert([job("first")])
    let claimed = try await driver.claim(demand()).jobs
    try fill(folder + "/ballast")
    var acknowledged = 0
    await #expect(
      performing: {
        while acknowledged < 10_000 {
          _ = try await driver.insert([job(String(repeating: "y", count: 4000))])
          acknowledged += 1
        }
      }, throws: isFull)
    let settlement = Settlement(
      claimed[0].lease, .failed(message: String(repeating: "z", count: 60_000)), recording: .seconds(1))
    await #expect(performing: { try await driver.settle([settlement], claiming: nil) }, throws: isFull)
    #expect(try await driver.count() == [JobCount("a", ready: acknowledged, running: 1)])
    #expect(unlink(folder + "/ballast") == 0)
    #expect(try await driver.settle([settlement], claiming: nil).results == [.settled()])
    #expect(try await driver.insert([job("last")]).count == 1)
    #expect(try await driver.count() == [JobCount("a", ready: acknowledged + 1)])
    #expect(try await driver.failures(LogQuery()).map(\.payload) == [Payload("first")])
    await driver.close()
    let again = try SQLiteDriver(path: folder + "/jobs.db", durability: .normal)
    #expect(try await again.count() == [JobCount("a", ready: acknowledged + 1)])
    await again.close()
  }

  /// Writes until there is no more room.
  private func fill(_ path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT, 0o600)
    try #require(file >= 0)
    defer { close(file) }
    let block = [UInt8](repeating: 0, count: 4096)
    while write(file, block, block.count) > 0 {}
  }
  #endif
}
