import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// The healthy database that all others are made of: jobs in each state, logs, receipts, long rows. Each time the same, but for the
/// numbers that a WAL is salted with.
struct Healthy {
  let folder: URL
  /// Without a WAL.
  var closed: URL { folder.appendingPathComponent("healthy.db") }
  /// With the last transactions in its WAL only.
  var live: URL { folder.appendingPathComponent("live.db") }
  /// Somebody else's, with a WAL.
  var other: URL { folder.appendingPathComponent("other.db") }

  static let kinds: [Kind] = ["a", "b", "mail.send"]

  func make() async throws {
    let clock = ManualClock()
    let driver = try SQLiteDriver(path: closed.path, durability: .off, clock: clock)
    try await fill(driver, clock)
    await driver.close()
    try Raw(closed.path).run("UPDATE qudo_running SET token = 77; PRAGMA wal_checkpoint(TRUNCATE)")
    try copy(closed, to: live)
    let writer = try SQLiteDriver(path: live.path, durability: .off, clock: clock)
    try await use(writer, clock)
    try copy(live, to: folder.appendingPathComponent("kept.db"))
    await writer.close()
    try copy(folder.appendingPathComponent("kept.db"), to: live)
    let another = try SQLiteDriver(path: other.path, durability: .off, clock: clock)
    _ = try await another.insert((0..<60).map { NewJob("other", payload: Payload("other \($0)")) })
    try copy(other, to: folder.appendingPathComponent("kept-other.db"))
    await another.close()
    try copy(folder.appendingPathComponent("kept-other.db"), to: other)
  }

  /// The file and what lies next to it. Connections of this process lose no lock: another process does it.
  func copy(_ from: URL, to: URL) throws {
    for ending in ["", "-wal", "-shm", "-journal"] {
      try? FileManager.default.removeItem(atPath: to.path + ending)
      guard FileManager.default.fileExists(atPath: from.path + ending) else { continue }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/bin/cp")
      process.arguments = [from.path + ending, to.path + ending]
      try process.run()
      process.waitUntilExit()
    }
  }

  private func fill(_ driver: SQLiteDriver, _ clock: ManualClock) async throws {
    var jobs: [NewJob] = []
    for number in 0..<36 {
      var job = NewJob(
        Self.kinds[number % 3],
        payload: Payload(String(repeating: "job \(number) ", count: number % 9 == 0 ? 600 : 1)))
      job.priority = number % 5 - 2
      if number % 4 == 0 {
        job.unique = UniqueKey("key \(number)", scope: number % 8 == 0 ? .untilStarted : .untilFinished)
      }
      if number % 8 == 4 { job.unique?.throttle = .seconds(3600) }
      if number % 6 == 1 { job.due = .after(.seconds(60 * number)) }
      if number % 7 == 2 { job.metadata = ["request": "\(number)", "tenant": "x"] }
      if number % 5 == 3 { job.idempotencyKey = IdempotencyKey("once \(number)") }
      jobs.append(job)
    }
    _ = try await driver.insert(jobs)
    try await use(driver, clock)
    // Of a boot that is over.
    _ = try await driver.claim(request(limit: 2))
  }

  /// Some runs with all outcomes.
  private func use(_ driver: SQLiteDriver, _ clock: ManualClock) async throws {
    let claimed = try await driver.claim(request(limit: 12)).jobs
    let outcomes: [Settlement.Outcome] = [
      .completed(), .failed(message: "broke"), .retry(after: .seconds(30), message: "again"),
      .aborted(message: "no use"),
      .snoozed(.seconds(5), countsAttempt: true),
      .completed(replacements: [NewJob("b", payload: Payload("replacement"))]), .released,
    ]
    let settlements = zip(claimed, outcomes).map { Settlement($0.lease, $1, recording: .milliseconds(3)) }
    _ = try await driver.settle(settlements, claiming: nil)
    _ = try await driver.replay([1])
    clock.advance(by: .seconds(1))
  }

  private func request(limit: Int) -> ClaimRequest {
    ClaimRequest(Self.kinds.map { .init($0, leaseDuration: .seconds(60)) }, limit: limit)
  }
}
