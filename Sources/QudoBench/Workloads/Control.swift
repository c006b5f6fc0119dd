#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures the control verbs: cancels of many jobs, the drain of another kind meanwhile, claims while jobs are paused,
  /// and how soon a run in another process is cancelled.
  func control() async throws -> [BenchLine] {
    let many = max(settings.jobs ?? 1_000_000, 2000)
    let durability =
      settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
    // With few jobs, this is a test that all is measured.
    let runs = min(max(many / 100, 2), 200)
    return try await cancelMany(many, durability) + [claimsBesidePaused(many, durability)]
      + cancelTimes(runs, durability) + commandTimes(runs, durability)
  }

  // MARK: Cancels

  private func cancelMany(_ many: Int, _ durability: SQLiteDriver.Durability) async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for isSingle in [false, true] {
      let path = settings.folder + "/control.db"
      defer { removeDatabase(path) }
      try await Backlog(ready: many, foreign: many, isSingle: isSingle).make(path)
      var (alone, beside): ([Double], [Double]) = ([], [])
      var drains: [(floor: Double, qudo: Double)] = []
      for _ in 0..<settings.rounds {
        alone.append(
          try await withCopiedQueue(path, durability) { queue in
            try await rate(many) {
              let count = try await queue.cancel(matching: Self.waiting)
              guard count == many else { throw BenchFailure("\(count) of \(many) jobs were cancelled") }
            }
          })
        let drain = try await withCopiedQueue(path, durability) { queue in
          try await drainRates(queue, many, cancels: false).drained
        }
        let both = try await withCopiedQueue(path, durability) { queue in
          try await drainRates(queue, many, cancels: true)
        }
        drains.append((drain, both.drained))
        beside.append(both.cancelled)
      }
      let name = "control, cancel \(grouped(many)) enqueued \(isSingle ? "one at a time" : "in batches")"
      lines += [
        BenchLine(
          workload: name, durability: durability.rawValue, rate: median(alone),
          target: .atLeast(100_000, .rate)),
        BenchLine(
          workload: "\(name), beside a drain of another kind", durability: durability.rawValue,
          rate: median(beside)),
        BenchLine(
          "\(name), drain of another kind meanwhile", durability.rawValue, drains, floorName: "alone",
          target: .atLeast(0.8)),
      ]
    }
    return lines
  }

  private static let waiting = JobFilter(kinds: ["bench"], states: [.ready, .delayed])

  /// The jobs of a second while a worker drains another kind.
  private struct DrainRates {
    var drained: Double
    var cancelled: Double
  }

  /// Drains another kind, and cancels jobs meanwhile or not: until three quarters of the other kind's jobs have run, or
  /// until all jobs are cancelled, but for at least a second. So both last from the beginning to the end.
  private func drainRates(_ queue: Queue<NoHooks>, _ many: Int, cancels: Bool) async throws -> DrainRates {
    let (end, ends) = AsyncStream<Void>.makeStream()
    let (runs, cancelled) = (Locked(0), Locked(0))
    // With few jobs, this is a test that all is measured, and the drain may end first.
    let isMeasured = many >= 100_000
    let most = isMeasured ? many / 4 * 3 : .max
    let worker = try Worker(
      queue,
      handlers: [
        JobHandler("bench.other") { _ in
          let count = runs.withLock { count in
            count += 1
            return count
          }
          if count == most { ends.finish() }
        }
      ])
    let clock = ContinuousClock()
    let begin = clock.now
    let work = Task {
      defer { ends.finish() }
      return try await worker.work()
    }
    let cancel = Task {
      if !cancels, isMeasured { return }
      defer { ends.finish() }
      if cancels {
        try await queue.cancel(matching: Self.waiting) { jobs in
          cancelled.withLock { $0 += jobs.count }
          try Task.checkCancellation()
        }
      }
      let rest = Duration.seconds(1) - (clock.now - begin)
      if rest > .zero { try await clock.sleep(for: rest) }
    }
    for await _ in end {}
    let (time, count) = (clock.now - begin, cancelled.withLock { $0 })
    cancel.cancel()
    work.cancel()
    let completed = try await work.value.completed
    do { try await cancel.value } catch is CancellationError {} catch let error as QudoError {
      guard error.code == .cancelled else { throw error }
    }
    guard completed < many || !isMeasured else {
      throw BenchFailure("the drain ended before the measurement: measure more jobs")
    }
    return DrainRates(
      drained: Double(completed) / time.inSeconds, cancelled: Double(count) / time.inSeconds)
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
    return cancelLines("a run", times, durability)
  }

  /// Measures the time from the acknowledgement of a cancel until the command that `qudo work` runs for the job is gone.
  private func commandTimes(_ count: Int, _ durability: SQLiteDriver.Durability) async throws -> [BenchLine] {
    let times = try await withFile { path in
      try await withQueue(path, durability) { queue in
        // The worker passes on what a command prints only when the command has ended.
        let command = #"sh -c 'read -r file; echo $$ > "$file.new"; mv "$file.new" "$file"; exec sleep 3600'"#
        let worker = try settings.spawn([
          "work", "bench=\(command)", "bench.end=sh -c 'kill $PPID'", "--database", path,
          "--durability", durability.rawValue,
        ])
        let file = path + ".command"
        var times: [Double] = []
        for _ in 0..<count {
          let id = try await queue.enqueue(NewJob("bench", payload: Payload(file + "\n"))).id
          let process = try await processID(in: file)
          try FileManager.default.removeItem(atPath: file)
          guard try await queue.cancel(id) == .cancelling else { throw BenchFailure("the job does not run") }
          let acknowledged = Child.monotonic()
          while kill(process, 0) == 0 {
            guard Child.monotonic() - acknowledged < 60_000_000_000 else {
              throw BenchFailure("the command did not end")
            }
            try await ContinuousClock().sleep(for: .microseconds(200))
          }
          times.append(Double(Child.monotonic() - acknowledged) / 1e6)
        }
        try await queue.enqueue(NewJob("bench.end"))
        try await worker.end()
        return times
      }
    }
    return cancelLines("a command", times, durability)
  }

  /// Returns the number of the process that a command writes into a file when it begins.
  private func processID(in file: String) async throws -> pid_t {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
      // Without the file, the command has not begun yet.
      if let text = try? String(contentsOfFile: file, encoding: .utf8), let id = pid_t(text.dropLast()) {
        return id
      }
      try await ContinuousClock().sleep(for: .milliseconds(Int.random(in: 2...5)))
    }
    throw BenchFailure("the command did not begin")
  }

  private func cancelLines(_ what: String, _ times: [Double], _ durability: SQLiteDriver.Durability)
    -> [BenchLine]
  {
    [(0.5, "p50", nil), (0.99, "p99", 1000)].map { (share, name, most: Double?) in
      BenchLine(
        workload: "control, cancel of \(what), \(name)", durability: durability.rawValue,
        rate: percentile(share, of: times), unit: "ms",
        target: most.map { .atMost($0, .rate) })
    }
  }
}
