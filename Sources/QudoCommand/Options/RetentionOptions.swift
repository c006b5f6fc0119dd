internal import ArgumentParser
internal import Qudo

/// The options for how long a worker keeps the logs.
struct RetentionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The age at which rows of the failure log and the status log are deleted, or none. Default: 14d.",
      valueName: "duration|none"),
    transform: { try RetentionBound($0) { try Duration(parsing: $0) } })
  var retentionAge: RetentionBound<Duration>?
  @Option(
    help: ArgumentHelp(
      "The number of newest rows to keep in each log, or none for no limit. Default: 1000000.",
      valueName: "number|none"),
    transform: { try RetentionBound($0) { try Self.number($0) } })
  var retentionRows: RetentionBound<Int>?

  /// Nil: the logs are not pruned.
  var retention: Retention? {
    var retention = Retention()
    if let retentionAge { retention.maxAge = retentionAge.value }
    if let retentionRows { retention.maxRows = retentionRows.value }
    return retention == Retention(maxAge: nil, maxRows: nil) ? nil : retention
  }

  static func number(_ text: String) throws -> Int {
    guard let number = Int(text), number >= 0 else {
      throw ValidationError("--retention-rows must be none, 0 or more")
    }
    return number
  }
}

/// A bound, or none.
struct RetentionBound<Value: Sendable>: Sendable {
  /// Nil for none.
  let value: Value?

  init(_ text: String, _ parse: (String) throws -> Value) throws {
    value = text == "none" ? nil : try parse(text)
  }
}

/// The options that choose the rows to delete now.
struct PruneSelection: ParsableArguments {
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

  var options: PruneOptions { PruneOptions(olderThan: olderThan, keep: keep ?? 0) }
}
