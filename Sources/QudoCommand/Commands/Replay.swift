internal import ArgumentParser
internal import Qudo

struct Replay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue failed jobs again, by the ids of the failure log.",
    discussion: """
      A job that was given up waits again with its payload, priority and unique key, due now, as a first attempt. Each row can be \
      replayed once. The ids of the new jobs are printed; with --json, one array whose elements are {"database", "failure", \
      "result", "job"}, the result being replayed, conflict (another job has the unique key: it can be replayed later), \
      alreadyReplayed, notFinal or notFound. The exit status is 1 if one of them was not replayed; the others are.

        qudo replay 17 18
        qudo replay --all --kind mail.send
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("The ids of rows of the failure log.", valueName: "id")) var ids: [Int64] = []
  @Flag(help: "All that can be replayed and was not yet, the oldest first.") var all = false
  @OptionGroup var kind: KindOption
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    if all, !ids.isEmpty { throw ValidationError("give ids or --all, not both") }
    if !all, ids.isEmpty { throw ValidationError("give the ids of rows of the failure log, or --all") }
    if !all, kind.kinds != nil { throw ValidationError("--kind needs --all") }
  }

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { driver in
      let results = try await all ? replayAll(driver) : Array(zip(ids, driver.replay(ids)))
      if json {
        let rows = results.map { $1.json(failure: $0, database: driver.name) }
        try Output.line(JSONWriter.array(rows))
      } else {
        for case (_, .replayed(let job)) in results { try Output.line("\(job)") }
      }
      let troubles = results.compactMap { id, result in result.trouble.map { "failure \(id) \($0)" } }
      for trouble in troubles { complain(trouble) }
      if !troubles.isEmpty { throw ExitCode.failure }
    }
  }

  private static let page = 1000

  private func replayAll(_ driver: any LogDriver) async throws -> [(Int64, ReplayResult)] {
    var query = LogQuery(kinds: kind.kinds, oldestFirst: true, limit: Self.page)
    var results: [(Int64, ReplayResult)] = []
    while true {
      let rows = try await driver.failures(query)
      let ids = rows.filter { $0.isFinal && $0.replayedAs == nil }.map(\.id)
      if !ids.isEmpty { results += zip(ids, try await driver.replay(ids)) }
      // Rows that are replayed stay in the log, so that the places of the others do not change.
      query.offset += rows.count
      if rows.count < Self.page { return results }
    }
  }
}

extension ReplayResult {
  fileprivate var trouble: String? {
    switch self {
    case .replayed: nil
    case .conflict(let job): "has the unique key of job \(job), which is not finished: replay it later"
    case .alreadyReplayed(0): "was replayed before it was imported"
    case .alreadyReplayed(let job): "was replayed before, as job \(job)"
    case .notFinal: "is of a job that was tried again: there is nothing to replay"
    case .notFound: "is not in the failure log"
    }
  }

  fileprivate func json(failure: Int64, database: String) -> JSON {
    let (name, job): (String, Int64?) =
      switch self {
      case .replayed(let job): ("replayed", job)
      case .conflict(let job): ("conflict", job)
      case .alreadyReplayed(let job): ("alreadyReplayed", job)
      case .notFinal: ("notFinal", nil)
      case .notFound: ("notFound", nil)
      }
    return .object([
      ("database", .text(database)), ("failure", .integer(failure)), ("result", .text(name)),
      ("job", job.map { .integer($0) } ?? .null),
    ])
  }
}
