internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures claims and settles of one job at a time. No two jobs share a claim or a settle.
  func claimSettleOne() async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let count = settings.jobs ?? durability.singles
      let rounds = try await interleave { path in
        let floor = try ReferenceFloor(path, durability)
        try floor.enqueue(count + warmUp, batch: 1000, payload)
        return try rate(count) { try floor.claimAndCompleteEach(count) }
      } qudo: { path in
        try await withQueue(path, durability) { queue in
          try await fill(queue, count + warmUp)
          let driver = try await queue.databases.drivers()[0]
          return try await rate(count) { try await Self.settle(driver, ["bench"], count, batch: 1) }
        }
      }
      let least: Double? =
        switch durability {
        case .full: 2
        case .normal: 1.2
        case .off: nil
        }
      lines.append(
        BenchLine(
          Workload.claimSettleOne.rawValue, durability.rawValue, rounds, floorName: "reference",
          target: least.map { .atLeast($0) }))
    }
    return lines
  }

  /// Claims and settles `count` jobs. Each call settles the jobs that the last one claimed.
  static func settle(_ driver: any Driver, _ kinds: [Kind], _ count: Int, batch: Int) async throws {
    try await settle(driver, ClaimRequest(kinds.map { ClaimRequest.KindDemand($0) }, limit: batch), count)
  }

  static func settle(_ driver: any Driver, _ request: ClaimRequest, _ count: Int) async throws {
    var held: [ClaimedJob] = []
    var left = count
    while true {
      let settlements = held.map { Settlement($0.lease, .completed()) }
      let answer = try await driver.settle(settlements, claiming: left > 0 ? request : nil)
      guard left > 0 else { return }
      held = answer.claim?.jobs ?? []
      guard !held.isEmpty else { throw QudoError(.database, "\(left) of \(count) jobs are missing") }
      left -= held.count
    }
  }

  /// Measures a worker that claims, runs and settles jobs that do nothing.
  func drain() async throws -> [BenchLine] {
    let count = settings.jobs ?? 100_000
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      var rounds = try await interleave { path in
        var floor = try BestFloor(path, durability)
        try floor.enqueue(count, batch: 1000, payload)
        let clock = ContinuousClock()
        let begin = clock.now
        guard try floor.drain(batch: 1000) == count else { throw QudoError(.database, "the floor lost jobs") }
        return Double(count) / (clock.now - begin).inSeconds
      } qudo: { path in
        try await drain(
          path, durability, count, NewJob("bench", payload: Payload(payload)), JobHandler("bench") { _ in })
      }
      let raw = BenchLine(
        "drain raw", durability.rawValue, rounds, floorName: "best",
        target: durability == .off ? nil : .atLeast(0.65))
      lines.append(raw)
      var alone = raw
      (alone.floor, alone.floorName, alone.ratios, alone.target) = (nil, nil, [], .atLeast(100_000, .rate))
      lines.append(alone)
      let job = NewJob(
        Note.kind,
        payload: try Codecs().encode(Note(id: 12_345, text: String(repeating: "A", count: 80)), of: Note.kind)
      )
      for index in rounds.indices {
        rounds[index].qudo = try await withFile { path in
          try await drain(path, durability, count, job, JobHandler(Note.self))
        }
      }
      var json = BenchLine("drain JSON", durability.rawValue, rounds, floorName: "best")
      json.target = .atLeast(70_000, .rate)
      lines.append(json)
    }
    return lines
  }

  private func drain(
    _ path: String, _ durability: SQLiteDriver.Durability, _ count: Int, _ job: NewJob, _ demand: JobHandler
  ) async throws -> Double {
    try await withQueue(path, durability) { queue in
      try await fill(queue, count, job)
      let worker = try Worker(queue, handlers: [demand])
      var summary = WorkSummary()
      let rate = try await rate(count) { summary = try await worker.workUntilEmpty() }
      guard summary.completed == count else {
        throw QudoError(.database, "\(summary.completed) of \(count) jobs were completed")
      }
      return rate
    }
  }
}

/// A job whose JSON has 100 bytes.
struct Note: Job {
  static let kind: Kind = "bench.note"
  var id: Int
  var text: String
  func perform(_ context: JobContext) async throws {}
}
