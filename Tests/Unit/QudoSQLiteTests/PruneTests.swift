import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Pruning while others write.
@Suite struct PruneTests {
  @Test("other writers have their turn between the transactions of a prune", .timeLimit(.minutes(10)))
  func writers() async throws {
    let file = try TemporaryFile()
    let (driver, other) = (try file.open(), try file.open())
    let rows = 40_000
    try file.execute(
      """
      INSERT INTO qudo_kind(id, name) VALUES(7, 'x');
      WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < \(rows))
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, unique_key, codec, payload)
      SELECT value, 7, 0, 0, 0, 'key ' || value, 0, zeroblob(500) FROM n;
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload)
      SELECT job, kind, 1, 0, 0, 1, 'it broke', 0, 0, payload FROM qudo_status
      """)
    let isOver = Locked(false)
    let pruning = Task { () async throws -> Int in
      defer { isOver.withLock { $0 = true } }
      var batches = 0
      // The batches of a worker, without its pauses.
      while case let count = try await other.prune(PruneOptions(keep: 1000, limit: 500)), count > 0 {
        batches += 1
      }
      return batches
    }
    var waits: [Duration] = []
    while !isOver.withLock({ $0 }) {
      let begun = ContinuousClock.now
      _ = try await driver.insert([job()])
      waits.append(.now - begun)
    }
    let batches = try await pruning.value
    waits.sort()
    #expect(batches == (rows - 1000) / 500)
    #expect(waits.count >= batches / 10, "\(waits.count) inserts beside \(batches) transactions")
    if ProcessInfo.processInfo.environment["QUDO_FIGURES"] != nil {
      print(
        "\(waits.count) inserts beside \(batches) transactions: p50 \(waits[waits.count / 2]), p99 \(waits[waits.count * 99 / 100])"
      )
    }
    #expect(
      try file.rows("SELECT count(*) FROM qudo_status UNION ALL SELECT count(*) FROM qudo_failure") == [
        "1000", "1000",
      ])
    await driver.close()
    await other.close()
  }
}
