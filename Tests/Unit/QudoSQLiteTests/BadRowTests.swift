import Logging
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// Rows that contradict the jobs, as another program's SQL leaves them: they are put aside, and all else goes on.
@Suite struct BadRowTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let log = WarningLog()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try SQLiteDriver(path: file.path, durability: .normal, clock: clock, logger: log.logger)
  }

  private func insert(_ count: Int, kind: Kind = "a", due: Due = .now) async throws {
    _ = try await driver.insert((0..<count).map { job("\($0)", kind: kind, due: due) })
  }

  private func rows(_ table: String) throws -> String { try file.rows("SELECT count(*) FROM \(table)")[0] }

  private static let many = (0..<12).map { Kind("kind.\($0)") }

  @Test(
    "puts aside ready jobs that were deleted by SQL",
    arguments: [
      ("id = 3", [1, 2, 4, 5]), ("id = 1", [2, 3, 4, 5]), ("id = 5", [1, 2, 3, 4]),
      ("id IN (1, 3, 5)", [2, 4]), ("id > 0", []),
    ] as [(String, [Int64])], [1, 12])
  func deletedReady(_ gone: (condition: String, left: [Int64]), kinds: Int) async throws {
    try await insert(5, kind: Self.many[0])
    try file.execute("DELETE FROM qudo_job WHERE \(gone.condition)")
    let request = ClaimRequest(Self.many.prefix(kinds).map { .init($0) }, limit: 10)
    #expect(try await driver.claim(request).jobs.map(\.id) == gone.left)
    #expect(log.warnings.count == 1, "said once")
    #expect(log.warnings.first?.contains("qudo_ready") == true)
    _ = try await driver.claim(request)
    #expect(try rows("qudo_ready") == "0")
    #expect(log.warnings.count == 1)
    #expect(try await driver.insert([job()]) == [.inserted(6)], "no id is given again")
  }

  @Test(
    "puts aside a second row of a job that is settled and looked for in one transaction",
    arguments: [
      "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due + 1, id, id FROM qudo_job",
      "INSERT INTO qudo_delayed(due, id, kind, rank) SELECT due + 1, id, kind, rank FROM qudo_job",
    ])
  func secondRow(sql: String) async throws {
    try await insert(1)
    let lease = try #require(try await driver.claim(demand()).jobs.first).lease
    try file.execute(sql)
    try await insert(1)
    clock.advance(by: .seconds(1))
    let answer = try await driver.settle([Settlement(lease, .completed())], claiming: demand())
    #expect(answer.results == [.settled()] && answer.claim?.jobs.map(\.id) == [2])
    #expect(try rows("qudo_ready") == "0" && rows("qudo_delayed") == "0" && rows("qudo_job") == "1")
  }

  @Test("reports an index that no repair mends, also to a worker that settles nothing")
  func damagedIndex() async throws {
    let late = NewJob("a", due: .after(.seconds(60)), idempotencyKey: IdempotencyKey("once"))
    _ = try await driver.insert([late])
    await driver.close()
    // The index of delays has the rows of the receipts.
    try file.execute(
      """
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'qudo_receipt')
      WHERE name = 'qudo_delayed_written'
      """)
    let driver = try SQLiteDriver(path: file.path, durability: .normal, clock: clock, logger: log.logger)
    for _ in 0..<2 {
      await #expect(throws: QudoError.self) { _ = try await driver.settle([], claiming: demand()) }
    }
  }

  @Test("claims less than a range that lacks a job further back")
  func notReachedYet() async throws {
    try await insert(6)
    try file.execute("DELETE FROM qudo_job WHERE id = 5")
    #expect(try await driver.claim(demand(3)).jobs.map(\.id) == [1, 2, 3])
    #expect(try await driver.claim(demand(3)).jobs.map(\.id) == [4, 6])
  }

  @Test("claims each job of the range once though rows between are empty")
  func rowsBetween() async throws {
    for _ in 0..<6 { try await insert(1) }
    try file.execute("DELETE FROM qudo_job WHERE id IN (2, 4)")
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [1, 3, 5, 6])
    #expect(
      try file.rows("SELECT first, last FROM qudo_running ORDER BY first") == ["1|1", "3|3", "5|6"],
      "no lease is of nobody")
  }

  @Test("puts aside delayed jobs that were deleted by SQL")
  func deletedDelayed() async throws {
    try await insert(3, due: .after(.seconds(5)))
    try file.execute("DELETE FROM qudo_job WHERE id = 2")
    clock.advance(by: .seconds(6))
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [1, 3])
    #expect(try rows("qudo_delayed") == "0")
    #expect(try rows("qudo_ready") == "0")
  }

  @Test("makes delayed jobs ready whose due time cannot be used", arguments: ["'soon'", "0.5"])
  func unusableDueTime(_ time: String) async throws {
    try await insert(1)
    try await insert(1, due: .after(.seconds(5)))
    try file.execute("UPDATE qudo_delayed SET due = \(time)")
    // The job's own row still has its due time.
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [1])
    clock.advance(by: .seconds(6))
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [2])
    try await insert(1, due: .after(.seconds(5)))
    try file.execute("UPDATE qudo_delayed SET due = \(time); UPDATE qudo_job SET due = \(time) WHERE id = 3")
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [3])
    #expect(log.warnings.count == 2)
  }

  @Test(
    "keeps delayed jobs whose delay was written at no time",
    arguments: ["'soon'", "0.5", "x'00'", "-9223372036854775808", "9223372036854775807"])
  func unusableDelay(_ time: String) async throws {
    try await insert(1, due: .after(.seconds(5)))
    try await insert(1)
    try file.execute("UPDATE qudo_delayed SET written = \(time)")
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [2] || time == "9223372036854775807")
    clock.advance(by: .seconds(6))
    _ = try await driver.claim(demand())
    #expect(try await driver.jobs(matching: JobQuery()).map(\.state) == [.running, .running])
    #expect(try rows("qudo_delayed") == "0")
  }

  @Test("makes running jobs ready whose lease ends at no time", arguments: ["'soon'", "0.5"])
  func unusableLeaseEnd(_ time: String) async throws {
    try await insert(2)
    #expect(try await driver.claim(demand()).jobs.count == 2)
    try file.execute("UPDATE qudo_running SET ends = \(time)")
    clock.advance(by: .seconds(1))
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [1, 2])
    #expect(log.warnings.count == 1)
  }

  @Test("lets leases go whose jobs were deleted by SQL")
  func deletedRunning() async throws {
    try await insert(3)
    _ = try await driver.claim(demand(leaseDuration: .seconds(5)))
    try file.execute("DELETE FROM qudo_job WHERE id = 2")
    clock.advance(by: .seconds(6))
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [1, 3])
    #expect(try rows("qudo_running") == "2")
  }

  @Test("writes the outcomes that share a transaction with a bad row")
  func outcomesAreKept() async throws {
    try await insert(4)
    let first = try await driver.claim(demand(1)).jobs
    try file.execute("DELETE FROM qudo_job WHERE id = 3")
    let answer = try await driver.settle(first.map { Settlement($0.lease, .completed()) }, claiming: demand())
    #expect(answer.results == [.settled()])
    #expect(answer.claim?.jobs.map(\.id) == [2, 4])
    #expect(try file.rows("SELECT id FROM qudo_job ORDER BY id") == ["2", "4"])
  }

  @Test("a worker goes on and ends when nothing is left", .timeLimit(.minutes(5)))
  func workerGoesOn() async throws {
    try await insert(5)
    try file.execute("DELETE FROM qudo_job WHERE id = 3")
    var options = WorkerOptions()
    options.clock = clock
    let summary = try await Worker(Queue(driver), handlers: [JobHandler("a") { _ in }], options: options)
      .workUntilEmpty()
    #expect(summary.completed == 4)
  }

  @Test("a range of all numbers leaves those that are there")
  func allNumbers() async throws {
    try await insert(2)
    try file.execute("UPDATE qudo_ready SET first = -9223372036854775808, last = 9223372036854775807")
    #expect(try await driver.claim(demand(1)).jobs.map(\.id) == [1])
    #expect(try await driver.claim(demand()).jobs.map(\.id) == [2])
  }

  @Test(
    "a large claim takes no more than there is from a row with damaged bounds",
    arguments: [
      "last = 9e999", "last = '100x'", "first = 0.5", "first = '-9223372036854775808e-18x', last = 5",
      "first = '1e5x', last = 100010", "first = 40, last = 3", "last = 9223372036854775807",
      "first = -9223372036854775808", "first = 200, last = 300",
    ], [40, Int.max])
  func damagedBounds(_ change: String, limit: Int) async throws {
    try await insert(60)
    try file.execute("UPDATE qudo_ready SET \(change)")
    var ids: [Int64] = []
    while true {
      let jobs = try await driver.claim(demand(limit)).jobs
      if jobs.isEmpty { break }
      #expect(jobs.count <= limit)
      ids += jobs.map(\.id)
    }
    // None is claimed twice.
    #expect(Set(ids).count == ids.count && Set(ids).isSubset(of: Set(1...60)))
    #expect(try rows("qudo_job") == "60")
  }

  /// A job of a key with a rate of one per hour.
  private func slow(_ text: String) -> NewJob {
    NewJob(
      "a", payload: Payload(text),
      concurrencyKey: ConcurrencyKey("k", limit: 9, rate: RateLimit(1, per: .seconds(3600))))
  }

  private static let rates = [
    // What is damaged, the jobs that the next claim takes, and the rates after it.
    ("UPDATE qudo_key_rate SET rate = 'x'", ["1"], ["1/3600000000/1|1/3600000000/1"]),
    ("UPDATE qudo_key_rate SET rate = '0/1/1'", ["1"], ["1/3600000000/1|1/3600000000/1"]),
    ("UPDATE qudo_key SET rate = 'x'; UPDATE qudo_key_rate SET rate = x'00'", ["1", "2"], ["|"]),
  ]

  @Test(
    "repairs the rate of a key that is malformed, and drops it if nothing tells what it was", arguments: rates
  )
  func keyRate(sql: String, taken: [String], rates: [String]) async throws {
    _ = try await driver.insert([slow("1"), slow("2"), job("3", kind: "b")])
    try file.execute(sql)
    #expect(try await wrongRates() == 1)
    #expect(try await driver.claim(demand(9, "a", "b")).texts.sorted() == taken + ["3"])
    #expect(log.warnings.count == 1 && log.warnings.first?.contains("qudo_key_rate") == true)
    let rows = try file.rows(
      "SELECT k.rate, r.rate FROM qudo_key AS k JOIN qudo_key_rate AS r ON r.kind = k.kind AND r.key = k.key")
    #expect(rows == rates)
    #expect(try await wrongRates() == 0)
  }

  @Test("an enqueue repairs the malformed rate of its key") func keyRateOfEnqueue() async throws {
    _ = try await driver.insert([slow("1")])
    try file.execute("UPDATE qudo_key SET rate = 'x'")
    _ = try await driver.insert([slow("2")])
    #expect(log.warnings.count == 1)
    #expect(try await wrongRates() == 0)
    #expect(try await driver.claim(demand(9)).texts == ["1"])
  }

  @Test("a rate without a bucket and a bucket of no rate are found") func keyRateMissing() async throws {
    _ = try await driver.insert([slow("1")])
    #expect(try await wrongRates() == 0)
    try file.execute("DELETE FROM qudo_key_rate")
    #expect(try await wrongRates() == 1)
    try file.execute("DELETE FROM qudo_key; INSERT INTO qudo_key_rate VALUES(1, 'l', '1/1/1', 0, 0, 0, 0)")
    #expect(try await wrongRates() == 1)
  }

  /// The number of keys of whose rate `qudo doctor` says that it is wrong.
  private func wrongRates() async throws -> Int64 {
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    let found = try await SQLiteDriver.diagnose(path: file.path, options, clock: clock).findings
    return found.first { $0.subject == "qudo_key_rate" }?.figures["rows"] ?? 0
  }

  @Test("damage that cannot be put aside is still an error")
  func realDamage() async throws {
    _ = try await driver.insert([job(kind: "a"), job(kind: "b")])
    try file.execute("UPDATE qudo_job SET kind = 7")
    await #expect { _ = try await driver.claim(demand(10, "a", "b")) } throws: {
      ($0 as? QudoError)?.code == .corrupt
    }
    #expect(log.warnings == [])
  }
}

/// The warnings of a logger, with their metadata.
final class WarningLog: Sendable {
  private struct Handler: LogHandler {
    let log: WarningLog
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      guard event.level >= .warning else { return }
      let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(
        separator: " ")
      log.lines.withLock { $0.append("\(event.level): \(event.message) \(details)") }
    }
  }
  private let lines = Locked<[String]>([])

  var warnings: [String] { lines.withLock { $0 } }

  var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }
}
