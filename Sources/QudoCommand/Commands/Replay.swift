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
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("The ids of rows of the failure log.", valueName: "id")) var ids: [Int64]
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await database.use(durability: durability.durability, create: false) { driver in
      let results = Array(zip(ids, try await driver.replay(ids)))
      if json {
        let rows = results.map { $1.json(failure: $0, database: driver.name) }
        try Output.line(JSONWriter.array(rows))
      } else {
        for case (_, .replayed(let job)) in results { try Output.line("\(job)") }
      }
      var failed = false
      for (id, result) in results {
        guard let trouble = result.trouble else { continue }
        failed = true
        complain("failure \(id) \(trouble)")
      }
      if failed { throw ExitCode.failure }
    }
  }
}

extension ReplayResult {
  fileprivate var trouble: String? {
    switch self {
    case .replayed: nil
    case .conflict(let job): "has the unique key of job \(job), which is not finished: replay it later"
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
