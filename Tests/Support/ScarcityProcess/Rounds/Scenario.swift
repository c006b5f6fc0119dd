import Qudo
import QudoSQLite

/// What is done while memory is scarce.
struct Scenario: Sendable {
  let name: String
  /// Makes the file that each round begins with, and says what is claimed in it.
  var prepare: @Sendable (SQLiteDriver) async throws -> [ClaimedJob] = { _ in [] }
  /// Done before memory is scarce, with the driver of the round: then its statements are prepared.
  var warmUp: (@Sendable (SQLiteDriver) async throws -> Void)?
  /// Whether a long-running read transaction is open meanwhile, so that the WAL only grows.
  var isPinned = false
  /// Its rounds take so long that only so many of the last requests are tried, unless there is time for all.
  var last: Int?
  /// A single call, and what it answered, in words that are the same each time.
  let act: @Sendable (SQLiteDriver, [ClaimedJob]) async throws -> String
}

extension Scenario {
  static let all: [Scenario] = enqueues + claims + settles + logs + listings + upkeep

  private static func request(_ limit: Int, _ kinds: Kind..., lease: Duration = .seconds(60)) -> ClaimRequest
  {
    ClaimRequest(kinds.map { .init($0, leaseDuration: lease) }, limit: limit)
  }

  private static func job(
    _ text: String, _ kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now
  ) -> NewJob {
    NewJob(kind, payload: Payload(text), unique: unique, priority: priority, due: due)
  }

  private static func jobs(_ count: Int, _ kinds: Kind...) -> [NewJob] {
    (0..<count).map { job("payload \($0)", kinds[$0 % kinds.count], priority: $0 % 3) }
  }

  private static func words(_ claim: Claim?) -> String {
    guard let claim else { return "none" }
    let jobs = claim.jobs.map {
      "\($0.id) \($0.kind) \(String(decoding: $0.payload.bytes, as: UTF8.self)) \($0.uniqueKey ?? "-") \($0.attempt)"
    }
    return
      "\(jobs) due \(String(describing: claim.timeUntilNextDue)) lease \(String(describing: claim.timeUntilNextLeaseExpiry))"
  }

  // MARK: Enqueueing

  private static let keyed: [NewJob] = [
    job("new", unique: UniqueKey("free")), job("rejected", unique: UniqueKey("held")),
    job("kept", unique: UniqueKey("held", onConflict: .keep)),
    job("over", unique: UniqueKey("held", onConflict: .overwrite), due: .after(.seconds(9))),
    NewJob("a", payload: Payload("once"), idempotencyKey: IdempotencyKey("first")),
    NewJob("a", payload: Payload("again"), idempotencyKey: IdempotencyKey("second")),
    job("last", "new.kind", due: .after(.seconds(5))),
  ]

  private static let enqueues: [Scenario] = [
    Scenario(name: "enqueue one") { driver, _ in "\(try await driver.insert([job("one")]))" },
    Scenario(name: "enqueue one, prepared", warmUp: { _ = try await $0.insert([job("zero")]) }) { driver, _ in
      "\(try await driver.insert([job("one")]))"
    },
    Scenario(
      name: "enqueue with keys",
      prepare: { driver in
        _ = try await driver.insert([
          job("holder", unique: UniqueKey("held")),
          NewJob("a", payload: Payload("was"), idempotencyKey: IdempotencyKey("first")),
        ])
        return []
      }
    ) { driver, _ in "\(try await driver.insert(keyed))" },
    Scenario(name: "enqueue many", warmUp: { _ = try await $0.insert(jobs(2, "a", "b")) }) { driver, _ in
      "\(try await driver.insert(jobs(70, "a", "b")))"
    },
    Scenario(name: "enqueue large", warmUp: { _ = try await $0.insert([job("zero")]) }) { driver, _ in
      "\(try await driver.insert([job(String(repeating: "x", count: 1 << 20))]))"
    },
  ]

  // MARK: Working

  private static let claims: [Scenario] = [
    Scenario(
      name: "claim one kind",
      prepare: {
        _ = try await $0.insert(jobs(20, "a")); return []
      }
    ) { driver, _ in
      words(try await driver.claim(request(10, "a")))
    },
    Scenario(
      name: "claim many kinds",
      prepare: {
        _ = try await $0.insert(jobs(40, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")); return []
      }
    ) { driver, _ in
      words(try await driver.claim(request(15, "a", "b", "c", "d", "e", "f", "g", "h", "i", "k", "j")))
    },
    Scenario(
      name: "claim what was delayed, and what was lost",
      prepare: { driver in
        _ = try await driver.insert([
          job("soon", due: .at(.init(microseconds: 1))), job("then", due: .after(.seconds(1))), job("a"),
        ])
        return try await driver.claim(request(2, "a", lease: .zero)).jobs
      }
    ) { driver, _ in words(try await driver.claim(request(10, "a"))) },
    Scenario(
      name: "extend",
      prepare: {
        _ = try await $0.insert(jobs(4, "a")); return try await $0.claim(request(3, "a")).jobs
      }
    ) { driver, claimed in
      "\(try await driver.renew(claimed.map(\.lease), for: .seconds(90)).map { $0?.expiresAt })"
    },
    Scenario(
      name: "promote",
      prepare: {
        _ = try await $0.insert((0..<9).map { job("\($0)", due: .after(.microseconds($0))) }); return []
      }
    ) { driver, _ in "\(try await driver.promote(limit: 5))" },
  ]

  private static let outcomes: [Settlement.Outcome] = [
    .completed(), .completed(),
    .completed(replacements: [job("next"), job("taken", unique: UniqueKey("held"))]),
    .retry(after: .seconds(3), message: "it rained"), .retry(after: .zero, message: ""),
    .snoozed(.seconds(2), countsAttempt: true),
    .failed(message: "for good"), .aborted(message: "said so"), .released,
  ]

  private static let settles: [Scenario] = [
    Scenario(
      name: "settle with every outcome, and claim",
      prepare: { driver in
        _ = try await driver.insert(
          jobs(9, "a") + [job("holder", "a", unique: UniqueKey("held"), priority: -9), job("more", "b")])
        return try await driver.claim(request(9, "a")).jobs
      }
    ) { driver, claimed in
      let settlements = zip(claimed, outcomes).map { Settlement($0.lease, $1, recording: .seconds(1)) }
      let (results, claim) = try await driver.settle(settlements, claiming: request(2, "b"))
      return "\(results) \(words(claim))"
    },
    Scenario(
      name: "settle a large failure",
      prepare: { driver in
        _ = try await driver.insert([job(String(repeating: "y", count: 300_000))])
        return try await driver.claim(request(9, "a")).jobs
      }
    ) { driver, claimed in
      let message = String(repeating: "z", count: 16_000)
      return
        "\(try await driver.settle(claimed.map { Settlement($0.lease, .failed(message: message)) }, claiming: nil).results)"
    },
  ]

  // MARK: Looking after it

  private static func makeLogs(_ driver: SQLiteDriver) async throws -> [ClaimedJob] {
    _ = try await driver.insert(jobs(12, "a") + [job("keyed", unique: UniqueKey("key"), priority: 5)])
    let claimed = try await driver.claim(request(20, "a")).jobs
    _ = try await driver.settle(
      claimed.map { Settlement($0.lease, .failed(message: "no"), recording: .seconds(1)) }, claiming: nil)
    return []
  }

  private static let logs: [Scenario] = [
    Scenario(name: "prune", prepare: makeLogs) { driver, _ in
      "\(try await driver.prune(PruneOptions(keep: 3, limit: 8)))"
    },
    Scenario(name: "replay", prepare: makeLogs) { driver, _ in "\(try await driver.replay([1, 1, 2, 99, 7]))"
    },
    Scenario(name: "list the logs", prepare: makeLogs) { driver, _ in
      "\(try await driver.failures(LogQuery(kinds: ["a"]))) \(try await driver.statuses(LogQuery(offset: 2)))"
    },
  ]

  private static let listings: [Scenario] = [
    Scenario(
      name: "count and find",
      prepare: { driver in
        _ = try await driver.insert(
          jobs(6, "a", "b") + [
            job("later", due: .after(.seconds(5))), job(String(repeating: "w", count: 9000), "c"),
          ])
        return try await driver.claim(request(2, "a")).jobs
      }
    ) { driver, _ in
      let all = try await driver.jobs(matching: JobQuery())
      let some = try await driver.jobs(matching: JobQuery(kinds: ["a", "c"], states: [.ready, .running]))
      return
        "\(try await driver.count(nil)) \(try await driver.count(["a"])) \(all.map(words)) \(some.map(words))"
    }
  ]

  private static func words(_ job: StoredJob) -> String {
    "\(job.id) \(job.kind) \(job.state) \(job.payload.bytes.hashValue) \(job.uniqueKey ?? "-") \(job.attempt) \(job.dueAt.microseconds)"
  }

  private static let upkeep: [Scenario] = [
    // SQLite is told that this need not be on the disk, and must know for the next enqueue, which others do, that it must.
    Scenario(name: "from what is durable to what is not", warmUp: { _ = try await $0.insert([job("x")]) }) {
      driver, _ in
      _ = try? await driver.promote(limit: 100)
      return ""
    },
    // Enough for a checkpoint, which comes after the call has returned and before the next one begins.
    Scenario(
      name: "checkpoint",
      warmUp: {
        try await fillWAL($0, 180); _ = try await $0.promote(limit: 100)
      }, last: 9
    ) { driver, _ in
      let results = try await driver.insert(
        (0..<30).map { job("\($0)" + String(repeating: "t", count: 20_000)) })
      _ = try? await driver.promote(limit: 100)
      return "\(results)"
    },
    // The WAL's index in shared memory comes in blocks, of 4,062 pages the first one; and a checkpoint is due.
    Scenario(
      name: "enqueue beyond a block of the WAL's index", warmUp: { try await fillWAL($0, 395) },
      isPinned: true, last: 5
    ) { driver, _ in
      "\(try await driver.insert((0..<20).map { job("\($0)" + String(repeating: "v", count: 20_000)) }))"
    },
    Scenario(
      name: "compact",
      prepare: {
        _ = try await $0.insert(jobs(300, "a", "b")); return []
      }
    ) { driver, _ in "\(try await driver.compact())" },
  ]

  private static func fillWAL(_ driver: SQLiteDriver, _ count: Int) async throws {
    _ = try await driver.insert((0..<count).map { job("\($0)" + String(repeating: "u", count: 20_000)) })
  }
}

/// What is so large that SQLite needs files for it.
extension Scenario {
  static let large: [Scenario] = [
    Scenario(name: "enqueue 12,000") { driver, _ in
      "\(try await driver.insert((0..<12_000).map { NewJob("a", priority: $0 % 7) }).count)"
    },
    Scenario(
      name: "claim 8,000",
      prepare: {
        _ = try await $0.insert((0..<8_000).map { NewJob("a", priority: $0 % 7) }); return []
      }
    ) { driver, _ in "\(try await driver.claim(ClaimRequest([.init("a")], limit: 8_000)).jobs.count)" },
  ]
}
