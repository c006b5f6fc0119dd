internal import ArgumentParser
internal import Qudo

struct Prune: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Delete old rows of the failure log and the status log.",
    discussion: """
      Deletes in short transactions, so that workers continue meanwhile, and prints the number of deleted rows. Expired idempotency \
      keys are deleted, too, and do not count. A deleted failure cannot be replayed. Workers do this by themselves, by default for \
      rows older than 14 days or beyond 1,000,000: see work.

        qudo prune --older-than 14d --keep 1000
      """)

  @OptionGroup var database: Database
  @OptionGroup var selection: PruneSelection

  func run() async throws {
    try await database.use(create: false) { [options = selection.options] databases in
      let queue = Queue(databases)
      var count = 0
      while true {
        let deleted = try await queue.prune(options)
        count += deleted
        if deleted == 0 { break }
      }
      try Output.line("\(count)")
    }
  }
}
