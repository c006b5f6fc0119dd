import Evidence
import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// `qudo schedule`, with workers in separate processes.
@Suite(.waitsForProcesses) struct ScheduleCommandTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func list() throws -> [[String: Any]] { try place.qudo("schedule", "list", "--json").objects() }

  @Test("a schedule is added, listed, paused, resumed, run and removed") func verbs() throws {
    let add = try place.qudo(
      "schedule", "add", "leap", "report", "{\"a\":1}", "--cron", "0 12 29 2 *", "--zone", "Europe/Berlin",
      "--priority", "3",
      "--missed", "5", "--skip-overlap")
    #expect(add.status == 0 && add.errors == "" && add.output.contains("-02-29T"))
    let row = try #require(try list().first)
    #expect(
      Set(row.keys) == [
        "database", "name", "rule", "kind", "payload", "priority", "missed", "skipOverlap", "nextTick",
        "lastTick", "lastJob",
        "paused", "reason", "changedAt",
      ])
    #expect(row["name"] as? String == "leap" && row["rule"] as? String == "cron 0 12 29 2 * Europe/Berlin")
    #expect(row["payload"] as? String == "{\"a\":1}" && row["priority"] as? Int == 3)
    #expect(row["missed"] as? String == "last 5" && row["skipOverlap"] as? Bool == true)
    #expect((row["nextTick"] as? String)?.hasSuffix("-02-29T11:00:00.000Z") == true)
    #expect(try place.qudo("schedule", "next", "leap", "--count", "3").lines.count == 3)

    #expect(try place.qudo("schedule", "run", "leap").output == "1\n")
    let job = try #require(try place.qudo("jobs", "--json").objects().first)
    #expect(
      job["kind"] as? String == "report" && job["priority"] as? Int == 3
        && job["payload"] as? String == "{\"a\":1}")

    #expect(try place.qudo("schedule", "pause", "leap", "--reason", "quiet").status == 0)
    #expect(try place.qudo("schedule", "list").output.contains("paused: quiet"))
    #expect(try list().first?["paused"] as? Bool == true)
    let paused = try place.qudo("schedule", "next", "leap")
    #expect(
      paused.output == "" && paused.status == 1
        && paused.errors == "qudo: the schedule is paused: see schedule resume\n")
    #expect(try place.qudo("schedule", "resume", "leap").status == 0)
    #expect(try list().first?["paused"] as? Bool == false)

    let missing = try place.qudo("schedule", "remove", "none", "leap")
    #expect(missing.status == 1 && missing.errors == "qudo: there is no schedule none: see schedule list\n")
    #expect(try list().isEmpty)
    #expect(try place.qudo("schedule", "run", "leap").status == 1)
    #expect(try place.qudo("count", "--json").objects().count == 1, "its job stays")
  }

  @Test("the command of a job knows its schedule and tick, and that of another job does not") func variables()
    throws
  {
    try place.qudo("schedule", "add", "two words", "k", "x", "--every", "1h")
    try place.qudo("schedule", "run", "two words")
    try place.qudo("enqueue", "k", "y")
    let script = "k=sh -c 'echo \"$1 <$QUDO_SCHEDULE> <$QUDO_SCHEDULED_FOR>\"' sh {}"
    let work = try place.qudo(
      "work", script, "--until-empty", environment: ["QUDO_SCHEDULE": "outer", "QUDO_SCHEDULED_FOR": "outer"])
    #expect(work.lines.count == 2 && work.lines.last == "y <> <>")
    #expect(
      work.lines.first?.wholeMatch(of: /x <two words> <\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z>/) != nil,
      "\(work.output)")
  }

  @Test(
    "a worker enqueues ticks of kinds that it does not run, and one that runs only until empty begins with them"
  )
  func otherKinds() async throws {
    try place.qudo("schedule", "add", "s", "tick", "--every", "100ms", "--missed", "all")
    let worker = try place.start("work", "other=true")
    defer { worker.kill(SIGKILL) }
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    while try await driver.count([Kind("tick")]).first?.ready ?? 0 < 3 { await Task.yield() }
    await driver.close()
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    try place.qudo("schedule", "pause", "s")
    // What came since its start is there.
    #expect(try place.qudo("work", "tick=echo done", "--until-empty").lines.count >= 3)
  }

  @Test(
    "what makes no sense is refused before a file is made",
    arguments: Evidence.arguments([
      ["add", "s"], ["add", "s", "k"], ["add", "s", "k", "--every", "1h", "--cron", "@daily"],
      ["add", "s", "k", "--cron", "61 * * * *"], ["add", "s", "k", "--cron", "@daily", "--zone", "Nowhere"],
      ["add", "s", "k", "--every", "x"], ["add", "s", "k", "--every", "99ms"],
      ["add", "s", "k", "--cron", "0 0 30 2 *"],
      ["add", "", "k", "--every", "1h"], ["add", String(repeating: "x", count: 256), "k", "--every", "1h"],
      ["add", "s", "k", "p", "--payload-file", "f", "--every", "1h"], ["next", "--every", "1us"],
      ["add", "s", "k", "--zone", "UTC", "--every", "1h"],
      ["add", "s", "k", "--every", "1h", "--missed", "some"],
      ["add", "s", "k", "--every", "1h", "--missed", "0"],
      ["add", "s", "", "--every", "1h"], ["add", "s", "k", "{", "--codec", "json", "--every", "1h"],
      ["add", "s", "k", "--every", "1h", "--priority", "9999999999"],
      ["next"], ["next", "s", "--every", "1h"], ["next", "--every", "1h", "--count", "0"], ["pause"], ["run"],
      ["fly"],
    ])) func refused(_ arguments: [String]) throws
  {
    let run = try place.qudo(["schedule"] + arguments, input: Data())
    #expect(run.status == 64 && !run.errors.isEmpty && !place.exists("qudo.db"), "\(run.errors)")
  }

  @Test("a preview needs no database") func preview() throws {
    let next = try place.qudo("schedule", "next", "--cron", "0 0 29 2 *", "--count", "2")
    #expect(
      next.status == 0 && next.lines.count == 2
        && next.lines.allSatisfy { $0.contains("-02-29T00:00:00.000") })
    let never = try place.qudo("schedule", "next", "--cron", "0 0 30 2 *")
    #expect(never.status == 1 && never.errors == "qudo: the rule never matches\n")
    #expect(!place.exists("qudo.db"))
  }

  @Test("a payload may come from a file, whatever its bytes") func payloadFile() throws {
    try Data([0xFF, 0, 1]).write(to: place.folder.appendingPathComponent("p"))
    #expect(try place.qudo("schedule", "add", "s", "k", "--payload-file", "p", "--every", "1h").status == 0)
    #expect(try list().first?["payloadBase64"] as? String == "/wAB")
  }

  @Test("a rule that cannot be read is marked, and resume says of which schedule it is") func unreadable()
    async throws
  {
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    var strange = StoredSchedule(name: "odd", rule: "cron 0 0 * * * Mars/Base", kind: "k")
    strange.isPaused = true
    #expect(try await driver.store([strange]) == [true])
    await driver.close()
    #expect(try place.qudo("schedule", "list").output.contains("rule cannot be read"))
    let resume = try place.qudo("schedule", "resume", "odd")
    #expect(
      resume.status != 0 && resume.errors.contains("the schedule odd has a rule that cannot be read"),
      "\(resume.errors)")
  }
}

/// Workers that enqueue ticks are killed with SIGKILL, several at once, at random moments: no tick is lost or doubled.
///
/// `QUDO_EVIDENCE_SECONDS` says for how long that goes on; by default it is a few kills, and
/// more in CI, which sets `QUDO_CI`.
@Suite(.waitsForProcesses) struct ScheduleKillTests {
  @Test("no tick is lost or doubled by kills") func kills() async throws {
    let place = try CommandWorkspace()
    try place.qudo("schedule", "add", "s", "tick", "--every", "100ms", "--missed", "all")
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    var (kills, ticks) = (0, 0)
    for seed in Evidence.seeds(atLeast: 8, few: 2) {
      var random = Seeded(seed: seed)
      let workers = try (0..<3).map { _ in try place.start("work", "other=true", "--durability", "normal") }
      let before = ticks
      // Until they tick, and then for a moment of the seed's choice.
      while ticks == before {
        ticks = try await driver.schedules(["s"]).first?.lastTick?.microseconds.ticks ?? 0
      }
      usleep(UInt32.random(in: 0...250_000, using: &random))
      for worker in workers.shuffled(using: &random) { worker.kill(SIGKILL) }
      for worker in workers { _ = try worker.end() }
      kills += workers.count
    }
    let schedule = try #require(try await driver.schedules(["s"]).first)
    var found: [Int64] = []
    var query = JobQuery(limit: 1000)
    while true {
      let page = try await driver.jobs(matching: query)
      found += page.compactMap {
        $0.metadata["qudo.scheduled-for"].flatMap(Timestamp.init(iso8601:))?.microseconds
      }
      guard page.count == query.limit, let last = page.last else { break }
      query.after = last.id
    }
    let (first, last) = (try #require(found.first), try #require(schedule.lastTick?.microseconds))
    // One for each tenth of a second since the first.
    #expect(found == Array(stride(from: first, through: last, by: 100_000)))
    await driver.close()
    Evidence.report("kills at the tick", "\(kills) kills, \(found.count) ticks, none lost, none doubled")
  }
}

extension Int64 {
  /// The number of tenths of a second.
  fileprivate var ticks: Int { Int(self / 100_000) }
}
