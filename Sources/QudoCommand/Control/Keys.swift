internal import ArgumentParser
internal import Qudo

struct Keys: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the stopped concurrency keys, or all of them.",
    discussion: """
      If a job with --concurrency-key and --stop-after-failure fails for good, it stops its key: the other jobs of the key stay held. Each \
      row is such a failure, the oldest first. A key continues when each of its failures is replayed (the new job begins before the held \
      ones) or resolved, or with qudo resume KIND --key KEY. If the failure was pruned, use qudo resume.

      With --all each row is a key that jobs have, or that is stopped: its limit and rate, how many of its jobs are admitted (ready, \
      delayed or running) and held, when its rate lets the next job begin if none may now, and how many failures stop it.

      With --json each element is {"database", "kind", "key", "failure", "job", "stoppedAt"}, or with --all {"database", "kind", "key", \
      "limit", "rate", "stopsAfterFailure", "admitted", "held", "nextTokenAt", "stops"}; the rate is null or {"count", "period", "burst"}, \
      with the period in seconds. Without --limit, --json prints no more rows than the table does; if it leaves some out, standard error \
      says so.

        qudo keys
        qudo keys --all
        qudo keys --key customer-7
        qudo replay 17
        qudo jobs --state held --concurrency-key customer-7
      """)

  @OptionGroup var database: Database
  @OptionGroup var kind: KindOption
  @Option(help: ArgumentHelp("The maximum number of rows of each database.", valueName: "number"))
  var limit = 100
  @Flag(help: "List all keys that jobs have, or that are stopped.") var all = false
  @Option(
    name: .customLong("key"), parsing: .singleValue,
    help: ArgumentHelp("List this key as --all does. Repeatable.", valueName: "key"))
  var keys: [String] = []
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be at least 1") }
  }

  func run() async throws {
    let kinds = kind.kinds
    guard !all, keys.isEmpty else {
      let query = ConcurrencyKeyQuery(
        kinds: kinds, keys: keys.isEmpty ? nil : keys, limit: Listing.beyond(limit))
      return try await database.list { databases in
        try await Listing.show(databases, json: json, limit: limit, of: "concurrency keys") {
          driver throws(QudoError) in try await driver.control().concurrencyKeys(query)
        }
      }
    }
    try await database.list { databases in
      try await Listing.show(databases, json: json, limit: limit, of: "stopped keys") {
        driver throws(QudoError) in
        try await driver.control().keyStops(kinds, after: 0, limit: Listing.beyond(limit))
      }
    }
  }
}

extension KeyStop: Listed {
  static var columns: [Table.Column] { ["KIND", "KEY", "SINCE", .number("FAILURE"), .number("JOB")] }

  var cells: [String] {
    [
      SafeText.terminalSafe(kind.name), SafeText.terminalSafe(key), stoppedAt.local, "\(failure)", "\(job)",
    ]
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("kind", .text(kind.name)), ("key", .text(key)),
      ("failure", .integer(failure)), ("job", .integer(job)), ("stoppedAt", .time(stoppedAt)),
    ])
  }
}

extension ConcurrencyKeyStatus: Listed {
  static var columns: [Table.Column] {
    ["KIND", "KEY", .number("LIMIT"), "RATE", .number("ADMITTED"), .number("HELD"), "NEXT", .number("STOPS")]
  }

  var cells: [String] {
    [
      SafeText.terminalSafe(kind.name), SafeText.terminalSafe(key), "\(limit)", rate?.display ?? "",
      "\(admitted)", "\(held)", nextTokenAt?.local ?? "", "\(stops)",
    ]
  }

  func json(database: String) -> JSON {
    let rate = rate.map { rate -> JSON in
      .object([
        ("count", .integer(Int64(rate.count))),
        ("period", .double(Double(rate.period.wholeMicroseconds) / 1_000_000)),
        ("burst", .integer(Int64(rate.burst))),
      ])
    }
    return .object([
      ("database", .text(database)), ("kind", .text(kind.name)), ("key", .text(key)),
      ("limit", .integer(Int64(limit))), ("rate", rate ?? .null),
      ("stopsAfterFailure", .bool(afterFailure == .stop)), ("admitted", .integer(Int64(admitted))),
      ("held", .integer(Int64(held))), ("nextTokenAt", .time(nextTokenAt)),
      ("stops", .integer(Int64(stops))),
    ])
  }
}
