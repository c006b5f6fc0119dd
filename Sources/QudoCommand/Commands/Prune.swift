internal import ArgumentParser
internal import Qudo

struct Prune: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Delete old rows of the failure log and the status log.",
    discussion: """
      Deletes in short transactions, so that workers go on meanwhile, and prints the number of deleted rows. Expired idempotency keys \
      go, too, and do not count. A deleted failure cannot be replayed.

        qudo prune --older-than 14d --keep 1000
      """)

  @OptionGroup var database: Database
  @Option(
    help: ArgumentHelp("Only rows older than this.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var olderThan: Duration?
  @Option(help: ArgumentHelp("Keep this many of the newest rows of each log.", valueName: "number")) var keep:
    Int?
  @Flag(help: "Delete all rows.") var all = false

  func validate() throws {
    if all, olderThan != nil || keep != nil {
      throw ValidationError("--all deletes every row: leave the others out")
    }
    if !all, olderThan == nil, keep == nil { throw ValidationError("give --older-than, --keep or --all") }
    if let keep, keep < 0 { throw ValidationError("--keep must not be negative") }
  }

  func run() async throws {
    let before = olderThan.map { SystemClock().now().wall.advanced(by: .zero - $0) }
    try await database.use(create: false) { databases in
      let queue = Queue(databases)
      var count = 0
      while true {
        let options = PruneOptions(before: before, keep: keep ?? 0)
        let deleted = try await queue.prune(options)
        count += deleted
        // Fewer than a log may lose at once: none is left but what was logged meanwhile.
        if deleted < options.limit { break }
      }
      try Output.line("\(count)")
    }
  }
}
