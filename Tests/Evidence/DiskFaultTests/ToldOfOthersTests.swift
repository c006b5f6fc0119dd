import FaultyDisk
import Qudo
@testable import QudoSQLite
import QudoTesting
import Testing

/// A driver at `full` that answers with what others wrote at a lower durability has brought that to the disk first.
@Suite struct ToldOfOthersTests {
  private enum Answer: CaseIterable {
    case existing, conflict, repeated, replayed, resolved, cancelling

    /// Counts the rows that the answer tells of.
    var rows: String {
      switch self {
      case .existing, .conflict, .repeated, .replayed: "SELECT count(*) FROM qudo_job"
      case .resolved: "SELECT count(*) FROM qudo_failure WHERE replayed_as = -1"
      case .cancelling: "SELECT count(*) FROM qudo_cancellation"
      }
    }
  }

  private func open(_ path: String, _ disk: FaultyDisk, _ durability: SQLiteDriver.Durability) throws
    -> SQLiteDriver
  {
    try SQLiteDriver(
      path: path, name: "jobs", durability: durability, clock: ManualClock(), logger: Folder.quiet,
      observer: nil, vfs: disk.name)
  }

  @Test("what was told survives a power cut", arguments: Answer.allCases)
  private func survives(_ answer: Answer) async throws {
    let disk = FaultyDisk()
    let folder = try Folder([:])
    // The file itself is there, and durable.
    let maker = try open(folder.path, disk, .full)
    _ = try await maker.insert([NewJob("made")])
    let (careless, careful) = (try open(folder.path, disk, .normal), try open(folder.path, disk, .full))
    let expected = try await write(answer, careless)
    let before = try rows(answer, disk)
    #expect(before < expected, "it was durable already")
    disk.arm(Fault(.error, .sync, at: .max))
    try await tell(answer, careful)
    #expect(disk.count == 1, "one sync")
    #expect(try rows(answer, disk) == expected)
    for driver in [maker, careless, careful] { await driver.close() }
  }

  @Test("an enqueue that writes pays for no more than its own sync")
  func plainEnqueues() async throws {
    let disk = FaultyDisk()
    let folder = try Folder([:])
    let driver = try open(folder.path, disk, .full)
    _ = try await driver.insert([NewJob("a", unique: UniqueKey("k"))])
    disk.arm(Fault(.error, .sync, at: .max))
    for _ in 0..<5 { _ = try await driver.insert([NewJob("a")]) }
    #expect(disk.count == 5)
    // A conflict together with a job that is written.
    _ = try await driver.insert([NewJob("a", unique: UniqueKey("k")), NewJob("a")])
    #expect(disk.count == 6)
    await driver.close()
  }

  @Test("a failed sync is no answer")
  func failedSync() async throws {
    let disk = FaultyDisk()
    let folder = try Folder([:])
    let (careless, careful) = (try open(folder.path, disk, .normal), try open(folder.path, disk, .full))
    _ = try await write(.existing, careless)
    disk.arm(Fault(.error, .sync, at: 1))
    await #expect { try await tell(.existing, careful) } throws: { ($0 as? QudoError)?.code == .ioError }
    disk.disarm()
    try await tell(.existing, careful)
    for driver in [careless, careful] { await driver.close() }
  }

  /// - Returns: How many rows are then in the file.
  private func write(_ answer: Answer, _ driver: SQLiteDriver) async throws -> Int {
    switch answer {
    case .existing, .conflict: _ = try await driver.insert([NewJob("a", unique: UniqueKey("k"))])
    case .repeated: _ = try await driver.insert([NewJob("a", idempotencyKey: IdempotencyKey("once"))])
    case .cancelling:
      _ = try await driver.insert([NewJob("a")])
      _ = try await driver.claim(ClaimRequest([.init("a")], limit: 1))
      _ = try await driver.cancel([2], reason: nil)
      return 1
    case .replayed, .resolved:
      _ = try await driver.insert([NewJob("a")])
      let claimed = try await driver.claim(ClaimRequest([.init("a")], limit: 1)).jobs
      _ = try await driver.settle(claimed.map { Settlement($0.lease, .failed(message: "")) }, claiming: nil)
      if answer == .resolved {
        _ = try await driver.resolve([1])
        return 1
      }
      _ = try await driver.replay([1])
    }
    return try await driver.count().reduce(0) { $0 + $1.ready }
  }

  private func tell(_ answer: Answer, _ driver: SQLiteDriver) async throws {
    switch answer {
    case .existing:
      guard
        case .existing = try await driver.insert([NewJob("a", unique: UniqueKey("k", onConflict: .keep))])[0]
      else { throw Unexpected() }
    case .conflict:
      guard
        case .conflict = try await driver.insert([NewJob("a", unique: UniqueKey("k", onConflict: .reject))])[
          0]
      else { throw Unexpected() }
    case .repeated:
      guard case .existing = try await driver.insert([NewJob("a", idempotencyKey: IdempotencyKey("once"))])[0]
      else { throw Unexpected() }
    case .replayed:
      guard case .alreadyReplayed = try await driver.replay([1])[0] else { throw Unexpected() }
    case .resolved:
      guard try await driver.resolve([1]) == [.alreadyResolved] else { throw Unexpected() }
    case .cancelling:
      guard try await driver.cancel([2], reason: nil) == [.cancelling] else { throw Unexpected() }
    }
  }

  private struct Unexpected: Error {}

  /// How many rows a machine would have that went off now.
  private func rows(_ answer: Answer, _ disk: FaultyDisk) throws -> Int {
    let found = try Folder(disk.images(.nothing))
    return Int(try found.run(answer.rows).first ?? "") ?? 0
  }
}
