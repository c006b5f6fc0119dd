internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures enqueues of one process next to twelve processes whose workers are idle, because they handle
  /// another kind. Each commit wakes them. The baseline is the same process alone.
  func crowd() async throws -> [BenchLine] {
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      let count = settings.jobs ?? (durability == .full ? 5000 : 50_000)
      let rounds = try await interleave { path in
        try await withQueue(path, durability) { queue in
          try await rate(count) { try await enqueueOneByOne(queue, count) }
        }
      } qudo: { path in
        try await withQueue(path, durability) { queue in
          let idle = try (0..<12).map { _ in try settings.spawn(["idle", path, durability.rawValue]) }
          for child in idle where try await child.line() != "ready" {
            throw BenchFailure("a worker did not start")
          }
          let rate = try await rate(count) { try await enqueueOneByOne(queue, count) }
          for child in idle { try await child.end() }
          return rate
        }
      }
      lines.append(
        BenchLine(
          "crowd, 12 idle workers of another kind", durability.rawValue, rounds, floorName: "alone",
          target: .atLeast(0.5)))
    }
    return lines
  }

  private func enqueueOneByOne(_ queue: Queue<NoHooks>, _ count: Int) async throws {
    for _ in 0..<count { try await queue.enqueue(NewJob("bench", payload: Payload(payload))) }
  }
}
