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
      """
      How long an enqueue may take at most, and with several databases any call of one of them. Until then an enqueue waits for a server \
      that is away. Default: 10s, for one server 30s.
      """, valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var deadline: Duration?

  func validate() throws {
    guard retry ?? .seconds(1) >= .milliseconds(1) else { throw ValidationError("--retry must be at least 1ms") }
    guard deadline ?? .seconds(1) >= .milliseconds(1) else { throw ValidationError("--deadline must be at least 1ms") }
  }

  func set(_ options: inout DatabaseOptions) {
    options.order = order
    if let retry { options.probeInterval = retry }
    if let deadline { options.callTimeout = deadline }
  }
}

extension DatabaseOptions.Order: ExpressibleByArgument {}

/// What an enqueue does that a server, or the network, has cut off.
struct UnknownOption: ParsableArguments {
  @Option(help: ArgumentHelp(
    """
    When a database does not answer until the deadline, so that it has the jobs or not: elsewhere (they go to the next one too, and it is \
    said which may be doubled) or stop. Default: elsewhere for several databases with --order ordered, else stop.
    """, valueName: "policy"))
  var onUnknown: UnknownOutcome?

  func policy(_ order: DatabaseOptions.Order, databases count: Int) -> UnknownOutcome {
    onUnknown ?? (count > 1 && order == .ordered ? .elsewhere : .stop)
  }
}

extension UnknownOutcome: ExpressibleByArgument {}
