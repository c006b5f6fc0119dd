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
    let durability = settings.durabilities.contains(.normal) ? .normal : settings.durabilities.first ?? .normal
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
        // What is measured takes some milliseconds in batches.
        let times = batch == 1 ? 1 : 5
        let rounds = try await interleave { copy in
          try await settle(basePath, copy, base, batch, durability, times)
        } qudo: { copy in
          try await settle(path, copy, backlog, batch, durability, times)
        }
        lines.append(
          BenchLine(
            "deep \(name), \(batch == 1 ? "one at a time" : "in batches")", durability.rawValue, rounds, floorName: "1,000 waiting",
            target: .atLeast(batch == 1 && backlog.kinds > 1 ? 1 / 3 : 1 / 1.25)))
      }
    }
    return lines
  }

  private func settle(
    _ template: String, _ copy: String, _ backlog: Backlog, _ batch: Int, _ durability: SQLiteDriver.Durability, _ times: Int
  ) async throws -> Double {
    var rates: [Double] = []
    for _ in 0..<times {
      removeDatabase(copy)
      rates.append(try await settle(template, copy, backlog, batch, durability))
    }
    return median(rates)
  }

  private func settle(
    _ template: String, _ copy: String, _ backlog: Backlog, _ batch: Int, _ durability: SQLiteDriver.Durability
  ) async throws -> Double {
    try FileManager.default.copyItem(atPath: template, toPath: copy)
    // Else the first checkpoint would have to write all of it.
    try Disk.sync(copy)
    return try await withQueue(copy, durability) { queue in
      // The first claim reads what the disk has; that is not what grows.
      let driver = try await queue.databases.drivers()[0]
      try await Self.settle(driver, backlog.names, 100, batch: 100)
      return try await rate(900) { try await Self.settle(driver, backlog.names, 900, batch: batch) }
    }
  }
}
