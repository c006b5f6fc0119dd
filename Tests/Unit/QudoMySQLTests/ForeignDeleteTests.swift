#if MySQL
import MariaDBServer
@testable import QudoMySQL
import Qudo
import Testing

/// Jobs of which another program deletes the row in `qudo_job` with SQL of its own, and nothing else.
///
/// Those with a concurrency key are not here: "Delivery promises" says what becomes of their places.
@Suite struct ForeignDeleteTests {
  /// What the third of five jobs is when it is deleted.
  enum Place: CaseIterable {
    case ready, delayed, running, unique, untilStarted, expiring

    func job(_ number: Int) -> NewJob {
      guard number == 3 else { return NewJob("a") }
      switch self {
      case .ready: return NewJob("a")
      case .delayed: return NewJob("a", due: .after(.seconds(60)))
      // The first that a claim takes.
      case .running: return NewJob("a", priority: 1)
      case .unique: return NewJob("a", unique: UniqueKey("u"))
      case .untilStarted: return NewJob("a", unique: UniqueKey("u", scope: .untilStarted))
      case .expiring: return NewJob("a", expires: .after(.seconds(3600)))
      }
    }
  }

  private func tables(_ database: TestDatabase, have job: Int64) async throws -> [String] {
    try await database.server.query(
      ["ready", "delayed", "running", "held", "expiry"].map {
        "SELECT '\($0)' FROM qudo_\($0) WHERE id = \(job);"
      }.joined(separator: "\n"), in: database.name)
  }

  @Test(
    "a worker passes over a job that is gone, and runs the others", .timeLimit(.minutes(5)),
    arguments: Place.allCases)
  func worker(place: Place) async throws {
    let database = try await TestDatabase()
    let time = Locked(Timestamp(microseconds: 1_800_000_000_000_000))
    let driver = try database.driver(clock: { time.withLock { $0 } })
    func pass(_ duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
    let ids = try await driver.insert((1...5).map { place.job($0) }).map(\.id)
    let gone = ids[2]
    if place == .running {
      let hour = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 1)
      #expect(try await driver.claim(hour).jobs.map(\.id) == [gone])
    }
    try await database.server.query("DELETE FROM qudo_job WHERE id = \(gone)", in: database.name)
    if place == .delayed { pass(.seconds(61)) }

    let ran = Locked<[Int64]>([])
    let handler = JobHandler("a") { context in ran.withLock { $0.append(context.job.id) } }
    // A claim that takes the missing job alone finds nothing: a server's worker looks again 60 times as late as that.
    let options = WorkerOptions(pollInterval: .milliseconds(2))
    let worker = try Worker(Queue(driver), handlers: [handler], options: options)
    async let summary = worker.workUntilEmpty()
    // Its row, by itself, has a lease that nobody renews.
    while try await driver.count(["a"]) != [JobCount("a", running: 1)] { await Task.yield() }
    #expect(ran.withLock { $0.sorted() } == ids.filter { $0 != gone })
    pass(.seconds(7200))
    let done = try await summary
    #expect(done.completed == 4 && done.failed == 0 && done.givenUp == 0 && done.leaseLost == 0)
    #expect(ran.withLock { $0.count } == 4)
    #expect(try await driver.count() == [])
    #expect(try await driver.failures(LogQuery()) == [])
    #expect(try await tables(database, have: gone) == [])

    // Its key is free, and a worker goes on.
    let next = try await driver.insert([NewJob("a", unique: UniqueKey("u"))])
    #expect(next.map(\.isNew) == [true])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    #expect(try await worker.workUntilEmpty().completed == 1)
    #expect(ran.withLock { $0.last } == next[0].id)
    await driver.close()
    try await database.drop()
  }

  @Test(
    "of jobs that end together, one that is gone loses no outcome of the others", .timeLimit(.minutes(5)),
    arguments: [
      .completed(), .completed(replacements: [NewJob("b")]), .failed(message: "no"), .aborted(message: "no"),
      .retry(after: .zero, message: "no"), .retry(after: .seconds(9), message: "no"), .released,
    ] as [Settlement.Outcome])
  func settles(outcome: Settlement.Outcome) async throws {
    let database = try await TestDatabase()
    let time = Locked(Timestamp(microseconds: 1_800_000_000_000_000))
    let driver = try database.driver(clock: { time.withLock { $0 } })
    let want = ClaimRequest([.init("a", leaseDuration: .seconds(3600))], limit: 10)
    let ids = try await driver.insert((1...3).map { NewJob("a", unique: UniqueKey("\($0)")) }).map(\.id)
    let claimed = try await driver.claim(want).jobs
    #expect(claimed.map(\.id) == ids)
    try await database.server.query("DELETE FROM qudo_job WHERE id = \(ids[1])", in: database.name)
    let settlements = claimed.map { Settlement($0.lease, outcome, recording: .seconds(1)) }
    let results = try await driver.settle(settlements, claiming: nil).results
    for index in [0, 2] {
      guard case .settled = results[index] else {
        Issue.record("\(results)")
        continue
      }
    }
    // Nothing is logged of a job of which nothing is known.
    let others = [ids[0], ids[2]]
    let failed = try await driver.failures(LogQuery(oldestFirst: true)).map(\.job)
    switch outcome {
    case .failed, .aborted, .retry: #expect(failed == others)
    default: #expect(failed == [])
    }
    let recorded = try await driver.statuses(LogQuery(oldestFirst: true)).map(\.job)
    #expect(!recorded.contains(ids[1]))
    if case .completed = outcome { #expect(recorded == others) }

    // What waits again comes again, each once, and the rest of the missing one goes with the end of its lease.
    var again: [Int64] = []
    var rounds = 0
    while try await driver.count(["a"]) != [], rounds < 10 {
      let jobs = try await driver.claim(want).jobs
      again += jobs.map(\.id)
      _ = try await driver.settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
      time.withLock { $0 = $0.advanced(by: .seconds(3601)) }
      rounds += 1
    }
    switch outcome {
    case .retry, .released: #expect(again.sorted() == others)
    default: #expect(again == [])
    }
    #expect(try await tables(database, have: ids[1]) == [])
    let same = try await driver.insert((1...3).map { NewJob("a", unique: UniqueKey("\($0)")) })
    #expect(same.map(\.isNew) == [true, true, true])
    #expect(try await TableInvariants.violations(in: database.name, on: database.server) == [])
    await driver.close()
    try await database.drop()
  }
}

extension InsertResult {
  fileprivate var isNew: Bool {
    if case .inserted = self { true } else { false }
  }
}
#endif
