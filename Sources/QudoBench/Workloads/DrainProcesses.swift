#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif
internal import Qudo
internal import QudoSQLite

extension Bench {
  /// Measures four processes on one file against a single process: their combined rate and how evenly they
  /// share it. Checks that each job runs once.
  func drainProcesses() async throws -> [BenchLine] {
    // About as many jobs as four processes can run in that time. They must last until the end.
    var count = settings.jobs.map { max($0, 300_000) } ?? 4_500_000
    while true {
      if let lines = try await drainProcesses(of: count) { return lines }
      count *= 2
    }
  }

  /// - Returns: nil if there were too few jobs for this disk.
  private func drainProcesses(of count: Int) async throws -> [BenchLine]? {
    let seconds = settings.jobs == nil ? 10.0 : 0.5
    let template = settings.folder + "/processes.db"
    defer { removeDatabase(template) }
    try await Backlog(ready: count).make(template)
    var lines: [BenchLine] = []
    for durability in settings.durabilities {
      var shares: [Double] = []
      var lasted = true
      let rounds = try await interleave { path in
        guard lasted else { return 0 }
        try FileManager.default.copyItem(atPath: template, toPath: path)
        try Disk.sync(path)
        let (rates, left) = try await drain(path, durability, processes: 1, seconds: seconds, of: count)
        lasted = lasted && left > 0
        return rates.reduce(0, +)
      } qudo: { path in
        guard lasted else { return 0 }
        try FileManager.default.copyItem(atPath: template, toPath: path)
        try Disk.sync(path)
        let (rates, left) = try await drain(path, durability, processes: 4, seconds: seconds, of: count)
        lasted = lasted && left > 0
        let together = rates.reduce(0, +)
        shares.append((rates.min() ?? 0) / together * 100)
        return together
      }
      guard lasted else { return nil }
      lines.append(
        BenchLine(
          Workload.drainProcesses.rawValue, durability.rawValue, rounds, floorName: "one process",
          target: .atLeast(0.9)))
      lines.append(
        BenchLine(
          workload: "drain-processes, least share", durability: durability.rawValue, rate: median(shares),
          unit: "%",
          target: .atLeast(15, .rate)))
    }
    return lines
  }

  /// - Returns: the rate of each process in jobs per second, and the number of jobs left.
  private func drain(
    _ path: String, _ durability: SQLiteDriver.Durability, processes: Int, seconds: Double, of count: Int
  ) async throws -> (rates: [Double], left: Int) {
    let logs = (0..<processes).map { "\(settings.folder)/ids-\($0)" }
    defer { for log in logs { removeDatabase(log) } }
    let children = try logs.map {
      try settings.spawn(["drain", path, durability.rawValue, "\(seconds)", $0])
    }
    let rates = try await runTogether(children)
    return (rates, try await check(path, logs, count))
  }

  /// Checks that no job is lost and none ran twice.
  ///
  /// - Returns: the number of jobs left.
  private func check(_ path: String, _ logs: [String], _ count: Int) async throws -> Int {
    let runs = try QudoBench.runs(in: logs)
    let left = try await withQueue(path, .normal) {
      try await $0.databases.drivers()[0].count().reduce(0) { $0 + $1.ready + $1.running }
    }
    guard left + runs == count else { throw BenchFailure("\(count - left - runs) jobs of \(count) are lost") }
    return left
  }
}

/// Starts all child processes at the same time, once all are ready.
///
/// - Returns: the rate that each one reports.
func runTogether(_ children: [any ChildProcess]) async throws -> [Double] {
  for child in children {
    guard try await child.line() == "ready" else { throw BenchFailure("a process did not start") }
  }
  for child in children { try await child.write("go") }
  var rates: [Double] = []
  for child in children {
    guard let line = try await child.line(), let rate = Double(line) else {
      throw BenchFailure("a process did not report its rate")
    }
    rates.append(rate)
    try await child.end()
  }
  return rates
}

/// Returns the number of jobs in the processes' logs.
///
/// - Throws: ``BenchFailure`` if a job ran twice.
func runs(in logs: [String]) throws -> Int {
  var ids: Set<Int64> = []
  var runs = 0
  for log in logs {
    let data = try Data(contentsOf: URL(fileURLWithPath: log))
    data.withUnsafeBytes { bytes in  // unsafe: read back as the integers that were written
      for offset in stride(from: 0, to: bytes.count, by: 8) {
        ids.insert(bytes.loadUnaligned(fromByteOffset: offset, as: Int64.self))
      }
    }
    runs += data.count / 8
  }
  guard ids.count == runs else { throw BenchFailure("\(runs - ids.count) jobs ran twice") }
  return runs
}

/// A workload did not do what it should.
public struct BenchFailure: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}
