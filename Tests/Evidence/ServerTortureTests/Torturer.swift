#if MySQL
import FaultyNetwork
import Foundation
import MariaDBServer
import QudoTesting

/// What happened to a server once, and what was found after it.
struct FaultRecord: Sendable {
  let fault: Fault
  let server: String
  let from: UInt64
  /// When it was over and the server answered.
  var to: UInt64 = 0
  /// Jobs that were added to fill the workers' time.
  var added: [String] = []
  /// How often it struck: sessions killed, connections cut.
  var strikes = 0
  /// Of the jobs that waited after it, in seconds.
  var waits: [Double] = []
  var broken: Set<String> = []
}

/// One fault after the other on one server. After each it waits until the server answers, looks at the tables, and waits until all jobs
/// were taken that could be.
///
/// It blocks, and has a thread of its own.
struct Torturer {
  /// A job is left waiting no longer than this while a worker is healthy, in seconds.
  static let longestWait = 5.0
  /// What waits longer than that is no longer waited for.
  private static let patience = 12.0

  private let place: TorturedServer
  private let crew: Crew
  private var random: Seeded
  private var deck = Fault.Deck()
  private var waiting = WaitingJobs(longest: Torturer.longestWait)
  private var records: [FaultRecord] = []
  /// What was found broken already is not found again.
  private var known: Set<String> = []

  init(_ place: TorturedServer, _ crew: Crew, seed: UInt64) {
    (self.place, self.crew, random) = (place, crew, Seeded(seed: seed))
  }

  static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

  /// Goes on for so long.
  mutating func run(for duration: Duration) throws -> [FaultRecord] {
    let filling = try Filling(place)
    let end = ContinuousClock.now + duration
    while ContinuousClock.now < end {
      var record = FaultRecord(fault: deck.next(&random), server: place.name, from: Self.now)
      record.added = try filling.fill(place.session(), round: records.count)
      record.strikes = try strike(record.fault)
      try settle(&record)
      records.append(record)
      try crew.replaceEnded()
      wait(milliseconds(0...300))
    }
    try filling.close()
    return records
  }

  // MARK: The faults

  /// Most are short; some are longer than a call's timeout or a lease.
  private mutating func length() -> Duration {
    .milliseconds(
      Int.random(in: Int.random(in: 0..<3, using: &random) == 0 ? 2300...4500 : 200...1500, using: &random))
  }

  private mutating func milliseconds(_ range: ClosedRange<Int>) -> Duration {
    .milliseconds(Int.random(in: range, using: &random))
  }

  /// - Returns: how often it struck.
  private mutating func strike(_ fault: Fault) throws -> Int {
    let length = length()
    let proxy = place.proxy
    defer { proxy.heal() }
    // What is slow is caught in its midst more often, and goes other ways.
    if Bool.random(using: &random) {
      proxy.set(.delays(Int.random(in: 10...250, using: &random)), Proxy.Direction.some(&random))
    }
    switch fault {
    case .killQuery: return try kill("QUERY", for: length)
    case .killConnection: return try kill("CONNECTION", for: length)
    case .statementLimit: return try limitStatements(for: length)
    case .rowsLocked: try lock(for: length)
    case .readOnly: try turnReadOnly(for: length)
    case .serverStopped:
      place.server.pause()
      defer { place.server.resume() }
      wait(length)
    case .serverKilled:
      place.server.kill()
      wait(length / 2)
      try place.restart()
    case .swallowed: pass(.swallows, for: length)
    case .held: pass(.holds, for: length)
    case .delayed: pass(.delays(Int.random(in: 5...400, using: &random)), for: length)
    case .truncated: return truncate(for: length)
    case .cut: return cut(for: length)
    case .workersKilled: try crew.killWorkers(&random, pause: milliseconds(0...500))
    case .enqueuerKilled: try crew.kill(.enqueuer, &random, pause: milliseconds(0...1000))
    case .controllerKilled: try crew.kill(.controller, &random, pause: milliseconds(0...500))
    }
    return 1
  }

  private mutating func pass(_ mode: Proxy.Mode, for length: Duration) {
    place.proxy.set(mode, Proxy.Direction.some(&random))
    wait(length)
  }

  /// Stops the statements that run, or closes sessions: all of them at once, or one after the other.
  private mutating func kill(_ what: String, for length: Duration) throws -> Int {
    let session = try place.session()
    let isQuery = what == "QUERY"
    let together = Bool.random(using: &random)
    let pauses =
      (isQuery ? [0...1, 0...8, 5...40] : [5...100, 100...400]).randomElement(using: &random) ?? 0...8
    var users = "SELECT id FROM information_schema.processlist WHERE user = '\(TorturedServer.user)'"
    if isQuery {
      users +=
        [" AND command = 'Query'", " AND info RLIKE '^(INSERT|UPDATE|DELETE|COMMIT)'"].randomElement(
          using: &random) ?? ""
    }
    let end = ContinuousClock.now + length
    var count = 0
    while ContinuousClock.now < end {
      let victims = try session.rows(users).map { $0[0] }
      if together, !victims.isEmpty { try session.rows("KILL \(what) USER '\(TorturedServer.user)'") }
      for victim in victims where !together {
        do {
          try session.rows("KILL \(what) \(victim)")
        } catch let error as ServerSession.Failure where error.code == 1094 {
          // It has ended meanwhile.
        }
      }
      count += victims.count
      wait(milliseconds(pauses))
    }
    return count
  }

  /// New sessions take the limit, and have it for as long as they live.
  ///
  /// - Returns: how many statements the server stopped for it.
  private mutating func limitStatements(for length: Duration) throws -> Int {
    let session = try place.session()
    let count = { () throws -> Int in
      try session.rows("SHOW GLOBAL STATUS LIKE 'Max_statement_time_exceeded'").first.flatMap { Int($0[1]) }
        ?? 0
    }
    let before = try count()
    let end = ContinuousClock.now + length
    defer { place.proxy.cut() }
    while ContinuousClock.now < end {
      let limit = ["0.0007", "0.001", "0.0015", "0.002"].randomElement(using: &random) ?? "0.0015"
      try session.rows("SET GLOBAL max_statement_time = 0")
      place.proxy.cut()
      // Until some are connected: with the shortest limits no connection is set up.
      wait(milliseconds(0...150))
      try session.rows("SET GLOBAL max_statement_time = \(limit)")
      place.proxy.cut()
      wait(milliseconds(100...700))
    }
    try session.rows("SET GLOBAL max_statement_time = 0")
    return try count() - before
  }

  /// Others wait for what another session holds, some of them until the server gives up for them in the middle of what they do.
  private mutating func lock(for length: Duration) throws {
    let session = try place.session()
    let table =
      [
        "qudo_job", "qudo_ready", "qudo_delayed", "qudo_running", "qudo_unique", "qudo_lane", "qudo_key",
        "qudo_held", "qudo_key_rate",
      ].randomElement(
        using: &random) ?? "qudo_job"
    try session.rows("SET SESSION innodb_lock_wait_timeout = 5")
    try session.rows("START TRANSACTION")
    _ = try? session.rows(
      "SELECT 1 FROM \(table) LIMIT \(Int.random(in: 1...1000, using: &random)) FOR UPDATE")
    wait(length)
    try session.rows("ROLLBACK")
  }

  private func turnReadOnly(for length: Duration) throws {
    let session = try place.session()
    try session.rows("SET GLOBAL read_only = 1")
    wait(length)
    try session.rows("SET GLOBAL read_only = 0")
  }

  private mutating func truncate(for length: Duration) -> Int {
    let directions = Proxy.Direction.some(&random)
    let end = ContinuousClock.now + length
    var count = 0
    while ContinuousClock.now < end {
      let most = [200, 2000, 20_000].randomElement(using: &random) ?? 200
      place.proxy.set(.truncates(after: Int.random(in: 1...most, using: &random)), directions)
      count += 1
      wait(milliseconds(20...200))
    }
    return count
  }

  private mutating func cut(for length: Duration) -> Int {
    let side = [Proxy.Side.client, .server, .both].randomElement(using: &random) ?? .both
    let end = ContinuousClock.now + length
    var count = 0
    while ContinuousClock.now < end {
      place.proxy.cut(side)
      count += 1
      wait(milliseconds(10...300))
    }
    return count
  }

  // MARK: After a fault

  private mutating func settle(_ record: inout FaultRecord) throws {
    let session = try place.answer()
    record.to = Self.now
    try look(&record)
    waiting.begin()
    let start = ContinuousClock.now
    while true {
      try waiting.look(session)
      if ContinuousClock.now - start > .milliseconds(700), waiting.longestWhole < 0.3 { break }
      if waiting.longestWhole > Self.patience { waiting.abandon() }
      wait(.milliseconds(50))
    }
    record.waits = waiting.waits
    record.broken.formUnion(waiting.late)
    try look(&record)
  }

  private mutating func look(_ record: inout FaultRecord) throws {
    let broken = Set(try place.broken()).subtracting(known)
    known.formUnion(broken)
    record.broken.formUnion(broken)
  }
}
#endif
