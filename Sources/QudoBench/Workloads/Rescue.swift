#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif
internal import Qudo
public import QudoSQLite

extension Bench {
  /// Measures the time from the SIGKILL of a worker to the start of its job in another process with an idle
  /// worker.
  func rescue() async throws -> [BenchLine] {
    let count = min(settings.jobs ?? 200, 200)
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let times = try await withFile { path in try await rescueTimes(path, durability, count: count) }
      for (share, name) in [(0.5, "p50"), (0.99, "p99"), (1, "max")] {
        lines.append(
          BenchLine(
            workload: "rescue \(name)", durability: durability.rawValue, rate: percentile(share, of: times),
            unit: "ms",
            target: share == 0.99 ? .atMost(50, .rate) : nil))
      }
    }
    return lines
  }

  /// Passes one job from process to process. Each holds it under a lease of an hour until it is killed.
  ///
  /// - Parameter count: the number of processes to kill.
  /// - Returns: the times in milliseconds.
  public func rescueTimes(_ path: String, _ durability: SQLiteDriver.Durability, count: Int) async throws
    -> [Double]
  {
    _ = try await withQueue(path, durability) { queue in try await queue.enqueue(NewJob("bench")) }
    var times: [Double] = []
    var (holder, id) = try await holder(path, durability)
    _ = try await start(holder)
    for _ in 0..<count {
      let (next, nextID) = try await self.holder(path, durability)
      // Wait until the worker is idle.
      try await ContinuousClock().sleep(for: .microseconds(Int.random(in: 10_000...30_000)))
      let killed = Child.monotonic()
      guard kill(id, SIGKILL) == 0 else { throw BenchFailure("the worker ended before it was killed") }
      times.append(Double(try await start(next) - killed) / 1e6)
      (holder, id) = (next, nextID)
    }
    kill(id, SIGKILL)
    return times
  }

  private func holder(_ path: String, _ durability: SQLiteDriver.Durability) async throws -> (
    any ChildProcess, pid_t
  ) {
    let child = try settings.spawn(["hold", path, durability.rawValue])
    guard let id = try await child.line().flatMap({ pid_t($0) }) else {
      throw BenchFailure("the worker did not start")
    }
    return (child, id)
  }

  /// Returns the start time of the job in a process, in nanoseconds.
  private func start(_ child: any ChildProcess) async throws -> Int64 {
    guard let time = try await child.line().flatMap({ Int64($0) }) else {
      throw BenchFailure("the worker ended early")
    }
    return time
  }
}
