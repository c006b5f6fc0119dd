internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures the time from the acknowledgement of an enqueue to the start of the run in another process with
  /// an idle worker.
  func wake() async throws -> [BenchLine] {
    let count = settings.jobs ?? 1000
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let (times, idle) = try await withFile { path in
        try await withQueue(path, durability) { queue in
          let child = try settings.spawn(["wake", path, durability.rawValue])
          guard try await child.line() == "ready" else { throw BenchFailure("the worker did not start") }
          var times: [Double] = []
          for _ in 0..<count {
            // Wait until the worker is idle again, for a random time.
            try await ContinuousClock().sleep(for: .microseconds(Int.random(in: 2000...5000)))
            try await queue.enqueue(NewJob("bench", payload: Payload(payload)))
            let acknowledged = Child.monotonic()
            guard let line = try await child.line(), let started = Int64(line) else {
              throw BenchFailure("the worker ended early")
            }
            // The run may start before the enqueue's result arrives here.
            times.append(Double(max(0, started - acknowledged)) / 1e6)
          }
          let idle = durability == settings.durabilities.first ? try await idleTime(child) : nil
          try await child.end()
          return (times, idle)
        }
      }
      for (share, name, most) in [(0.5, "p50", 0.5), (0.99, "p99", 3), (0.999, "p99.9", nil)]
        as [(Double, String, Double?)]
      {
        lines.append(
          BenchLine(
            workload: "wake \(name)", durability: durability.rawValue, rate: percentile(share, of: times),
            unit: "ms",
            target: durability == .off ? nil : most.map { .atMost($0, .rate) }))
      }
      if let idle {
        lines.append(
          BenchLine(
            workload: "wake, idle worker", durability: durability.rawValue, rate: idle, unit: "% of a core",
            target: .atMost(0.1, .rate)))
      }
    }
    return lines
  }

  /// Measures the CPU time of an idle worker, in percent of a core.
  private func idleTime(_ child: any ChildProcess) async throws -> Double {
    let span = Duration.seconds(settings.jobs == nil ? 60 : 1)
    func used() async throws -> Double {
      try await child.write("time")
      guard let line = try await child.line(), let time = Double(line) else {
        throw BenchFailure("the worker ended early")
      }
      return time / 1e6
    }
    let begin = try await used()
    try await ContinuousClock().sleep(for: span)
    return try await (used() - begin) / span.inSeconds * 100
  }
}
