import CSQLite
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What monitoring asks of a file.
@Suite struct BacklogTests {
  let file: TemporaryFile
  let clock = ManualClock()
  private let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func backlog(_ kinds: [Kind]? = nil, upTo most: Int = 0) async throws -> Backlog {
    try await SQLiteListings(path: file.path, clock: clock).backlog(kinds, countingUpTo: most)
  }

  private func oldest(_ kind: Kind, _ seconds: Int, isPaused: Bool = false) -> Backlog.Oldest {
    Backlog.Oldest(kind: kind, age: .seconds(seconds), isPaused: isPaused)
  }

  @Test("the oldest ready job of each kind, whatever its priority and however it became ready") func oldest()
    async throws
  {
    #expect(try await backlog() == Backlog(hasWorker: false))
    _ = try await driver.insert([job(priority: -5), job(kind: "b", due: .after(.seconds(30)))])
    clock.advance(by: .seconds(10))
    _ = try await driver.insert([job(priority: 9), job(kind: "c", due: .after(.seconds(3600)))])
    #expect(try await backlog().oldest == [oldest("a", 10)])
    clock.advance(by: .seconds(40))
    // No claim has promoted the delayed job.
    #expect(try await backlog().oldest == [oldest("a", 50), oldest("b", 20)])
    _ = try await driver.promote(limit: 10)
    #expect(try await backlog().oldest == [oldest("a", 50), oldest("b", 20)])
    #expect(try await backlog(["b", "none"]).oldest == [oldest("b", 20)])
    try await driver.pause(["b"], until: nil, reason: nil)
    #expect(try await backlog().oldest == [oldest("a", 50), oldest("b", 20, isPaused: true)])
    try await driver.pause(nil, until: nil, reason: nil)
    #expect(try await backlog().oldest == [oldest("a", 50, isPaused: true), oldest("b", 20, isPaused: true)])
  }

  @Test("a job whose lease expired, or whose worker is gone, is ready again") func lostLeases() async throws {
    _ = try await driver.insert([job(), job(kind: "b")])
    clock.advance(by: .seconds(100))
    _ = try await driver.claim(demand(1))
    #expect(try await backlog(upTo: 9) == Backlog(oldest: [oldest("b", 100)], ready: 1, hasWorker: true))
    clock.advance(by: .seconds(90))
    #expect(try await backlog(upTo: 9).oldest == [oldest("a", 30), oldest("b", 190)])
    #expect(try await backlog(["a"], upTo: 9).ready == 1)
    _ = try await driver.claim(demand(1))
    await driver.close()
    #expect(
      try await backlog(upTo: 9)
        == Backlog(oldest: [oldest("a", 0), oldest("b", 190)], ready: 2, hasWorker: false))
  }

  @Test("ready jobs are counted up to a bound, without those of paused kinds") func bound() async throws {
    _ = try await driver.insert(
      (0..<5).map { _ in job() } + [job(kind: "b"), job(kind: "c"), job(kind: "c", due: .after(.seconds(1)))])
    clock.advance(by: .seconds(2))
    try await driver.pause(["b"], until: nil, reason: nil)
    for (most, ready) in [(0, 0), (3, 3), (6, 6), (7, 7), (8, 7), (.max, 7)] {
      #expect(try await backlog(upTo: most).ready == ready)
    }
    #expect(try await backlog(["a"], upTo: 10).ready == 5)
    #expect(try await backlog(["none"], upTo: 10).ready == 0)
    try await driver.pause(nil, until: nil, reason: nil)
    #expect(try await backlog(upTo: 10).ready == 0)
  }

  @Test("a worker is there from its first look, found or not, until its process or driver is gone")
  func worker() async throws {
    #expect(try await backlog().hasWorker == false)
    _ = try await driver.insert([job()])
    _ = try await driver.count(nil)
    #expect(try await backlog().hasWorker == false, "an enqueue is no look for jobs")
    let other = try file.open(clock: clock)
    _ = try await other.claim(demand(1, "none"))
    #expect(try await backlog().hasWorker == true)
    _ = try await driver.settle([], claiming: demand(1))
    await other.close()
    #expect(try await backlog().hasWorker == true)
    await driver.close()
    #expect(try await backlog().hasWorker == false)
  }

  @Test("the cost does not depend on the number of waiting jobs", arguments: [10, 100_000]) func cost(
    jobs: Int
  ) async throws {
    let now = clock.now().wall.microseconds
    // Each job in a row of its own, of 3 kinds and 2 priorities.
    try file.execute(
      """
      INSERT INTO qudo_kind(id, name) VALUES(7, 'x'), (8, 'y'), (9, 'z');
      WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < \(jobs))
      INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT 7 + value % 3, value % 2, \(now) - value, value, value FROM n
      """)
    let (backlog, steps) = try await driver.reader.read { snapshot throws(QudoError) in
      _ = try snapshot.backlog(nil, countingUpTo: 5)
      _ = snapshot.connection.virtualSteps()
      return (try snapshot.backlog(nil, countingUpTo: 5), snapshot.connection.virtualSteps())
    }
    #expect(backlog.ready == 5)
    #expect(backlog.oldest.map(\.kind) == ["x", "y", "z"])
    #expect(backlog.oldest.map { $0.age.wholeMicroseconds }.max() == Int64(jobs))
    #expect(steps < 1000)
  }

  @Test("rows of another program with values that are not integers are passed over") func foreignRows()
    async throws
  {
    _ = try await driver.insert([job(), job(kind: "b")])
    clock.advance(by: .seconds(1))
    try file.execute(
      """
      INSERT INTO qudo_ready(kind, rank, due, last, first)
      VALUES(1.5, 0, 0, 1, 1), ('x', 0, 0, 1, 1), (1, 'x', 0, 1, 1), (1, 0.5, 0, 1, 1), (1, 7, 'x', 1, 1)
      """)
    #expect(try await backlog(upTo: 3).oldest.map(\.kind) == ["a", "b"])
  }

  @Test("sizes of the logs and the files") func sizes() async throws {
    func sizes() async throws -> DatabaseSizes {
      try await SQLiteListings(path: file.path, clock: clock).sizes()
    }
    var found = try await sizes()
    #expect(found.failures == [:] && found.failuresEver == 0)
    _ = try await driver.insert([job(), job(), job(kind: "b")])
    let claimed = try await driver.claim(demand(3, "a", "b")).jobs
    _ = try await driver.settle(
      claimed.map { Settlement($0.lease, .failed(message: ""), recording: .zero) }, claiming: nil)
    found = try await sizes()
    #expect(
      found.failures == ["a": 2, "b": 1] && found.statuses == ["a": 2, "b": 1] && found.failuresEver == 3)
    #expect(found.fileBytes ?? 0 > 0 && found.walBytes ?? 0 > 0)
    for driver in [driver, try SQLiteListings(path: file.path, clock: clock)] as [any ObservedDriver] {
      for (most, rows) in [(-1, 0), (0, 0), (2, 2), (3, 3), (.max, 3)] {
        #expect(
          try await driver.logRows(countingUpTo: most)
            == LogRowCounts(failures: rows, statuses: rows, failuresEver: 3))
      }
    }
    _ = try await driver.prune(PruneOptions())
    found = try await sizes()
    #expect(found.failures == [:] && found.failuresEver == 3)
  }
}
