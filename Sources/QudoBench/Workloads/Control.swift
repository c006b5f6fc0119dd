internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures the control verbs: cancels of many jobs, the drain of another kind meanwhile, claims beside paused jobs, and
  /// how soon a run in another process is cancelled.
  func control() async throws -> [BenchLine] {
    let many = max(settings.jobs ?? 1_000_000, 2000)
    let durability =
      settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
    return try await cancelMany(many, durability) + [claimsBesidePaused(many, durability)]
      + cancelTimes(min(settings.jobs ?? 200, 200), durability)
  }

  // MARK: Cancels

  private func cancelMany(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for isSingle in [false, true] {
      let path = settings.folder + "/control.db"
      defer { removeDatabase(path) }
      // The drain has enough jobs for as long as the cancel takes.
      try await Backlog(ready: many, foreign: many, isSingle: isSingle).make(path)
      var (rates, drains): ([Double], [(floor: Double, qudo: Double)]) = ([], [])
      for _ in 0..<settings.rounds {
        let alone = try await withCopiedQueue(path, durability) { queue in
          try await rate(many) { try await cancelAll(queue, many) }
        }
        rates.append(alone)
        let drain = try await withCopiedQueue(path, durability) { queue in try await drainRate(queue) { _ in }
        }
        let beside = try await withCopiedQueue(path, durability) { queue in
          try await drainRate(queue) { queue in try await cancelAll(queue, many) }
        }
        drains.append((drain, beside))
      }
      let name = "control, cancel \(grouped(many)) enqueued \(isSingle ? "one at a time" : "in batches")"
      lines.append(
        BenchLine(
          workload: name, durability: durability.rawValue, rate: median(rates),
          target: .atLeast(100_000, .rate)))
      lines.append(
        BenchLine("\(name), drain of another kind meanwhile", durability.rawValue, drains, floorName: "alone")
      )
    }
    return lines
  }

  private func cancelAll(_ queue: Queue<NoHooks>, _ many: Int) async throws {
    let count = try await queue.cancel(matching: JobFilter(kinds: ["bench"], states: [.ready, .delayed]))
    guard count == many else { throw BenchFailure("\(count) of \(many) jobs were cancelled") }
  }

  /// Runs jobs of another kind until `body` returns, but for at least a second.
  ///
  /// - Returns: how many jobs a second.
  private func drainRate(
    _ queue: Queue<NoHooks>, during body: @escaping @Sendable (Queue<NoHooks>) async throws -> Void
  ) async throws -> Double {
    let worker = try Worker(queue, handlers: [JobHandler("bench.other") { _ in }])
    let clock = ContinuousClock()
    let begin = clock.now
    let work = Task { try await worker.work() }
    try await body(queue)
    let rest = Duration.seconds(1) - (clock.now - begin)
    if rest > .zero { try await clock.sleep(for: rest) }
    let time = clock.now - begin
    work.cancel()
    let left = try await queue.count(["bench.other"]).first?.ready ?? 0
    // With few jobs, this is a test that all is measured.
    guard left > 0 || settings.jobs ?? .max < 100_000 else {
      throw BenchFailure("the drain ended before the measurement: measure more jobs")
    }
    return Double(try await work.value.completed) / time.inSeconds
  }

  private func withCopiedQueue<Result>(
    _ template: String, _ durability: SQLiteDriver.Durability, _ body: (Queue<NoHooks>) async throws -> Result
  ) async throws -> Result {
    try await withCopy(template, durability) { driver in try await body(Queue(driver)) }
  }

  // MARK: Pauses

  private func claimsBesidePaused(_ many: Int, _ durability: SQLiteDriver.Durability) async throws
    -> BenchLine
  {
    try await claimsBeside(
      many, "control, claims beside \(grouped(many)) paused", durability, floorName: "none paused",
      ClaimRequest([.init("bench"), .init("bench.other")], limit: 1)
    ) { driver in
      try await Queue(driver).pause(["bench.other"])
    }
  }

  // MARK: Runs

  /// Measures the time from the acknowledgement of a cancel to the cancellation of the run in another process.
  private func cancelTimes(_ count: Int, _ durability: SQLiteDriver.Durability) async throws -> [BenchLine] {
    let times = try await withFile { path in
      try await withQueue(path, durability) { queue in
        let child = try settings.spawn(["cancelled", path, durability.rawValue])
        func line() async throws -> String {
          guard let line = try await child.line() else { throw BenchFailure("the worker ended early") }
          return line
        }
        guard try await line() == "ready" else { throw BenchFailure("the worker did not start") }
        var times: [Double] = []
        for _ in 0..<count {
          let id = try await queue.enqueue(NewJob("bench")).id
          guard try await line() == "begun" else { throw BenchFailure("the job did not begin") }
          try await ContinuousClock().sleep(for: .microseconds(Int.random(in: 2000...5000)))
          guard try await queue.cancel(id) == .cancelling else { throw BenchFailure("the job does not run") }
          let acknowledged = Child.monotonic()
          guard let heard = Int64(try await line()) else { throw BenchFailure("the run was not cancelled") }
          times.append(Double(max(0, heard - acknowledged)) / 1e6)
        }
        try await child.end()
        return times
      }
    }
    return [(0.5, "p50", nil), (0.99, "p99", 1000)].map { (share, name, most: Double?) in
      BenchLine(
        workload: "control, cancel of a run, \(name)", durability: durability.rawValue,
        rate: percentile(share, of: times), unit: "ms",
        target: most.map { .atMost($0, .rate) })
    }
  }
}
