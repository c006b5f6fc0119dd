#if MySQL
internal import Qudo
internal import QudoMySQL

extension ServerBench {
  /// Measures the combined rate of several processes, either Qudo's workers or the floor's loops, and checks
  /// that each job runs once.
  func drain(processes: Int) async throws -> [BenchLine] {
    // Enough jobs even at 200,000 per second, more than any server does.
    let count = settings.jobs.map { max($0, 20_000) } ?? 800_000
    let seconds = Double(count) / 200_000
    var shares: [Double] = []
    let rounds = try await interleave { floor in
      try floor.fill(count)
      let (rates, runs) = try await drain("floor", processes, seconds)
      try check(runs, left: floor.count(), of: count)
      return rates.reduce(0, +)
    } qudo: { driver in
      try await ServerBacklog(ready: count).make(settings.server, driver)
      let (rates, runs) = try await drain("qudo", processes, seconds)
      try check(runs, left: try await driver.count().reduce(0) { $0 + $1.ready + $1.running }, of: count)
      shares.append((rates.min() ?? 0) / rates.reduce(0, +) * 100)
      return rates.reduce(0, +)
    }
    let name = (processes == 1 ? Workload.drain : .drainProcesses).rawValue
    let line = ServerBench.line(name, rounds)
    guard processes > 1 else { return [line] }
    return [
      line, BenchLine(workload: "\(name), least share", durability: nil, rate: median(shares), unit: "%"),
    ]
  }

  /// - Returns: the rate of each process in jobs per second, and the total number of jobs done.
  private func drain(_ side: String, _ processes: Int, _ seconds: Double) async throws -> (
    rates: [Double], runs: Int
  ) {
    let logs = (0..<processes).map { "\(settings.folder)/ids-\($0)" }
    defer { for log in logs { removeDatabase(log) } }
    let children = try logs.map { try settings.spawn(["server", side, "\(seconds)", $0]) }
    for child in children { try await child.write(DatabaseURL(settings.server).text) }
    let rates = try await runTogether(children)
    return (rates, try runs(in: logs))
  }

  private func check(_ runs: Int, left: Int, of count: Int) throws {
    guard left + runs == count else { throw BenchFailure("\(count - left - runs) jobs of \(count) are lost") }
    // With so few jobs, this is a test that all is measured: a busy machine may take longer than they last.
    guard left > 0 || count < 100_000 else {
      throw BenchFailure("\(count) jobs were too few for this server. Pass a higher --jobs")
    }
  }
}
#endif
