#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Claims and settles beside what must not matter: how many jobs wait, are delayed, are of other kinds, are in the logs.
  func deep() async throws -> [BenchLine] {
    let many = max(settings.jobs ?? 1_000_000, 2000)
    let durability =
      settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
    var cases: [(name: String, backlog: Backlog)] = [
      ("\(grouped(many)) waiting", Backlog(ready: many)),
      ("\(grouped(many)) delayed", Backlog(ready: 1000, delayed: many)),
      ("\(grouped(many)) of another kind", Backlog(ready: 1000, foreign: many)),
      ("\(grouped(many)) in each log", Backlog(ready: 1000, logged: many)),
      ("50 kinds", Backlog(ready: 1000, kinds: 50)),
      ("1,000 kinds", Backlog(ready: 1000, kinds: 1000)),
    ]
    if settings.isLong { cases.append(("\(grouped(10 * many)) waiting", Backlog(ready: 10 * many))) }
    let base = Backlog(ready: 1000)
    let folder = settings.folder
    let basePath = folder + "/base.db"
    defer { removeDatabase(basePath) }
    try await base.make(basePath)
    var lines: [BenchLine] = []
    for (name, backlog) in cases {
      let path = folder + "/deep.db"
      defer { removeDatabase(path) }
      try await backlog.make(path)
      for batch in [100, 1] {
        var rounds: [(floor: Double, qudo: Double)] = []
        for _ in 0..<settings.rounds {
          // What is measured takes some milliseconds in batches: less than what may come between, so it is done often.
          rounds.append(
            try await beside(
              (basePath, base), (path, backlog), durability, batch: batch, times: batch == 1 ? 5 : 41))
        }
        lines.append(
          BenchLine(
            "deep \(name), \(batch == 1 ? "one at a time" : "in batches")", durability.rawValue, rounds,
            floorName: "1,000 waiting",
            target: .atLeast(batch == 1 && backlog.kinds > 1 ? 1 / 3 : 1 / 1.25)))
      }
    }
    return lines
  }

  /// How many of 1,000 jobs are claimed and settled at a time.
  private static let part = 900

  /// Claims and settles in turns, with copies of two files that are open at the same time. What was taken from either is put back at the
  /// end, which is not measured.
  ///
  /// - Returns: the median of each.
  private func beside(
    _ floor: (path: String, backlog: Backlog), _ qudo: (path: String, backlog: Backlog),
    _ durability: SQLiteDriver.Durability,
    batch: Int, times: Int
  ) async throws -> (floor: Double, qudo: Double) {
    try await withCopy(floor.path, durability) { below in
      try await withCopy(qudo.path, durability) { above in
        // The first claim reads what the disk has; that is not what grows.
        try await Self.settle(below, floor.backlog.names, 1000 - Self.part, batch: 100)
        try await Self.settle(above, qudo.backlog.names, 1000 - Self.part, batch: 100)
        var (floors, rates): ([Double], [Double]) = ([], [])
        for time in 0..<times {
          for isFloor in time.isMultiple(of: 2) ? [true, false] : [false, true] {
            let (driver, names) = isFloor ? (below, floor.backlog.names) : (above, qudo.backlog.names)
            let found = try await rate(Self.part) {
              try await Self.settle(driver, names, Self.part, batch: batch)
            }
            if isFloor { floors.append(found) } else { rates.append(found) }
            let back = (0..<Self.part).map { NewJob(names[$0 % names.count], payload: Payload(payload)) }
            _ = try await driver.insert(back)
          }
        }
        return (median(floors), median(rates))
      }
    }
  }

  private func withCopy<Result>(
    _ template: String, _ durability: SQLiteDriver.Durability, _ body: (any Driver) async throws -> Result
  ) async throws -> Result {
    let copy = template + ".copy"
    removeDatabase(copy)
    defer { removeDatabase(copy) }
    try FileManager.default.copyItem(atPath: template, toPath: copy)
    // Else the first checkpoint would have to write all of it.
    try Disk.sync(copy)
    return try await withQueue(copy, durability) { queue in try await body(queue.databases.drivers()[0]) }
  }
}
