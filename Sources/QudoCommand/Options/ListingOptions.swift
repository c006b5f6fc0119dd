internal import ArgumentParser
internal import Qudo

/// The `--kind` option of the listings.
struct KindOption: ParsableArguments {
  @Option(
    name: .customLong("kind"),
    help: ArgumentHelp("Only this kind. Repeat for several. Default: all.", valueName: "kind"))
  var names: [String] = []

  var kinds: [Kind]? { names.isEmpty ? nil : names.map { Kind($0) } }
}

/// The `--timeout` option of the commands for monitoring.
struct TimeoutOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How long to wait for a database before it counts as unreachable. Default: 1s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var timeout: Duration?

  var duration: Duration { timeout ?? .seconds(1) }

  func validate() throws {
    guard duration >= .milliseconds(1) else { throw ValidationError("--timeout must be at least 1ms") }
  }
}

/// The options for listing a log.
struct LogOptions: ParsableArguments {
  @OptionGroup var kind: KindOption
  @Option(help: "The maximum number of rows, 0 or more.") var limit = 10
  @Option(help: "The number of rows to skip, 0 or more.") var offset = 0
  @Flag(help: "Oldest first. Default: newest first.") var oldestFirst = false
  @Flag(help: "Print one JSON array.") var json = false

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative") }
    guard offset >= 0 else { throw ValidationError("--offset must not be negative") }
  }

  /// The query for one row more than is shown, to find out whether there are more.
  var query: LogQuery {
    LogQuery(kinds: kind.kinds, oldestFirst: oldestFirst, limit: Listing.beyond(limit), offset: offset)
  }
}
