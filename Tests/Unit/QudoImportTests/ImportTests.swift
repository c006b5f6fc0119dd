import CSQLite
import Qudo
import QudoImport
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What an import is for a program; what it makes of each row is in the command's tests.
@Suite struct ImportTests {
  let old: TemporaryFile
  let file: TemporaryFile
  /// It stands at 1,700,000,000 s.
  let clock = ManualClock()

  init() throws {
    (old, file) = (try TemporaryFile(), try TemporaryFile())
    try old.execute(
      """
      CREATE TABLE func(id INTEGER PRIMARY KEY, name);
      CREATE TABLE job(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, enqueue_time, grabbed_until, run_after, retry_cnt, priority);
      CREATE TABLE exception_log(id INTEGER PRIMARY KEY, func_id, exception_time, message, uniqkey, arg, retried);
      CREATE TABLE job_status(id INTEGER PRIMARY KEY, func_id, arg, uniqkey, status, job_start_time, job_end_time);
      INSERT INTO func VALUES(1, 'a'), (2, 'b');
      INSERT INTO job VALUES
        (1, 1, 'low', NULL, 5, 0, 10, 0, 0), (2, 1, 'late', NULL, 5, 0, 20, 4, 7), (3, 1, 'early', NULL, 5, 0, 10, 0, 7),
        (4, 1, 'held', NULL, 5, 1700000060, 10, 0, 9), (5, 2, 'delayed', 'k', 5, 0, 1700000090, 0, 0);
      INSERT INTO exception_log VALUES(1, 2, 6, 'broke', 'k', 'again', 0);
      INSERT INTO job_status VALUES(1, 2, x'00FF', NULL, 'abort', 7, 8);
      """)
  }

  private func open() throws -> SQLiteDriver { try file.open(clock: clock) }

  @Test func importedJobsAreClaimedInTheirOrder() async throws {
    let driver = try open()
    let report = try await driver.importAll(from: PerlQudoFile(path: old.path))
    #expect(report.rows.map(\.new) == [1, 2, 1, 2, 3, 4, 5, 1, 1] && report.source.hasSuffix("jobs.db"))
    let claim = try await driver.claim(demand(10, "a", "b", leaseDuration: .seconds(600)))
    #expect(claim.texts == ["early", "late", "low"] && claim.timeUntilNextDue == .seconds(60))
    #expect(
      claim.jobs.map(\.attempt) == [1, 5, 1]
        && claim.jobs.map(\.enqueuedAt.microseconds) == [5_000_000, 5_000_000, 5_000_000])
    clock.advance(by: .seconds(60))
    #expect(try await driver.claim(demand(10, "a", "b", leaseDuration: .seconds(600))).texts == ["held"])
    clock.advance(by: .seconds(30))
    #expect(try await driver.claim(demand(10, "a", "b", leaseDuration: .seconds(600))).texts == ["delayed"])
  }

  @Test func anImportRingsTheDoorbell() async throws {
    let driver = try open()
    let before = driver.doorbell.rings
    _ = try await driver.planImport(from: PerlQudoFile(path: old.path))
    #expect(driver.doorbell.rings == before)
    _ = try await driver.importAll(from: PerlQudoFile(path: old.path))
    // The writer's thread answers first and rings then.
    let deadline = ContinuousClock.now + .seconds(60)
    while driver.doorbell.rings == before, ContinuousClock.now < deadline { await Task.yield() }
    #expect(driver.doorbell.rings > before)
  }

  @Test func anImportedFailureIsReplayedWhenItsKeyIsFree() async throws {
    let driver = try open()
    _ = try await driver.importAll(from: PerlQudoFile(path: old.path))
    #expect(try await driver.replay([1]) == [.conflict(5)])
    clock.advance(by: .seconds(90))
    let lease = try #require(try await driver.claim(demand(1, "b")).jobs.first?.lease)
    _ = try await driver.settle([Settlement(lease, .completed())], claiming: nil)
    #expect(try await driver.replay([1]) == [.replayed(6)])
    #expect(try await driver.claim(demand(1, "b")).texts == ["again"])
  }

  @Test func theOldQueueIsNotWrittenToMeanwhile() async throws {
    let perl = try PerlQudoFile(path: old.path)
    var handle: OpaquePointer?
    defer { sqlite3_close(handle) }
    #expect(sqlite3_open(old.path, &handle) == SQLITE_OK)
    #expect(sqlite3_exec(handle, "DELETE FROM job", nil, nil, nil) == SQLITE_BUSY)
    #expect(try await open().importAll(from: perl).rows.count == 9)
  }

  @Test func theLimitsAreTheCallers() throws {
    var options = ImportOptions()
    options.limits.payloadBytes = 6
    #expect {
      _ = try PerlQudoFile(path: old.path, options: options)
    } throws: {
      let error = $0 as? QudoError
      return error?.code == .unsupportedDatabase
        && error?.message.contains("job 5: arg has 7 bytes, the limit is 6") == true
    }
    options.limits.payloadBytes = 7
    options.source = "a\0b"
    #expect { _ = try PerlQudoFile(path: old.path, options: options) } throws: {
      ($0 as? QudoError)?.code == .invalidArgument
    }
  }

  /// They are in files that were written before.
  @Test func fingerprintsStayAsTheyAre() async throws {
    _ = try await open().importAll(from: PerlQudoFile(path: old.path))
    #expect(
      try file.rows("SELECT origin, print FROM qudo_import WHERE old = 1 ORDER BY origin") == [
        "0|5952155467226901439", "1|-8177313956851386770", "2|-5046971315192515852", "3|-4051777328505913163",
      ])
  }

  @Test func aSecondImportLooksNothingUpByScanning() async throws {
    let driver = try open()
    _ = try await driver.importAll(from: PerlQudoFile(path: old.path))
    let plan = try file.rows(
      "EXPLAIN QUERY PLAN SELECT new, print FROM qudo_import WHERE source = 1 AND origin = 1 AND old = 1")
    #expect(
      plan.count == 1
        && plan.first?.contains("SEARCH qudo_import USING PRIMARY KEY (source=? AND origin=? AND old=?)")
          == true
    )
  }

  @Test func importSourcesWhoseNumbersAreUsedUpAreAnError() async throws {
    await (try open()).close()
    try file.execute("INSERT INTO qudo_import_source VALUES('old', 9223372036854775807)")
    let driver = try open()
    let error = await #expect(throws: QudoError.self) {
      try await driver.importAll(from: PerlQudoFile(path: old.path))
    }
    #expect(error?.code == .corrupt)
  }
}
