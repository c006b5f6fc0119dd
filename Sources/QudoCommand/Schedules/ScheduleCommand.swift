internal import ArgumentParser
internal import Qudo
internal import QudoSchedules

struct ScheduleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "Enqueue jobs by the clock.",
    discussion: """
      A schedule enqueues a job of its kind at each of its ticks. It is stored in the database. Every qudo work on the database \
      enqueues the ticks of all its schedules, even of kinds that it does not run, and no tick is enqueued twice. Ticks are missed while no \
      worker runs: --missed says which of them the next worker catches up on.

        qudo schedule add nightly report --cron '30 2 * * *' --zone Europe/Berlin
        qudo schedule add pulse check --every 30s --skip-overlap
        qudo schedule list
        qudo schedule next nightly --count 3
        qudo schedule pause nightly --reason 'the printer is broken'
      """,
    subcommands: [
      ScheduleAdd.self, ScheduleList.self, ScheduleNext.self, SchedulePause.self, ScheduleResume.self,
      ScheduleRun.self, ScheduleRemove.self,
    ])
}

/// The options that make a rule.
struct RuleOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Ticks by a cron expression: five fields, or six with seconds first, or a name such as @daily.",
      valueName: "expression"))
  var cron: String?
  @Option(
    help: ArgumentHelp("The time zone of --cron, such as Europe/Berlin. Default: UTC.", valueName: "name"))
  var zone: String?
  @Option(
    help: ArgumentHelp(
      "Ticks at each multiple of a duration since 1970 in UTC: 1h is each full hour. At least 100ms.",
      valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var every: Duration?

  func validate() throws {
    if cron != nil, every != nil { throw ValidationError("--cron and --every exclude each other") }
    if zone != nil, cron == nil { throw ValidationError("--zone needs --cron") }
    do { _ = try rule } catch { throw ValidationError("\(error.message)") }
  }

  /// The rule; nil without options.
  var rule: ScheduleRule? {
    get throws(QudoError) {
      if let every {
        let rule = ScheduleRule.every(every)
        try rule.check()
        return rule
      }
      guard let cron else { return nil }
      return try .cron(cron, in: zone ?? "UTC")
    }
  }
}

struct ScheduleAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Store a schedule, replacing an older one of the same name.",
    discussion: """
      Prints the next tick. A schedule whose rule is the same as before keeps its next tick, and stays paused if it is. With several \
      databases, a new schedule goes into the first one.

        qudo schedule add nightly report --cron '30 2 * * *' --zone Europe/Berlin
        qudo schedule add hourly sync '{"all":true}' --every 1h --missed skip
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The schedule's name: 1 to 255 bytes.") var name: String
  @Argument(help: "The kind of the jobs.") var kind: String
  @Argument(help: "The payload of the jobs. Default: empty.") var payload: String?
  @Option(
    help: ArgumentHelp("Read the payload from a file, unchanged; - is standard input.", valueName: "path"))
  var payloadFile: String?
  @OptionGroup var rule: RuleOptions
  @Option(
    help: ArgumentHelp(
      """
      Which missed ticks a worker catches up on: latest, skip (none that is more than a minute late), all, or a number for that \
      many of the latest ones.
      """, valueName: "policy"),
    transform: { try MissedTicks(Int($0).map { "last \($0)" } ?? $0) })
  var missed: MissedTicks = .latest
  @Flag(help: "Skip a tick while the job of an earlier tick waits or runs.") var skipOverlap = false
  @Option(help: ArgumentHelp("The priority of the jobs; higher ones run first.", valueName: "number"))
  var priority = 0
  @Option(
    help: ArgumentHelp(
      "The codec of the stored payload: json or raw. Default: json if it is valid JSON, else raw.",
      valueName: "codec"))
  var codec: PayloadCodec?
  @Flag(help: "Print the schedule as an object.") var json = false

  func validate() throws {
    guard let rule = try rule.rule else { throw ValidationError("give --cron or --every") }
    if payload != nil, payloadFile != nil {
      throw ValidationError("give a payload or --payload-file, not both")
    }
    guard rule.next(after: SystemClock().now().wall) != nil else {
      throw ValidationError("the rule of the schedule never matches: give another one")
    }
    do {
      try StoredSchedule.check(name: name)
      if payloadFile == nil { try Limits().check(job(Array((payload ?? "").utf8))) }
    } catch let error as QudoError {
      throw ValidationError(error.message)
    } catch let error as CommandError {
      throw ValidationError(error.description)
    }
  }

  private func job(_ bytes: [UInt8]) throws -> NewJob {
    NewJob(
      Kind(kind), payload: Payload(bytes, codec: try PayloadCodec.id(of: bytes, chosen: codec)),
      priority: priority)
  }

  func run() async throws {
    guard let rule = try rule.rule else { return }
    let bytes =
      try payloadFile.map { try InputFile.readAll($0, limit: Limits().payloadBytes) }
      ?? Array((payload ?? "").utf8)
    let schedule = Schedule(name, rule, try job(bytes), missed: missed, skipsOverlap: skipOverlap)
    try await database.use(durability: durability.durability, create: true) { databases in
      let record = try await Queue(databases).schedules.add(schedule)
      if json { return try Output.line(JSONWriter.one(record.schedule.json(database: record.database))) }
      try Output.line(record.schedule.nextTick?.local ?? "paused")
    }
  }
}

struct ScheduleList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the schedules and their next ticks.",
    discussion: """
      With --json each element is {"database", "name", "rule", "kind", "payload", "priority", "missed", "skipOverlap", "nextTick", \
      "lastTick", "lastJob", "paused", "reason", "changedAt"}; a payload that is not UTF-8 is "payloadBase64" instead.
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: .max, of: "schedules") {
        driver throws(QudoError) in
        try await driver.scheduling().schedules(nil)
      }
    }
  }
}

struct ScheduleNext: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "next", abstract: "Print the next ticks of a schedule, or of a rule that is not stored yet.",
    discussion: """
      Prints one time per line, in this machine's time zone. The exit status is 1 if no tick is to come, as with a paused schedule. \
      A first tick in the past has not been enqueued yet.

        qudo schedule next nightly --count 3
        qudo schedule next --cron '30 2 * * *' --zone Europe/Berlin
      """)

  @OptionGroup var database: Database
  @Argument(help: "The schedule's name. Default: the rule of the options.") var name: String?
  @OptionGroup var rule: RuleOptions
  @Option(help: ArgumentHelp("How many ticks, 1 to 1,000.", valueName: "number")) var count = 5

  func validate() throws {
    guard try (name == nil) != (rule.rule == nil) else {
      throw ValidationError("give the name of a schedule, or a rule with --cron or --every")
    }
    guard (1...1000).contains(count) else { throw ValidationError("--count must be from 1 to 1,000") }
  }

  func run() async throws {
    if let rule = try rule.rule {
      try show(rule.ticks(after: SystemClock().now().wall, count: count), "the rule never matches")
    } else if let name {
      try await database.list { databases in
        guard let record = try await Queue(databases).schedules.schedule(named: name) else {
          throw CommandError.noSchedule(name)
        }
        try show(
          record.nextTicks(count),
          record.schedule.isPaused ? "the schedule is paused: see schedule resume" : "no tick is to come")
      }
    }
  }

  private func show(_ ticks: [Timestamp], _ none: String) throws {
    guard !ticks.isEmpty else { throw CommandError(none) }
    try Output.write(ticks.map { $0.local + "\n" }.joined())
  }
}

struct SchedulePause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Pause schedules: they have no ticks until they are resumed.",
    discussion: "Their jobs stay as they are: to pause those, see pause.")

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The names of the schedules.") var names: [String]
  @Option(help: "A note for those who look at the schedules.") var reason: String?

  func run() async throws {
    try await forEach(names, database, durability) { schedules, name in
      try await schedules.pause(name, reason: reason) != nil
    }
  }
}

struct ScheduleResume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Resume paused schedules.",
    discussion: "They continue with their first tick after now. The ticks of the pause are skipped.")

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The names of the schedules.") var names: [String]

  func run() async throws {
    try await forEach(names, database, durability) { schedules, name in
      try await schedules.resume(name) != nil
    }
  }
}

struct ScheduleRun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Enqueue the job of a schedule now, in addition to its ticks.",
    discussion: "Prints the job's id; with several databases, DATABASE/ID. A paused schedule stays paused.")

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The schedule's name.") var name: String

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { databases in
      guard let id = try await Queue(databases).schedules.runNow(name) else {
        throw CommandError.noSchedule(name)
      }
      try Output.line(database.isSeveral ? SafeText.terminalSafe("\(id)") : "\(id.number)")
    }
  }
}

struct ScheduleRemove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove schedules. Their jobs stay as they are.",
    discussion: "A program that declares a schedule with its worker stores it again when it starts.")

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The names of the schedules.") var names: [String]

  func run() async throws {
    try await forEach(names, database, durability) { schedules, name in try await schedules.remove(name) }
  }
}

/// Calls a verb with each name, and tells of those without a schedule.
private func forEach(
  _ names: [String], _ database: Database, _ durability: DurabilityOption,
  _ body: (QueueSchedules, String) async throws -> Bool
) async throws {
  try await database.use(durability: durability.durability, create: false) { databases in
    let schedules = Queue(databases).schedules
    var isWhole = true
    for name in names where !(try await body(schedules, name)) {
      printError(CommandError.noSchedule(name).description)
      isWhole = false
    }
    if !isWhole { throw ExitCode.failure }
  }
}

extension CommandError {
  fileprivate static func noSchedule(_ name: String) -> CommandError {
    CommandError("there is no schedule \(SafeText.terminalSafe(name, limit: 80)): see schedule list")
  }
}

extension StoredSchedule: Listed {
  static var columns: [Table.Column] { ["NAME", "RULE", "KIND", "NEXT", "LAST", "PAYLOAD"] }

  var cells: [String] {
    let isReadable = (try? ScheduleRule(rule)) != nil
    let next =
      !isReadable
      ? "rule cannot be read"
      : nextTick?.local ?? (isPaused ? "paused" + (reason.map { ": \($0)" } ?? "") : "never")
    return [
      SafeText.terminalSafe(name, limit: 40), SafeText.terminalSafe(rule, limit: 60),
      SafeText.terminalSafe(kind.name),
      SafeText.terminalSafe(next, limit: 60), lastTick?.local ?? "",
      SafeText.terminalSafe(payload, limit: 60),
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("name", .text(name)), ("rule", .text(rule)), ("kind", .text(kind.name)),
      JSON.payload(payload), ("priority", .integer(Int64(priority))), ("missed", .text(missed)),
      ("skipOverlap", .bool(skipsOverlap)), ("nextTick", .time(nextTick)), ("lastTick", .time(lastTick)),
      ("lastJob", lastJob.map { .integer($0) } ?? .null), ("paused", .bool(isPaused)),
      ("reason", .text(reason)),
      ("changedAt", .time(changedAt)),
    ])
  }
}
