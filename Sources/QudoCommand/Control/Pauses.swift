internal import ArgumentParser
internal import Qudo

struct PauseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Pause kinds, or everything: their jobs wait until the pause ends.",
    discussion: """
      Running jobs continue, jobs can be enqueued, and delayed jobs become due; no worker in any process begins a paused \
      job. The pause is stored in the database, and ends with resume or after --for. A second pause of a kind replaces the first \
      one. Without a kind, everything is paused, including future kinds. count shows which kinds are paused, and pauses lists \
      why.

        qudo pause mail.send --for 1h --reason 'the mail server is down'
        qudo resume mail.send
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("The kinds. Default: everything.", valueName: "kind")) var kinds: [String] = []
  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("End the pause after this long. Default: when it is resumed.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var length: Duration?
  @Option(help: "A note for those who look at the queue.") var reason: String?

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { databases in
      try await Queue(databases).pause(
        kinds.isEmpty ? nil : kinds.map { Kind($0) }, until: length.map { .after($0) }, reason: reason)
    }
  }
}

struct Resume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "End the pauses of kinds, or all pauses; or resume stopped concurrency keys.",
    discussion: """
      Prints the pauses that it ended, as pauses does. Without a kind, it ends all pauses, including the pause of everything. While \
      everything is paused, each kind stays paused.

      With --key it resumes stopped concurrency keys of one kind instead, and prints the stops that it ended, as keys does. Their held jobs \
      begin. The failed job does not run again; if it is replayed later, it begins after them. --all-keys resumes all stopped keys of the \
      kind. Neither ends a pause.

        qudo resume mail.send
        qudo resume order.ship --key customer-7
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("The kinds. Default: all pauses.", valueName: "kind")) var kinds: [String] = []
  @Option(
    help: ArgumentHelp(
      "A stopped concurrency key of the kind. Repeat for several. Default: none.", valueName: "key"))
  var key: [String] = []
  @Flag(help: "All stopped concurrency keys of the kind.") var allKeys = false
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if allKeys, !key.isEmpty { throw ValidationError("give --key or --all-keys, not both") }
    if allKeys || !key.isEmpty, kinds.count != 1 {
      throw ValidationError("--key and --all-keys need one kind, that of the keys")
    }
  }

  func run() async throws {
    if allKeys || !key.isEmpty { return try await resumeKeys() }
    let kinds = kinds.isEmpty ? nil : kinds.map { Kind($0) }
    try await database.use(durability: durability.durability, create: false) { databases in
      try await Listing.show(databases, json: json, limit: .max, of: "pauses") { driver throws(QudoError) in
        try await driver.control().resume(kinds)
      }
    }
  }

  private func resumeKeys() async throws {
    let kind = Kind(kinds.first ?? "")
    let keys = allKeys ? nil : key
    try await database.use(durability: durability.durability, create: false) { databases in
      try await Listing.show(databases, json: json, limit: .max, of: "stopped keys") {
        driver throws(QudoError) in
        try await driver.control().resume(keys: keys, of: kind)
      }
    }
  }
}

struct Pauses: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the paused kinds.",
    discussion: """
      With --json each element is {"database", "kind", "pausedAt", "endsAt", "reason"}; the kind is null if everything is paused.

        qudo pauses
      """)

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: .max, of: "pauses") { driver throws(QudoError) in
        try await driver.control().pauses()
      }
    }
  }
}

extension Pause: Listed {
  static var columns: [Table.Column] { ["KIND", "SINCE", "UNTIL", "REASON"] }

  var cells: [String] {
    [
      kind.map { SafeText.terminalSafe($0.name) } ?? "(everything)", pausedAt.local,
      endsAt?.local ?? "resumed", SafeText.terminalSafe(reason ?? "", limit: 60),
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("kind", .text(kind?.name)), ("pausedAt", .time(pausedAt)),
      ("endsAt", .time(endsAt)), ("reason", .text(reason)),
    ])
  }
}
