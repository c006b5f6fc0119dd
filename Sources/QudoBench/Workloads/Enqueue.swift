internal import Qudo
internal import QudoSQLite

/// The payload of all jobs: 100 bytes.
let payload = [UInt8](repeating: 65, count: 100)

extension SQLiteDriver.Durability {
  /// The number of jobs that takes about a second, one at a time, on an ordinary disk.
  var singles: Int { self == .full ? 2000 : 20_000 }
}

extension Bench {
  /// The number of jobs to enqueue before single commits are measured, so that the WAL is reused from its
  /// start. A disk syncs appends at half the speed of overwrites, and a queue that has run for a while
  /// overwrites.
  var warmUp: Int { min(30_000, (settings.jobs ?? .max / 10) * 10) }

  /// Measures one caller with one job per call, each acknowledged before the next.
  func enqueueOne() async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let count = settings.jobs ?? durability.singles
      let rounds = try await interleave { path in
        let floor = try ReferenceFloor(path, durability)
        try floor.enqueue(warmUp, batch: 1000, payload)
        return try rate(count) { try floor.enqueueEach(count, payload) }
      } qudo: { path in
        try await withQueue(path, durability) { queue in
          try await fill(queue, warmUp)
          let job = NewJob("bench", payload: Payload(payload))
          return try await rate(count) { for _ in 0..<count { try await queue.enqueue(job) } }
        }
      }
      lines.append(
        BenchLine(
          Workload.enqueueOne.rawValue, durability.rawValue, rounds, floorName: "reference",
          target: durability == .off ? nil : .atLeast(0.95)))
    }
    return lines
  }

  /// Measures many concurrent callers with one job per call, each acknowledged before the caller's next.
  func enqueueManyCallers() async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      for callers in [8, 64, 512] {
        let single = settings.jobs ?? durability.singles
        let each = max(1, (settings.jobs ?? (durability == .full ? 2500 : 1500) * min(callers, 64)) / callers)
        let rounds = try await interleave { path in
          let floor = try ReferenceFloor(path, durability)
          try floor.enqueue(warmUp, batch: 1000, payload)
          return try rate(single) { try floor.enqueueEach(single, payload) }
        } qudo: { path in
          try await withQueue(path, durability) { queue in
            try await fill(queue, warmUp)
            let job = NewJob("bench", payload: Payload(payload))
            return try await rate(each * callers) {
              try await withThrowingTaskGroup { group in
                for _ in 0..<callers { group.addTask { for _ in 0..<each { try await queue.enqueue(job) } } }
                try await group.waitForAll()
              }
            }
          }
        }
        let least: Double? =
          switch (callers, durability) {
          case (64, .full): 20
          case (64, .normal): 3.5
          case (512, .full): 60
          default: nil
          }
        lines.append(
          BenchLine(
            "\(Workload.enqueueManyCallers.rawValue) \(callers)", durability.rawValue, rounds,
            floorName: "reference, one caller",
            target: least.map { .atLeast($0) }))
      }
    }
    return lines
  }

  /// Measures calls with 1,000 jobs each.
  func enqueueBatch() async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    let count = settings.jobs ?? 200_000
    for durability in settings.durabilities {
      let rounds = try await interleave { path in
        var floor = try BestFloor(path, durability)
        let clock = ContinuousClock()
        let begin = clock.now
        try floor.enqueue(count, batch: 1000, payload)
        return Double(count) / (clock.now - begin).inSeconds
      } qudo: { path in
        try await withQueue(path, durability) { queue in
          try await rate(count) { try await fill(queue, count) }
        }
      }
      lines.append(
        BenchLine(
          Workload.enqueueBatch.rawValue, durability.rawValue, rounds, floorName: "best",
          target: .atLeast(0.75)))
    }
    return lines
  }

  func withQueue<Result>(
    _ path: String, _ durability: SQLiteDriver.Durability, _ body: (Queue<NoHooks>) async throws -> Result
  ) async throws -> Result {
    let driver = try SQLiteDriver(path: path, durability: durability)
    do {
      let result = try await body(Queue(driver))
      await driver.close()
      return result
    } catch {
      await driver.close()
      throw error
    }
  }
}

/// Enqueues jobs in batches of 1,000.
func fill(_ queue: Queue<NoHooks>, _ count: Int, _ job: NewJob = NewJob("bench", payload: Payload(payload)))
  async throws
{
  let batch = Array(repeating: job, count: min(1000, count))
  for first in stride(from: 0, to: count, by: 1000) {
    try await queue.enqueue(count - first < batch.count ? Array(batch.prefix(count - first)) : batch)
  }
}
