public import ArgumentParser
public import Qudo

/// How several databases are used.
struct FleetOptions: ParsableArguments {
  @Option(help: ArgumentHelp(
    "Of several databases: shuffled (any of those that are there) or ordered (the first that is there).", valueName: "order"))
  var order: DatabaseOptions.Order = .shuffled
  @Option(
    help: ArgumentHelp("Of several databases, how long one that had trouble is set aside. Default: 30s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var retry: Duration?
  @Option(
    help: ArgumentHelp(
      "Of several databases, how long an enqueue, or any call of one of them, may take at most. Default: 10s.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var deadline: Duration?

  func validate() throws {
    guard retry ?? .seconds(1) >= .milliseconds(1) else { throw ValidationError("--retry must be at least 1ms") }
    guard deadline ?? .seconds(1) >= .milliseconds(1) else { throw ValidationError("--deadline must be at least 1ms") }
  }

  func set(_ options: inout DatabaseOptions) {
    options.order = order
    if let retry { options.retry = retry }
    if let deadline { options.deadline = deadline }
  }
}

extension DatabaseOptions.Order: ExpressibleByArgument {}
