import Foundation
import MariaDBServer
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The control commands when they are killed, when two of them run at once, and when they may not write.
@Suite(.waitsForProcesses) struct ControlFaultTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// How many lines of a command's output are read before it is killed. A page has 1,000 jobs; the pipe holds some more lines, so that
  /// it is in the midst of another page then.
  private static let lines = [1, 2500, 6200]
  private static let count = 20_000

  /// A driver of a file with as many jobs.
  private func filled(_ count: Int) async throws -> (driver: SQLiteDriver, ids: [Int64]) {
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    let ids = try await driver.insert((0..<count).map { NewJob("a", payload: Payload("\($0)")) }).map(\.id)
    return (driver, ids)
  }

  /// Begins a command several times, and kills it each time after it has said what became of so many jobs.
  private func kill(_ arguments: [String], database: String = "qudo.db", after lines: [Int]) throws {
    var random = Seeded(seed: UInt64(lines.count))
    for count in lines {
      let running = try Running(
        built("qudo"), arguments + ["--json", "--database", database], in: place.folder, environment: [:],
        input: Pipe(), output: Pipe(), errors: Pipe())
      defer { running.kill(SIGKILL) }
      for _ in 0..<count { try #require(try running.output.line() != nil) }
      // Waits for nothing: it is killed at some moment of a page.
      usleep(UInt32.random(in: 0...20_000, using: &random))
      running.kill(SIGKILL)
      #expect(try running.end() == SIGKILL)
    }
  }

  /// No table disagrees with another one, and SQLite finds the file whole.
  private func checkFile() throws {
    let findings = try place.qudo("doctor", "--integrity", "--json").objects()
    #expect(
      findings.allSatisfy {
        $0["severity"] as? String != "fault" && $0["check"] as? String != "integrity"
          && $0["check"] as? String != "damaged"
      }, "\(findings)")
  }

  // MARK: Killed

  @Test("a cancel that is killed and begun again puts each job into the failure log once")
  func killedCancel() async throws {
    let (driver, ids) = try await filled(Self.count)
    try kill(["cancel", "--all", "--durability", "normal"], after: Self.lines)
    let left = try await driver.count().first?.ready ?? 0
    #expect(left > 0 && left < Self.count, "\(left) jobs are left")
    #expect(try place.qudo("cancel", "--all", "--durability", "normal").output == "\(left) 0\n")
    let failures = try await driver.failures(LogQuery(oldestFirst: true, limit: Self.count + 1))
    #expect(failures.map(\.job).sorted() == ids)
    #expect(failures.allSatisfy { $0.reason == .cancelled && $0.isFinal })
    #expect(try await driver.count() == [])
    await driver.close()
    try checkFile()
  }

  @Test("a change that is killed and begun again changes each job, and nothing else of it")
  func killedChange() async throws {
    let (driver, ids) = try await filled(Self.count)
    try kill(["change", "--all", "--priority", "5", "--durability", "normal"], after: Self.lines)
    #expect(
      try place.qudo("change", "--all", "--priority", "5", "--durability", "normal").output
        == "\(Self.count) 0\n")
    let jobs = try await driver.jobs(matching: JobQuery(limit: Self.count + 1))
    #expect(jobs.map(\.id) == ids)
    #expect(jobs.allSatisfy { $0.priority == 5 && $0.state == .ready && $0.attempt == 1 })
    #expect(jobs.enumerated().allSatisfy { $0.element.payload == Payload("\($0.offset)") })
    #expect(try await driver.failures(LogQuery()) == [])
    await driver.close()
    try checkFile()
  }

  @Test("a recover that is killed and begun again frees each job once") func killedRecover() async throws {
    let (driver, ids) = try await filled(Self.count)
    let want = ClaimRequest([.init("a", leaseDuration: .seconds(36_000))], limit: Self.count)
    let claimed = try await driver.claim(want).jobs
    #expect(claimed.count == Self.count)
    try kill(["recover", "--all", "--durability", "normal"], after: Self.lines)
    let left = try await driver.count().first?.running ?? 0
    #expect(left > 0 && left < Self.count, "\(left) jobs still run")
    #expect(try place.qudo("recover", "--all", "--durability", "normal").output == "\(left) 0\n")
    // No outcome of the runs before is taken, and each job can be claimed once.
    let settlements = claimed.map { Settlement($0.lease, .completed()) }
    let results = try await driver.settle(settlements, claiming: nil).results
    #expect(results.allSatisfy { $0 == .leaseLost })
    let again = try await driver.claim(want).jobs
    #expect(again.map(\.id).sorted() == ids && again.allSatisfy { $0.attempt == 1 })
    #expect(try await driver.failures(LogQuery()) == [])
    await driver.close()
    try checkFile()
  }

  #if MySQL
  @Test("a killed cancel, change or recover leaves a server's tables as they must be") func killedOnAServer()
    async throws
  {
    let server = try await MariaDBServer.shared()
    let name = try await server.makeDatabase()
    let url = server.url(name)
    let count = 8000
    let input = Data((1...count).map { "\($0)\n" }.joined().utf8)
    #expect(
      try place.qudo(["enqueue", "a", "--lines", "--call-timeout", "5m", "--database", url], input: input)
        .status
        == 0)
    func rows(_ query: String) async throws -> [String] { try await server.query(query, in: name) }
    func check() async throws {
      #expect(try await TableInvariants.violations(in: name, on: server) == [])
    }
    try kill(["change", "--all", "--priority", "5"], database: url, after: [1, 2500])
    try await check()
    #expect(try place.qudo("change", "--all", "--priority", "5", "--database", url).status == 0)
    #expect(
      try await rows("SELECT COUNT(*), MIN(ranking), MAX(ranking), MAX(attempt) FROM qudo_job") == [
        "\(count)\t-5\t-5\t1"
      ])
    try kill(["cancel", "--all"], database: url, after: [1, 2500])
    try await check()
    #expect(try place.qudo("cancel", "--all", "--database", url).status == 0)
    #expect(try await rows("SELECT COUNT(*) FROM qudo_job") == ["0"])
    #expect(
      try await rows(
        "SELECT COUNT(*), COUNT(DISTINCT job), COUNT(DISTINCT reason), MIN(final) FROM qudo_failure") == [
          "\(count)\t\(count)\t1\t1"
        ])
    try await check()
    try await server.query("DROP DATABASE \(name)")
  }
  #endif

  // MARK: At once

  /// The two numbers that a command prints at its end.
  private func numbers(_ running: Running) throws -> [Int] {
    let line = try #require(try running.output.line())
    #expect(try running.end() == 0)
    return line.split(separator: " ").compactMap { Int($0) }
  }

  @Test("two that cancel everything at once cancel each job once") func twoCancels() async throws {
    let (driver, ids) = try await filled(6000)
    let both = try (0..<2).map { _ in try place.start("cancel", "--all", "--durability", "normal") }
    let cancelled = try both.map { try numbers($0) }
    #expect(cancelled.allSatisfy { $0.count == 2 && $0[1] == 0 })
    #expect(cancelled.reduce(0) { $0 + $1[0] } == ids.count, "\(cancelled)")
    let failures = try await driver.failures(LogQuery(oldestFirst: true, limit: ids.count + 1))
    #expect(failures.map(\.job).sorted() == ids)
    #expect(try await driver.count() == [])
    await driver.close()
    try checkFile()
  }

  @Test("of a cancel and a change at once each takes a job as the other one left it")
  func cancelBesideChange()
    async throws
  {
    let (driver, ids) = try await filled(6000)
    let change = try place.start("change", "--all", "--priority", "5", "--durability", "normal")
    let cancel = try place.start("cancel", "--all", "--durability", "normal")
    let (changed, cancelled) = (try numbers(change), try numbers(cancel))
    #expect(cancelled == [ids.count, 0] && changed.last == 0)
    let failures = try await driver.failures(LogQuery(oldestFirst: true, limit: ids.count + 1))
    #expect(failures.map(\.job).sorted() == ids)
    #expect(failures.count { $0.priority == 5 } == changed.first)
    #expect(failures.allSatisfy { [0, 5].contains($0.priority) })
    #expect(try await driver.count() == [])
    await driver.close()
    try checkFile()
  }

  // MARK: Without the right to write

  #if os(Linux)
  @Test("a user who may only read is told so, and changes nothing", .enabled(if: DoctorTests.canBeNobody))
  func readOnly() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n")
    try place.qudo("work", "a=false", "--until-empty")
    try place.qudo("enqueue", "a", "--lines", input: "3\n4\n")
    try place.qudo("pause", "b")
    chmod(place.folder.path, 0o755)
    chmod(place.path("qudo.db"), 0o644)
    func read(_ arguments: String) throws -> CommandWorkspace.Result {
      try place.shell("setpriv --reuid 65534 --clear-groups $qudo \(arguments)")
    }
    // The built command may be where nobody else may look.
    guard try !read("--version").errors.contains("ermission denied") else { return }
    let file = place.folder.appendingPathComponent("qudo.db")
    let before = try Data(contentsOf: file)
    for arguments in [
      "cancel 3", "cancel --all", "cancel --kind a --json", "change 3 --priority 1", "change --all --now",
      "pause", "pause a --for 1h", "resume", "resume b", "recover 3", "recover --all", "replay 1",
      "replay --all", "resolve 1", "prune --all", "enqueue a 5",
    ] {
      let result = try read(arguments)
      #expect(result.status == 1 && result.output == "", "\(arguments): \(result)")
      #expect(result.errors.contains("the file cannot be written to"), "\(arguments): \(result.errors)")
    }
    #expect(try Data(contentsOf: file) == before && !place.exists("qudo.db-wal"))
    // What they would do can be asked all the same.
    #expect(try read("cancel --all --dry-run").output == "2 0\n")
    #expect(try read("change 3 --now --dry-run").output == "3 changed\n")
    #expect(try place.qudo("count", "--json").objects().first?["ready"] as? Int == 2)
  }
  #endif
}

#if os(Linux)
/// Jobs that are cancelled while their worker is stopped with SIGSTOP, as by a terminal's Ctrl-Z.
@Suite(.waitsForProcesses) struct StoppedWorkerTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private static let command = "p=sh -c 'echo $$ >> pids; exec 3>started; echo up >&3; exec sleep 300'"

  /// Stops a worker at a moment at which it does not hold the file's write lock.
  private func stop(_ worker: Running) throws {
    let descriptor = open(place.path("qudo.db-wal"), O_RDWR | O_CLOEXEC)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    while true {
      worker.stop()
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
      worker.kill(SIGCONT)
    }
  }

  private func cancelled() throws -> [[String: Any]] { try place.qudo("failures", "--json").objects() }

  @Test("the job ends when the worker goes on, and is in the failure log once") func goesOn() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "1")
    let worker = try place.start("work", Self.command, "--lease", "1h", "--until-empty")
    #expect(try started.line() == "up")
    try stop(worker)
    for _ in 1...2 {
      #expect(try place.qudo("cancel", "1", "--reason", "wrong").output == "1 cancelling\n")
    }
    #expect(try cancelled().isEmpty)
    #expect(try place.qudo("jobs", "--json").objects().map { $0["state"] as? String } == ["running"])
    worker.kill(SIGCONT)
    // The command has closed it.
    #expect(try started.rest() == "")
    #expect(try worker.end() == 0)
    let rows = try cancelled()
    #expect(rows.map { $0["reason"] as? String } == ["cancelled"])
    #expect(rows.map { $0["message"] as? String } == ["wrong"])
    #expect(try place.qudo("count").output == "")
  }

  @Test("another worker ends the job after its lease, it runs nowhere, and the first one changes nothing")
  func staysStopped() throws {
    let started = try place.lifeline("started")
    try place.qudo("enqueue", "p", "1")
    // Long enough that it is cancelled in time on a slow machine.
    let worker = try place.start("work", Self.command, "--lease", "10s", "--until-empty")
    #expect(try started.line() == "up")
    try stop(worker)
    #expect(try place.qudo("cancel", "1", "--reason", "wrong").output == "1 cancelling\n")
    let second = try place.qudo("work", "p=sh -c 'echo ran >> ran'", "--until-empty")
    #expect(second.status == 0 && second.errors.contains("qudo: completed 0, failed 0, retried 0"))
    #expect(!place.exists("ran"))
    let rows = try cancelled()
    #expect(rows.map { $0["reason"] as? String } == ["cancelled"])
    #expect(rows.map { $0["message"] as? String } == ["wrong"])
    #expect(try place.qudo("count").output == "")
    worker.kill(SIGCONT)
    #expect(try started.rest() == "")
    #expect(try worker.end() == 0)
    #expect(try cancelled().count == 1)
    #expect(try place.qudo("count").output == "")
  }
}
#endif
