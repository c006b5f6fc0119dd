internal import Qudo
internal import QudoSQLite

extension Bench {
  /// From the acknowledgement of an enqueue to the start of its run in another process, whose worker was idle.
  func wake() async throws -> [BenchLine] {
    let count = settings.jobs ?? 1000
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let (times, idle) = try await withFile { path in
        try await withQueue(path, durability) { queue in
          let child = try settings.spawn(["wake", path, durability.rawValue])
          guard try await child.line() == "ready" else { throw BenchFailure("the worker did not get ready") }
          var times: [Double] = []
          for _ in 0..<count {
            // Until it is idle again, not always for the same time.
            try await ContinuousClock().sleep(for: .microseconds(Int.random(in: 2000...5000)))
            try await queue.enqueue(NewJob("bench", payload: Payload(payload)))
            let acknowledged = Child.monotonic()
            guard let line = try await child.line(), let started = Int64(line) else {
              throw BenchFailure("the worker ended")
            }
            // It may have started before the answer was here.
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

  /// Which share of a processor it takes when there is nothing to do, in per cent.
  private func idleTime(_ child: any ChildProcess) async throws -> Double {
    let span = Duration.seconds(settings.jobs == nil ? 60 : 1)
    func used() async throws -> Double {
      try await child.write("time")
      guard let line = try await child.line(), let time = Double(line) else {
        throw BenchFailure("the worker ended")
      }
      return time / 1e6
    }
    let begin = try await used()
    try await ContinuousClock().sleep(for: span)
    return try await (used() - begin) / span.inSeconds * 100
  }
}
