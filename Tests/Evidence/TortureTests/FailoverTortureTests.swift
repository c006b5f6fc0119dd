#if MySQL
import Foundation
import MariaDBServer
import ProcessSupport
import Qudo
import QudoMySQL
import QudoSQLite
import QudoTesting
import Testing

/// Several processes enqueue and work on a file and two servers. At random the servers are killed, stopped (so that they
/// hang) and brought back, the file is kept busy by another program for longer than a call's timeout, or its disk is filled
/// up, and the processes are killed.
///
/// `QUDO_TORTURE_SECONDS` says for how long, and without it this does not run; CI sets it to 30. `QUDO_TORTURE_SEED` repeats a run's
/// choices.
@Suite struct FailoverTortureTests {
  @Test(
    "Nothing acknowledged is lost while databases fail and recover",
    .enabled(
      if: ProcessInfo.processInfo.environment["QUDO_TORTURE_SECONDS"] != nil,
      "kills servers and processes: set QUDO_TORTURE_SECONDS=30 to run it that long"))
  func outagesLoseNothingAcknowledged() async throws {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["QUDO_TORTURE_SECONDS"].flatMap(Double.init) ?? 30
    let seed = environment["QUDO_TORTURE_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...9_999_999)
    let torture = try await FleetTorture(seed: seed)
    try await torture.run(for: .seconds(seconds))
    try await torture.drain()
    let report = try torture.report()
    print("failover torture: seed \(seed), \(seconds) s, \(report)")

    #expect(report.duringOutages > 20, "too little happened to show anything")
    #expect(
      report.impossible.isEmpty,
      "acknowledged in a file that somebody else had, seed \(seed): \(report.impossible.prefix(5))")
    #expect(
      report.needless.isEmpty,
      "refused though a database was well, seed \(seed): \(report.needless.prefix(5))")
    #expect(report.lost.isEmpty, "acknowledged and never run, seed \(seed): \(report.lost.prefix(5))")
    #expect(
      report.staleSettles.isEmpty,
      "settled after somebody else had the job, seed \(seed): \(report.staleSettles.prefix(5))")
    // Its deadline is 3 s; the rest is a machine that has other things to do.
    #expect(report.longestEnqueue < 60, "an enqueue took \(report.longestEnqueue) s, seed \(seed)")
    #expect(try await torture.left() == [])
  }
}

private final class FleetTorture: @unchecked Sendable {  // reason: `processes`, `started` and `outages` are touched under `lock` only
  struct Report: CustomStringConvertible {
    var acknowledged = 0
    var duringOutages = 0
    var refused: [String: Int] = [:]
    var runs = 0
    var outages: [String: Int] = [:]
    var late = 0
    var longestEnqueue = 0.0
    /// Seconds from the return of a database until a process enqueued or ran a job in it, where that was before its next
    /// outage.
    var returns: [Double] = []
    var lost: [String] = []
    var staleSettles: [String] = []
    /// Enqueues that cannot have happened in the file, which another program held from before their beginning until after
    /// their end.
    var impossible: [String] = []
    /// Enqueues that were refused though one of the databases was well from a second before their beginning until after their end.
    var needless: [String] = []

    var description: String {
      let back = returns.sorted()
      let words =
        back.isEmpty
        ? "-" : "\(seconds(back[back.count / 2])) in the middle, \(seconds(back[back.count - 1])) at most"
      return """
        \(counts(outages)) outages, \(acknowledged) enqueues acknowledged, \(duringOutages) of them during outages, \
        refused \(counts(refused)), longest enqueue \(seconds(longestEnqueue)), \
        \(runs) runs, \(late) late settles refused; a database that is back is used again after \(words)
        """
    }
    private func counts(_ values: [String: Int]) -> String {
      "\(values.values.reduce(0, +)) (\(values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")))"
    }
    private func seconds(_ value: Double) -> String { "\((value * 1000).rounded() / 1000) s" }
  }
  private struct Outage {
    let database: String
    let fault: String
    let from: UInt64
    let to: UInt64
    /// Whether nobody can have written to it meanwhile.
    var isHeld: Bool {
      fault == FileScenario.Fault.turnHeld.rawValue || fault == FileScenario.Fault.transactionHeld.rawValue
    }
  }

  private static let roles = ["fleet-enqueue", "fleet-enqueue", "fleet-work", "fleet-work", "fleet-stale"]
  private static let names = ["near", "far1", "far2"]
  private let folder: URL
  private let place: FileScenario
  private let servers: [MariaDBServer]
  private let urls: [String]
  private let lock = NSLock()
  private var processes: [ChildProcess] = []
  private var started = 0
  private var outages: [Outage] = []
  private let seed: UInt64

  init(seed: UInt64) async throws {
    self.seed = seed
    folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-torture-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    place = try FileScenario(in: folder)
    if !place.hasDisk {
      print("failover torture: no disk can be mounted here, so the file's is not filled up")
    }
    var (servers, urls) = (
      [MariaDBServer](), [place.folder.appendingPathComponent("\(Self.names[0]).db").path]
    )
    for name in Self.names.dropFirst() {
      let server = try await MariaDBServer.start()
      urls.append(server.url(try await server.makeDatabase(), options: "name=\(name)"))
      servers.append(server)
    }
    (self.servers, self.urls) = (servers, urls)
  }

  deinit {
    for process in processes where process.isRunning { process.kill(SIGKILL) }
    place.remove()
    try? FileManager.default.removeItem(at: folder)
  }

  private func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

  // MARK: The torture

  func run(for duration: Duration) async throws {
    for role in Self.roles {
      let process = try start(role)
      lock.withLock { processes.append(process) }
    }
    // Until all have found their databases.
    try await Task.sleep(for: .seconds(1))
    let end = ContinuousClock.now + duration
    try await withThrowingTaskGroup { group in
      for index in servers.indices { group.addTask { try await self.trouble(index, until: end) } }
      group.addTask { try await self.troubleTheFile(until: end) }
      group.addTask { try await self.killProcesses(until: end) }
      try await group.waitForAll()
    }
    // So that it shows how soon those that came back last are used.
    try await Task.sleep(for: .seconds(3))
    for process in lock.withLock({ processes }) {
      process.kill(SIGKILL)
      _ = process.end(within: 60)
    }
  }

  /// Mostly short, and at times so long that an enqueue which takes all its time finds the database well throughout.
  private static func wellBeing(_ random: inout Seeded) -> Duration {
    .milliseconds(
      Int.random(in: Int.random(in: 0..<4, using: &random) == 0 ? 4000...8000 : 200...2500, using: &random))
  }

  private func trouble(_ index: Int, until end: ContinuousClock.Instant) async throws {
    var random = Seeded(seed: seed &+ UInt64(index) &* 7919)
    let server = servers[index]
    while ContinuousClock.now < end {
      try await Task.sleep(for: Self.wellBeing(&random))
      let from = now()
      let pause = Duration.milliseconds(Int.random(in: 200...4500, using: &random))
      let isKilled = Bool.random(using: &random)
      if isKilled {
        server.kill()
        try await Task.sleep(for: pause)
        try await server.start()
      } else {
        server.pause()
        try await Task.sleep(for: pause)
        server.resume()
      }
      let to = now()
      let fault = isKilled ? "killed server" : "stopped server"
      lock.withLock {
        outages.append(Outage(database: Self.names[index + 1], fault: fault, from: from, to: to))
      }
    }
  }

  private func troubleTheFile(until end: ContinuousClock.Instant) async throws {
    var random = Seeded(seed: seed &+ 3)
    while ContinuousClock.now < end {
      try await Task.sleep(for: Self.wellBeing(&random))
      let pause = Duration.milliseconds(Int.random(in: 200...4500, using: &random))
      let fault = place.faults.randomElement(using: &random) ?? .turnHeld
      let (from, to) =
        fault == .diskFull ? try await leaveNoRoom(for: pause) : try await hold(fault, for: pause)
      guard let from else { continue }
      lock.withLock {
        outages.append(Outage(database: Self.names[0], fault: fault.rawValue, from: from, to: to))
      }
    }
  }

  private func leaveNoRoom(for pause: Duration) async throws -> (from: UInt64?, to: UInt64) {
    defer { place.empty() }
    try place.fill()
    let from = now()
    try await Task.sleep(for: pause)
    return (from, now())
  }

  /// - Returns: since when it was held; nil if the holder was not that fast.
  private func hold(_ fault: FileScenario.Fault, for pause: Duration) async throws -> (
    from: UInt64?, to: UInt64
  ) {
    let log = folder.appendingPathComponent("\(now()).held")
    let holder = try ChildProcess(try built("TortureProcess").path, [fault.rawValue, urls[0], log.path, "0"])
    defer { holder.kill(SIGKILL) }
    try await Task.sleep(for: pause)
    let to = now()
    try #require(holder.isRunning, "the holder ended by itself: \(fault.rawValue)")
    holder.kill(SIGKILL)
    _ = holder.end(within: 60)
    let words = try String(contentsOf: log, encoding: .utf8).split { $0.isWhitespace }
    return (words.count == 2 ? UInt64(words[1]).flatMap { $0 < to ? $0 : nil } : nil, to)
  }

  private func killProcesses(until end: ContinuousClock.Instant) async throws {
    var random = Seeded(seed: seed &+ 1)
    while ContinuousClock.now < end {
      try await Task.sleep(for: .milliseconds(Int.random(in: 1000...3000, using: &random)))
      let index = Int.random(in: Self.roles.indices, using: &random)
      let victim = lock.withLock { processes[index] }
      try #require(victim.isRunning, "a process ended by itself: \(Self.roles[index])")
      victim.kill(SIGKILL)
      _ = victim.end(within: 60)
      let next = try start(Self.roles[index])
      lock.withLock { processes[index] = next }
    }
  }

  private func start(_ role: String) throws -> ChildProcess {
    let number = lock.withLock {
      started += 1
      return started
    }
    let log = folder.appendingPathComponent("\(number).log").path
    return try ChildProcess(
      try built("TortureProcess").path,
      [role, urls.joined(separator: ","), log, "\((seed << 16) + UInt64(number))"])
  }

  // MARK: The end

  private func open() async throws -> Databases {
    var sources: [Databases.Source] = [.init(try SQLiteDriver(path: urls[0], durability: .normal))]
    for url in urls.dropFirst() { sources.append(.init(try MySQLDriver(DatabaseURL(parsing: url)))) }
    return try Databases(sources)
  }

  /// A last worker, here, does what is left.
  func drain() async throws {
    let databases = try await open()
    let log = Locked<[String]>([])
    var policy = JobPolicy()
    policy.maxExpiredLeases = .max
    let handler = JobHandler("torture", policy: policy) { context in
      log.withLock {
        $0.append("run \(String(decoding: context.payload.bytes, as: UTF8.self)) 0 \(context.database)")
      }
    }
    let summary = try await Worker(Queue(databases), handlers: [handler], concurrency: 4).workUntilEmpty()
    #expect(summary.unreachable == [])
    await databases.close()
    try (log.withLock { $0 }.joined(separator: "\n") + "\n")
      .write(to: folder.appendingPathComponent("last.log"), atomically: false, encoding: .utf8)
  }

  func left() async throws -> [JobCount] {
    let databases = try await open()
    let counts = try await databases.count().flatMap { try $0.result.get() }
    await databases.close()
    return counts
  }

  func report() throws -> Report {
    var report = Report()
    for outage in outages { report.outages[outage.fault, default: 0] += 1 }
    var acknowledged: Set<String> = []
    var ran: Set<String> = []
    var uses: [String: [UInt64]] = [:]
    var claims: [String: [(token: String, time: UInt64)]] = [:]
    var settles: [(job: String, token: String, time: UInt64)] = []
    for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    where file.pathExtension == "log" {
      let text = try String(contentsOf: file, encoding: .utf8)
      // A line that the kill cut off has no end.
      for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
        let words = line.split(separator: " ").map(String.init)
        switch words.first {
        case "ack":
          acknowledged.insert(words[1])
          let (time, took) = (try #require(UInt64(words[2])), try #require(Double(words[3])))
          report.longestEnqueue = max(report.longestEnqueue, took / 1e9)
          if outages.contains(where: { $0.from < time && time < $0.to }) { report.duringOutages += 1 }
          let began = time - UInt64(took)
          let held = outages.contains {
            $0.isHeld && $0.database == words[4] && $0.from < began && time < $0.to
          }
          if held { report.impossible.append(words[1]) }
          uses[words[4], default: []].append(time)
        case "refused":
          report.refused[words[1], default: 0] += 1
          let (time, took) = (try #require(UInt64(words[2])), try #require(Double(words[3])))
          report.longestEnqueue = max(report.longestEnqueue, took / 1e9)
          let began = time - UInt64(took)
          // As long as it is set aside. What was asked of it before that may be answered only now.
          let before = began - 1_000_000_000
          let isNeedless =
            words[1] != "outcomeUnknown"
            && Self.names.contains { name in
              !outages.contains { $0.database == name && $0.from < time && before < $0.to }
            }
          if isNeedless { report.needless.append(line.description) }
        case "run":
          ran.insert(words[1])
          report.runs += 1
          uses[words[3], default: []].append(try #require(UInt64(words[2])))
        case "claim": claims[words[1], default: []].append((words[2], try #require(UInt64(words[3]))))
        case "settle" where words[4] == "lost": report.late += 1
        case "settle": settles.append((words[1], words[2], try #require(UInt64(words[3]))))
        default: break
        }
      }
    }
    report.acknowledged = acknowledged.count
    report.lost = acknowledged.subtracting(ran).sorted()
    for settle in settles {
      let own = claims[settle.job]?.first { $0.token == settle.token }?.time ?? 0
      let isStale =
        claims[settle.job]?.contains { $0.token != settle.token && $0.time > own && $0.time < settle.time }
        ?? false
      if isStale { report.staleSettles.append("job \(settle.job) token \(settle.token)") }
    }
    for outage in outages {
      let next =
        outages.filter { $0.database == outage.database && $0.from > outage.to }.map(\.from).min() ?? .max
      guard let used = uses[outage.database]?.filter({ $0 > outage.to }).min(), used < next else { continue }
      report.returns.append(Double(used - outage.to) / 1e9)
    }
    return report
  }
}
#endif
