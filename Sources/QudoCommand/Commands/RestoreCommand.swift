internal import ArgumentParser
internal import Qudo
internal import QudoSQLite

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Make a database from a backup, and say what will run again.",
    discussion: """
      The backup is checked and copied; it stays as it is. The database gets a new identity and no leases: jobs that were running when \
      the backup was made run again, and so do jobs that have ended since. Jobs that were enqueued since are not in it. Delayed jobs \
      keep their due times, held ones their order, and paused kinds stay paused. It is never written over a database that a program has \
      open.

      Prints the jobs that will run, by kind, and how many of them run again. Not among them are jobs that were to be cancelled while \
      they were running, and jobs whose expiry has passed: they end without a run, with a row in the failure log. With --dry-run \
      nothing is written, and the database may be in use.

      With --json, one array with {"database", "file", "backup", "bytes", "schema", "ready", "delayed", "running", "held", "paused", \
      "cancelled", "expired", "kinds", "schedules", "ended", "removed", "damage", "users", "restored"}. ready to held add up to the jobs that \
      will run; paused is how many of them are of paused kinds. cancelled and expired end without a run. kinds has {"kind", "ready", \
      "delayed", "running", "held", "paused"}, and schedules has {"name", "kind", "nextAt", "missed"} for each schedule with missed ticks. \
      ended is how many of the jobs to run have ended since the backup, and removed how many jobs of the replaced database are not in the \
      backup; both are null if there is none, or if it is a different one. damage says why the replaced database cannot be read. users are \
      the programs that have it open.

      A restore that is killed leaves the old database or the new one, and perhaps a file with the name PATH.partial, which the next \
      restore overwrites.

      The exit status is 75 if the database is in use.

        qudo restore /var/backups/jobs.db --database jobs.db --dry-run
        qudo restore /var/backups/jobs.db --database jobs.db --replace
      """)

  @Argument(help: ArgumentHelp("The backup.", valueName: "file")) var backup: String
  @OptionGroup var database: Database
  @Flag(help: "Print what would run again; write nothing.") var dryRun = false
  @Flag(help: "Replace an existing database. It keeps its owner and permissions.") var replace = false
  @Flag(inversion: .prefixedNo, help: "Check the backup with PRAGMA quick_check.") var check = true
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let path = try database.file(for: "restore")
    let plan =
      dryRun
      ? try await SQLiteDriver.planRestore(from: backup, to: path, checking: check)
      : try await SQLiteDriver.restore(from: backup, to: path, replacing: replace, checking: check)
    try json ? show(plan) : tell(plan)
  }

  private func tell(_ plan: RestorePlan) throws {
    let hasHeld = plan.jobs?.contains { $0.held > 0 } ?? false
    let hasPaused = plan.jobs?.contains { $0.isPaused } ?? false
    var table = Table(
      ["KIND", .number("READY"), .number("DELAYED"), .number("RUNNING")] + (hasHeld ? [.number("HELD")] : [])
        + (hasPaused ? ["PAUSED"] : []))
    for count in plan.jobs ?? [] {
      table.add(
        [SafeText.terminalSafe(count.kind.name)]
          + ([count.ready, count.delayed, count.running] + (hasHeld ? [count.held] : [])).map { "\($0)" }
          + (hasPaused ? [count.isPaused ? "yes" : ""] : []))
    }
    let lines = Self.lines(plan, isRestored: !dryRun)
    try Output.write(table.text + lines.map { $0 + "\n" }.joined())
    guard dryRun else { return }
    if let users = plan.replaced?.users, !users.isEmpty {
      printError("the database is in use by \(users.joined(separator: ", ")): stop it before you restore")
    }
  }

  /// Returns what runs again, and what does not come back.
  private static func lines(_ plan: RestorePlan, isRestored: Bool) -> [String] {
    var lines: [String] = []
    if let sum = plan.jobs?.sum {
      lines.append("jobs to run: \(sum.all)")
      lines.append("of these, were running when the backup was made, and begin again: \(sum.running)")
      func add(_ count: Int?, _ text: String) {
        if let count, count > 0 { lines.append("\(text): \(count)") }
      }
      add(sum.delayed, "of these, wait until they are due")
      add(sum.held, "of these, are held until earlier jobs of their concurrency keys have ended")
      add(plan.jobs?.paused, "of these, are of paused kinds, and wait until the kinds are resumed")
      add(plan.cancelled, "jobs that were to be cancelled while they were running, and end without a run")
      add(plan.expired, "jobs whose expiry has passed, and that end without a run")
    } else {
      lines.append(
        "jobs to run: not counted, the backup has schema \(plan.schemaVersion) of an older version")
    }
    if let ended = plan.replaced?.ended {
      lines.append("of these, have ended since the backup, and run a second time: \(ended)")
    } else {
      lines.append("jobs that have ended since the backup run a second time")
    }
    if let removed = plan.replaced?.removed {
      lines.append("jobs of the replaced database that are not in the backup: \(removed)")
    }
    for schedule in plan.overdueSchedules {
      lines.append(
        "schedule \(SafeText.terminalSafe(schedule.name)): ticks missed since \(schedule.nextTick.utc), policy \(SafeText.terminalSafe(schedule.missed))"
      )
    }
    if let damage = plan.replaced?.damage {
      lines.append("the replaced database cannot be read: \(SafeText.terminalSafe(damage, limit: 200))")
    }
    lines.append(
      isRestored
        ? "restored: \(SafeText.terminalSafe(plan.file))"
        : "would restore: \(SafeText.terminalSafe(plan.file))")
    return lines
  }

  private func show(_ plan: RestorePlan) throws {
    func number(_ count: Int?) -> JSON { count.map { .integer(Int64($0)) } ?? .null }
    let kinds = plan.jobs?.map { count in
      JSON.object(
        [("kind", .text(count.kind.name))] + JSON.numbers([count]) + [("paused", .bool(count.isPaused))])
    }
    let schedules = plan.overdueSchedules.map { schedule in
      JSON.object([
        ("name", .text(schedule.name)), ("kind", .text(schedule.kind.name)),
        ("nextAt", .time(schedule.nextTick)), ("missed", .text(schedule.missed)),
      ])
    }
    try Output.line(
      JSONWriter.array([
        .object(
          [
            ("database", .text(plan.database)), ("file", .text(plan.file)), ("backup", .text(plan.backup)),
            ("bytes", .integer(Int64(plan.bytes))), ("schema", .integer(Int64(plan.schemaVersion))),
          ] + JSON.numbers(plan.jobs) + [
            ("paused", number(plan.jobs?.paused)), ("cancelled", number(plan.cancelled)),
            ("expired", number(plan.expired)), ("kinds", kinds.map { .array($0) } ?? .null),
            ("schedules", .array(schedules)),
            ("ended", number(plan.replaced?.ended)), ("removed", number(plan.replaced?.removed)),
            ("damage", .text(plan.replaced?.damage)),
            ("users", .array((plan.replaced?.users ?? []).map { .text($0) })), ("restored", .bool(!dryRun)),
          ])
      ]))
  }
}
