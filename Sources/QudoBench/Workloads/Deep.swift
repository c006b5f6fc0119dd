#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures claims and settles in the presence of things that must not matter: many waiting jobs, delayed
  /// jobs, jobs of other kinds, and log rows.
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
          // Repeat often: in batches, a measurement takes a few milliseconds, less than a typical
          // disturbance.
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

  /// The number of jobs, of 1,000, that one measurement claims and settles.
  private static let part = 900

  /// Claims and settles alternately on copies of two files, which are open at the same time. Afterwards it
  /// restores the jobs taken from each, outside the measurement.
  ///
  /// - Returns: the median for each file.
  private func beside(
    _ floor: (path: String, backlog: Backlog), _ qudo: (path: String, backlog: Backlog),
    _ durability: SQLiteDriver.Durability,
    batch: Int, times: Int
  ) async throws -> (floor: Double, qudo: Double) {
    try await withCopy(floor.path, durability) { below in
      try await withCopy(qudo.path, durability) { above in
        // The first claim reads from the disk, which is not part of the measurement.
        try await Self.settle(below, floor.backlog.names, 1000 - Self.part, batch: 100)
        try await Self.settle(above, qudo.backlog.names, 1000 - Self.part, batch: 100)
        return try await alternate(times) { isFloor in
          let (driver, names) = isFloor ? (below, floor.backlog.names) : (above, qudo.backlog.names)
          let found = try await rate(Self.part) {
            try await Self.settle(driver, names, Self.part, batch: batch)
          }
          let back = (0..<Self.part).map { NewJob(names[$0 % names.count], payload: Payload(payload)) }
          _ = try await driver.insert(back)
          return found
        }
      }
    }
  }

  /// Measures two things in turns. Which of them goes first alternates.
  ///
  /// - Returns: the median for each.
  private func alternate(_ times: Int, _ measure: (_ isFloor: Bool) async throws -> Double) async throws -> (
    floor: Double, qudo: Double
  ) {
    var (floors, rates): ([Double], [Double]) = ([], [])
    for time in 0..<times {
      for isFloor in time.isMultiple(of: 2) ? [true, false] : [false, true] {
        let found = try await measure(isFloor)
        if isFloor { floors.append(found) } else { rates.append(found) }
      }
    }
    return (median(floors), median(rates))
  }

  /// Measures claims of one job at a time while many jobs of `bench.other` wait that no claim may take, and while one does,
  /// in turns.
  ///
  /// - Parameters:
  ///   - request: Claims one job of `bench`, and would claim those of `bench.other`.
  ///   - isHeld: Whether the jobs of `bench.other` have one concurrency key.
  ///   - prepare: Sees to it that no job of `bench.other` can be claimed.
  func claimsBeside(
    _ many: Int, _ name: String, _ durability: SQLiteDriver.Durability, floorName: String,
    _ request: ClaimRequest, isHeld: Bool = false, prepare: (any Driver) async throws -> Void
  ) async throws -> BenchLine {
    let (one, full) = (settings.folder + "/base.db", settings.folder + "/full.db")
    defer {
      removeDatabase(one)
      removeDatabase(full)
    }
    try await Backlog(ready: 1000, foreign: 1, isHeld: isHeld).make(one)
    try await Backlog(ready: 1000, foreign: many, isHeld: isHeld).make(full)
    var rounds: [(floor: Double, qudo: Double)] = []
    for _ in 0..<settings.rounds {
      let round = try await withCopy(one, durability) { below in
        try await withCopy(full, durability) { above in
          for driver in [below, above] { try await prepare(driver) }
          return try await alternate(11) { isFloor in
            let driver = isFloor ? below : above
            let found = try await rate(Self.part) { try await Self.settle(driver, request, Self.part) }
            _ = try await driver.insert(
              (0..<Self.part).map { _ in NewJob("bench", payload: Payload(payload)) })
            return found
          }
        }
      }
      rounds.append(round)
    }
    return BenchLine(name, durability.rawValue, rounds, floorName: floorName, target: .atLeast(1 / 1.1))
  }

  func withCopy<Result>(
    _ template: String, _ durability: SQLiteDriver.Durability, _ body: (any Driver) async throws -> Result
  ) async throws -> Result {
    let copy = template + ".copy"
    removeDatabase(copy)
    defer { removeDatabase(copy) }
    try FileManager.default.copyItem(atPath: template, toPath: copy)
    // Otherwise the first checkpoint would have to write the whole file to the disk.
    try Disk.sync(copy)
    return try await withQueue(copy, durability) { queue in try await body(queue.databases.drivers()[0]) }
  }
}
