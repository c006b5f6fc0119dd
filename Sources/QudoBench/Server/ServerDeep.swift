#if MySQL
internal import Qudo
internal import QudoMySQL

extension ServerBench {
  /// Measures claims in the presence of things that must not matter: many waiting jobs, many delayed jobs,
  /// many kinds, and many deleted jobs that a long-running read transaction still sees.
  func deep() async throws -> [BenchLine] {
    let many = max(settings.jobs ?? 1_000_000, ClaimTimes.jobs)
    let used = ClaimTimes.jobs * settings.rounds
    return try await besideBase(
      "deep \(grouped(many)) waiting", ServerBacklog(ready: max(many, used)), .atMost(1.5))
      + besideBase("deep \(grouped(many)) delayed", ServerBacklog(ready: used, delayed: many), .atMost(1.5))
      + besideBase(
        "deep 50 kinds, \(grouped(many)) waiting", ServerBacklog(ready: max(many, used), kinds: 50),
        .atMost(10, .rate))
      + besideSnapshot(many, used) + [minuteBesideSnapshot()]
  }

  /// Works for a minute while another session holds a snapshot, which keeps the server from purging what was deleted since.
  ///
  /// - Returns: the rate of the last 10 s, with that of the first 10 s.
  private func minuteBesideSnapshot() async throws -> BenchLine {
    let part = Duration.milliseconds(settings.jobs == nil ? 10_000 : 100)
    var rates: [Double] = []
    try await withNewTables {
      try await withDriver { driver in
        let reader = try RawServer(settings.server)
        try reader.run(Self.snapshot)
        let jobs = (0..<10).map { _ in NewJob("bench", payload: Payload(payload)) }
        let request = ClaimRequest([ClaimRequest.KindDemand("bench")], limit: jobs.count)
        var held: [ClaimedJob] = []
        while rates.count < 6 {
          let (clock, begin) = (ContinuousClock(), ContinuousClock.now)
          var count = 0
          repeat {
            _ = try await driver.insert(jobs)
            let answer = try await driver.settle(
              held.map { Settlement($0.lease, .completed()) }, claiming: request)
            held = answer.claim?.jobs ?? []
            count += held.count
          } while clock.now - begin < part
          rates.append(Double(count) / (clock.now - begin).inSeconds)
        }
        try reader.run("COMMIT")
      }
    }
    guard let first = rates.first, let last = rates.last else { throw BenchFailure("nothing was measured") }
    return BenchLine(
      workload: "deep, a minute beside a snapshot, last 10 s", durability: nil, rate: last, floor: first,
      floorName: "first 10 s", ratios: [last / first], target: .atLeast(0.9))
  }

  /// "WITH CONSISTENT SNAPSHOT ... only has an effect if the current isolation level is REPEATABLE READ". Sessions of Qudo let
  /// MariaDB end idle transactions, which this one must outlive.
  private static let snapshot = """
    SET @qudo_bench = 0 /*M!100600 , SESSION idle_transaction_timeout = 0 */;\
    SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;START TRANSACTION WITH CONSISTENT SNAPSHOT
    """

  /// Alternates with 1,000 jobs, for which the backlog's tables are renamed.
  private func besideBase(_ name: String, _ backlog: ServerBacklog, _ target: BenchLine.Target) async throws
    -> [BenchLine]
  {
    var (base, deep): ([ClaimTimes], [ClaimTimes]) = ([], [])
    try await withNewTables {
      try await withDriver { try await backlog.make(settings.server, $0) }
      for round in 0..<settings.rounds {
        if round.isMultiple(of: 2) { base.append(try await baseTimes()) }
        deep.append(try await withDriver { try await ClaimTimes($0, backlog.names) })
        if !round.isMultiple(of: 2) { base.append(try await baseTimes()) }
      }
    }
    return ClaimTimes.lines(name, base, deep, target)
  }

  private func baseTimes() async throws -> ClaimTimes {
    try ServerTables(RawServer(settings.server)).putAside()
    let backlog = ServerBacklog(ready: ClaimTimes.jobs)
    let times = try await withDriver { driver in
      try await backlog.make(settings.server, driver)
      return try await ClaimTimes(driver, backlog.names)
    }
    let tables = ServerTables(try RawServer(settings.server))
    try tables.dropQudo()
    try tables.takeBack()
    return times
  }

  /// Does not alternate, because the snapshot would affect the 1,000 jobs too.
  private func besideSnapshot(_ many: Int, _ used: Int) async throws -> [BenchLine] {
    var (base, deep): ([ClaimTimes], [ClaimTimes]) = ([], [])
    let backlog = ServerBacklog(ready: used, gone: many)
    try await withNewTables {
      for _ in 0..<settings.rounds { base.append(try await baseTimes()) }
      let reader = try RawServer(settings.server)
      try reader.run(Self.snapshot)
      try await withDriver { try await backlog.make(settings.server, $0) }
      for _ in 0..<settings.rounds {
        deep.append(try await withDriver { try await ClaimTimes($0, backlog.names) })
      }
      // This fails if the server has ended the session, and with it the snapshot.
      try reader.run("COMMIT")
    }
    let name = "deep \(grouped(many)) gone under a snapshot"
    let slowest = deep.flatMap { $0.one + $0.batch }.max() ?? .nan
    return ClaimTimes.lines(name, base, deep, .atMost(5))
      + [BenchLine(workload: "\(name), slowest claim", durability: nil, rate: slowest, unit: "ms")]
  }
}

/// The durations of claims, in milliseconds.
private struct ClaimTimes {
  /// The number of jobs to claim from. The claims take somewhat fewer.
  static let jobs = 1000

  /// Claims of one job.
  var one: [Double] = []
  /// Claims of 100 jobs.
  var batch: [Double] = []

  init(_ driver: MySQLDriver, _ kinds: [Kind]) async throws {
    // The first claim reads from the disk, which is not part of the measurement.
    _ = try await Self.claim(driver, kinds, 10)
    for _ in 0..<8 { batch.append(try await Self.claim(driver, kinds, 100)) }
    for _ in 0..<100 { one.append(try await Self.claim(driver, kinds, 1)) }
  }

  /// Claims jobs, and settles them afterwards.
  ///
  /// - Returns: the duration of the claim.
  private static func claim(_ driver: MySQLDriver, _ kinds: [Kind], _ count: Int) async throws -> Double {
    let request = ClaimRequest(kinds.map { ClaimRequest.KindDemand($0) }, limit: count)
    var claim = Claim()
    let time = try await ContinuousClock().measure { claim = try await driver.claim(request) }
    guard claim.jobs.count == count else {
      throw BenchFailure("\(claim.jobs.count) jobs were claimed instead of \(count)")
    }
    _ = try await driver.settle(claim.jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    return time.inMilliseconds
  }

  static func lines(_ name: String, _ base: [ClaimTimes], _ deep: [ClaimTimes], _ target: BenchLine.Target)
    -> [BenchLine]
  {
    let parts: [(String, (ClaimTimes) -> [Double])] = [
      ("claim of 100", { $0.batch }), ("claim of one", { $0.one }),
    ]
    return parts.map { part, times in
      let (below, above) = (base.map { median(times($0)) }, deep.map { median(times($0)) })
      return BenchLine(
        workload: "\(name), \(part)", durability: nil, rate: median(above), unit: "ms", floor: median(below),
        floorName: "1,000 waiting", ratios: zip(above, below).map { $0 / $1 }, target: target)
    }
  }
}
#endif
