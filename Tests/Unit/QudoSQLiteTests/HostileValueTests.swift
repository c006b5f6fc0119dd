import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Rows that Qudo would never write: each of these ended the process, or ran forever, before it was an error or an answer.
@Suite struct HostileValueTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  /// A new file, changed by another program.
  private func driver(_ sql: String) async throws -> SQLiteDriver {
    let first = try file.open(clock: clock)
    _ = try await first.insert([job("x"), job("y", due: .after(.seconds(60)))])
    await first.close()
    try file.execute(sql)
    return try file.open(clock: clock)
  }

  private func code(_ body: () async throws -> Void) async -> QudoError.Code? {
    do {
      try await body()
      return nil
    } catch { return (error as? QudoError)?.code }
  }

  @Test func aFailureWithTheLowestRankIsReplayed() async throws {
    let driver = try await driver(
      """
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, codec, payload)
      VALUES(9, 1, 1, 950, 0, 1, 'broke', -9223372036854775808, 0, x'')
      """)
    #expect(try await driver.replay([1]) == [.replayed(3)])
    #expect(try await driver.failures(LogQuery()).map(\.priority) == [.min])
  }

  @Test func timesAtBothEndsOfAllNumbersAreAnswered() async throws {
    let driver = try await driver(
      """
      DELETE FROM qudo_delayed;
      INSERT INTO qudo_delayed(due, id, kind, rank) SELECT -9223372036854775808, value, 1, 0 FROM (
        WITH RECURSIVE n(value) AS (SELECT 1000 UNION ALL SELECT value + 1 FROM n WHERE value < 2500) SELECT value FROM n);
      INSERT INTO qudo_instance VALUES(1, 'boot-1', 0, 0, 0);
      INSERT INTO qudo_running VALUES(1, 9223372036854775807, 1, 1, 1, 5, 0, 9223372036854775807)
      """)
    let claim = try await driver.claim(ClaimRequest([], limit: 1))
    #expect(claim.timeUntilNextDue == .zero && claim.timeUntilNextLeaseExpiry == nil)
  }

  @Test(
    "expiries that are no times never pass, and keep no worker awake",
    arguments: ["'soon'", "x'00'", "9e99", "9223372036854775807", "-9e99"])
  func expiries(value: String) async throws {
    let driver = try await driver("UPDATE qudo_job SET expires = \(value)")
    let claim = try await driver.claim(ClaimRequest([], limit: 1))
    #expect(claim.givenUp == [] && claim.timeUntilNextDue == .seconds(60))
  }

  /// Which are not there.
  @Test func readyJobsWithTheHighestIDsAreLeftOrAnError() async throws {
    let driver = try await driver(
      """
      INSERT INTO qudo_kind(name) VALUES('b');
      INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES(1, 0, 0, 9223372036854775807, 9223372036854775807),
        (2, 0, 0, 9223372036854775806, 9223372036854775806), (2, 0, 1, 9223372036854775807, 9223372036854775807)
      """)
    let code = await code { _ = try await driver.claim(demand(20, "a", "b")) }
    #expect(code == nil || code == .corrupt)
  }

  /// They are put aside, and the jobs are claimed: see `BadRowTests`.
  @Test(arguments: [
    "UPDATE qudo_delayed SET due = 'soon'", "UPDATE qudo_delayed SET due = 0.5",
    "INSERT INTO qudo_instance VALUES(1, 'boot-1', 0, 0, 0); INSERT INTO qudo_running VALUES(1, 'soon', 1, 1, 1, 5, 0, 1)",
    "INSERT INTO qudo_running VALUES(1, 'soon', 1, 1, 1, 5, 0, 1)",
    "DELETE FROM qudo_ready; INSERT INTO qudo_running VALUES(1, 0.5, 1, 1, 1, 5, 0, 1)",
  ])
  func aTimeThatIsNoIntegerIsNotWaitedForWithoutEnd(sql: String) async throws {
    let driver = try await driver(sql)
    _ = try await driver.claim(demand(20))
    let odd =
      "SELECT (SELECT count(*) FROM qudo_delayed WHERE typeof(due) <> 'integer') + (SELECT count(*) FROM qudo_running WHERE typeof(ends) <> 'integer')"
    #expect(try file.rows(odd) == ["0"])
  }

  @Test("receipts that no enqueue could have left do not keep a prune", .timeLimit(.minutes(5)))
  func oddReceipts() async throws {
    let driver = try await driver(
      "INSERT INTO qudo_receipt VALUES('text', 3, 0), (x'', 2, 0), (x'00', 1, 0.5), (x'01', 1, 'text')")
    #expect(try await driver.prune(PruneOptions()) == 0)
    #expect(
      try file.rows("SELECT count(*) FROM qudo_receipt WHERE typeof(key) = 'blob' AND expires < 10") == ["0"])
    var once = job()
    once.idempotencyKey = IdempotencyKey("k")
    _ = try await driver.insert([once])
    _ = try await driver.claim(demand())
  }

  @Test func anIDThatIsNoIntegerIsNotWaitedForWithoutEnd() async throws {
    let driver = try await driver("UPDATE qudo_info SET value = 'high' WHERE key = 'highest_id'")
    #expect(
      await code {
        _ = try await driver.claim(demand(20))
        _ = try await driver.insert([job()])
      } == .corrupt)
  }

  @Test("A log whose ids are used up counts as damaged, not as a full disk")
  func logOutOfIDsIsDamaged() async throws {
    let driver = try await driver("INSERT INTO sqlite_sequence VALUES('qudo_failure', 9223372036854775807)")
    let lease = try #require(try await driver.claim(demand()).jobs.first).lease
    #expect(
      await code { _ = try await driver.settle([Settlement(lease, .failed(message: ""))], claiming: nil) }
        == .corrupt)
    #expect(try await driver.count() == [JobCount("a", delayed: 1, running: 1)])
  }

  @Test func aClaimBesideSettlingMayAskForAnyNumber() async throws {
    let driver = try await driver("")
    let lease = try #require(try await driver.claim(demand()).jobs.first).lease
    #expect(
      try await driver.settle([Settlement(lease, .completed())], claiming: demand(.max)).results == [
        .settled()
      ])
  }

  @Test func anErrorAtWorkNamesTheFile() async throws {
    let driver = try await driver("UPDATE qudo_info SET value = 'high' WHERE key = 'highest_id'")
    await #expect { try await driver.insert([job()]) } throws: {
      ($0 as? QudoError)?.message.contains(file.path) == true
    }
  }
}
