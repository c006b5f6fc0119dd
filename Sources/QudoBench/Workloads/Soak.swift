internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Enqueues and runs jobs for a while at half the highest rate, first alone, then with another program that
  /// holds read transactions for up to 5 s.
  func soak() async throws -> [BenchLine] {
    let durability = settings.durabilities.first ?? .full
    let span = settings.isLong ? 600.0 : settings.jobs == nil ? 60 : 2
    return try await withFile { path in
      try await withQueue(path, durability) { queue in
        let most = try await highestRate(queue, seconds: min(3, span / 2))
        var samples: [SoakSample] = []
        var latencies: [Double] = []
        let worker = try Worker(queue, handlers: [JobHandler("bench") { _ in }])
        let work = Task { try await worker.work() }
        let reader = ForeignReader(path)
        let begin = ContinuousClock.now
        var lastSample = 0.0
        var enqueued = 0
        while true {
          let now = (ContinuousClock.now - begin).inSeconds
          // The first quarter and the last tenth are without the reader.
          reader.isActive = now > span / 4 && now < span * 0.9
          if now >= span { break }
          let due = min(1000, Int(now * most / 2) - enqueued)
          if due > 0 {
            let jobs = Array(repeating: NewJob("bench", payload: Payload(payload)), count: due)
            latencies.append(
              try await ContinuousClock().measure { try await queue.enqueue(jobs) }.inMilliseconds)
            enqueued += due
          } else {
            try await ContinuousClock().sleep(for: .milliseconds(1))
          }
          if now - lastSample >= 0.1 {
            lastSample = now
            samples.append(
              SoakSample(now / span, wal: Disk.size(of: path + "-wal"), memory: Memory.resident()))
          }
        }
        work.cancel()
        _ = try await work.value
        await reader.end()
        return lines(durability, most, Double(enqueued) / span, samples, latencies)
      }
    }
  }

  private func lines(
    _ durability: SQLiteDriver.Durability, _ most: Double, _ rate: Double, _ samples: [SoakSample],
    _ latencies: [Double]
  ) -> [BenchLine] {
    func line(_ name: String, _ value: Double, _ unit: String, _ target: BenchLine.Target? = nil) -> BenchLine
    {
      BenchLine(
        workload: "soak, \(name)", durability: durability.rawValue, rate: value, unit: unit, target: target)
    }
    func wal(_ part: ClosedRange<Double>) -> Double {
      Double(samples.filter { part.contains($0.time) }.map(\.wal).max() ?? 0) / 1_048_576
    }
    func memory(_ part: ClosedRange<Double>) -> Double {
      median(samples.filter { part.contains($0.time) }.map { Double($0.memory) })
    }
    return [
      line("highest rate", most, "jobs/s"), line("rate", rate, "jobs/s"),
      line("enqueue p50", percentile(0.5, of: latencies), "ms"),
      line("enqueue p99", percentile(0.99, of: latencies), "ms", .atMost(20, .rate)),
      line("WAL alone, highest", wal(0...0.25), "MiB", .atMost(64, .rate)),
      line("WAL with a foreign reader, highest", wal(0...1), "MiB"),
      line("WAL after it, highest", wal(0.97...1), "MiB", .atMost(64, .rate)),
      line(
        "memory, end to first quarter", memory(0.9...1) / memory(0.1...0.25), "times", .atMost(1.25, .rate)),
    ]
  }

  /// Measures the highest rate at which jobs can be enqueued and run at the same time.
  private func highestRate(_ queue: Queue<NoHooks>, seconds: Double) async throws -> Double {
    let done = Locked(0)
    let worker = try Worker(queue, handlers: [JobHandler("bench") { _ in done.withLock { $0 += 1 } }])
    let work = Task { try await worker.work() }
    let begin = ContinuousClock.now
    var enqueued = 0
    while (ContinuousClock.now - begin).inSeconds < seconds {
      if enqueued - done.withLock({ $0 }) < 5000 {
        try await fill(queue, 1000)
        enqueued += 1000
      } else {
        try await ContinuousClock().sleep(for: .milliseconds(1))
      }
    }
    let rate = Double(done.withLock { $0 }) / (ContinuousClock.now - begin).inSeconds
    work.cancel()
    _ = try await work.value
    let rest = try Worker(queue, handlers: [JobHandler("bench") { _ in }])
    try await rest.workUntilEmpty()
    return rate
  }
}

/// - `time`: the fraction of the whole duration.
/// - `wal`, `memory`: in bytes.
private struct SoakSample {
  let time: Double
  let wal: Int
  let memory: Int

  init(_ time: Double, wal: Int, memory: Int) {
    self.time = time
    self.wal = wal
    self.memory = memory
  }
}

/// Another program's connection. While active, it holds read transactions for up to 5 s each.
private final class ForeignReader: Sendable {
  private let state = Locked((isActive: false, isOver: false))
  private let task: Task<Void, any Error>

  var isActive: Bool {
    get { state.withLock { $0.isActive } }
    set { state.withLock { $0.isActive = newValue } }
  }

  init(_ path: String) {
    let state = state
    task = Task.detached {
      let database = try RawDatabase(path, [])
      let (begin, read, end) = (
        try database.prepare("BEGIN"), try database.prepare("SELECT count(*) FROM qudo_kind"),
        try database.prepare("COMMIT")
      )
      while !state.withLock({ $0.isOver }) {
        if state.withLock({ $0.isActive }) {
          try database.step(begin)
          try database.step(read)
          let until = ContinuousClock.now + .milliseconds(Int.random(in: 100...5000))
          while ContinuousClock.now < until, state.withLock({ $0.isActive }) {
            try await Task.sleep(for: .milliseconds(20))
          }
          try database.step(end)
        }
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }

  func end() async {
    state.withLock { $0.isOver = true }
    _ = await task.result
  }
}
