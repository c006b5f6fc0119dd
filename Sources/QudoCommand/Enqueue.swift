internal import ArgumentParser
internal import Qudo
internal import QudoSQLite

struct Enqueue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Enqueue a job, or with --lines one per line of standard input.")

  @OptionGroup var database: Database
  @Argument(help: "The kind: at most 255 bytes.") var kind: String
  @Argument(help: "The payload: at most 1 MiB. Default: empty.") var payload: String?
  @Flag(help: "A job per line of standard input, many in a transaction.") var lines = false
  @Option(help: "At most one live job per kind and key.") var uniqueKey: String?
  @Option(help: "Higher runs first.") var priority = 0
  @Option(help: "Not before this long from now, as 500ms, 90s, 1h30m.", transform: { try Duration(parsing: $0) }) var delay: Duration?
  @Flag(help: "Print an object per job.") var json = false

  func validate() throws {
    if lines, payload != nil || uniqueKey != nil { throw ValidationError("--lines takes neither a payload nor --unique-key") }
  }

  func run() async throws {
    let driver = try database.open(create: true)
    if lines { try await enqueueLines(driver) } else { try await enqueue([job(payload ?? "")], driver) }
    await driver.close()
  }

  private func job(_ payload: String) -> NewJob {
    NewJob(
      Kind(kind), payload: Payload(Array(payload.utf8)), unique: uniqueKey.map { UniqueKey($0) }, priority: priority,
      due: delay.map { .after($0) } ?? .now)
  }

  /// A thousand lines in a transaction: 60 times as fast as one at a time, and acknowledged together.
  private func enqueueLines(_ driver: SQLiteDriver) async throws {
    var batch: [NewJob] = []
    while let line = readLine() {
      batch.append(job(line))
      guard batch.count == 1000 else { continue }
      try await enqueue(batch, driver)
      batch = []
    }
    try await enqueue(batch, driver)
  }

  private func enqueue(_ jobs: [NewJob], _ driver: SQLiteDriver) async throws {
    for result in try await driver.insert(jobs) {
      switch result {
      case .inserted(let id), .overwritten(let id): report(id, driver.name, existing: false)
      case .existing(let id): report(id, driver.name, existing: true)
      case .conflict(let id): throw QudoError(.invalidArgument, "job \(id) of kind \(kind) has the unique key and is not finished")
      }
    }
  }

  private func report(_ id: Int64, _ name: String, existing: Bool) {
    guard json else { return printLine("\(id)") }
    printLine("{\"id\":\(id),\"database\":\(QudoCommand.quoted(name))\(existing ? ",\"existing\":true" : "")}")
  }
}

struct Count: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "How many jobs of each kind are ready, delayed and running.")

  @OptionGroup var database: Database
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let driver = try database.open(create: false)
    let counts = try await driver.count()
    await driver.close()
    guard json else {
      for count in counts { printLine("\(count.kind)\tready \(count.ready)\tdelayed \(count.delayed)\trunning \(count.running)") }
      return
    }
    let rows = counts.map {
      "{\"database\":\(QudoCommand.quoted(driver.name)),\"kind\":\(QudoCommand.quoted($0.kind.name)),\"ready\":\($0.ready),\"delayed\":\($0.delayed),\"running\":\($0.running)}"
    }
    printLine("[" + rows.joined(separator: ",\n") + "]")
  }
}
