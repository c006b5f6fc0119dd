public import ArgumentParser
public import Qudo

/// The options for several databases.
struct FleetOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "With several databases, use shuffled (any available one) or ordered (the first available one).",
      valueName: "order"))
  var order: DatabaseOptions.Order = .shuffled
  @Option(
    help: ArgumentHelp(
      "With several databases, how long an unavailable one is skipped before it is probed. Default: 30s.",
      valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var probeInterval: Duration?
  @Option(
    help: ArgumentHelp(
      """
      The timeout of an enqueue and, with several databases, of each call to one of them. Until then an enqueue waits for an \
      unavailable server. Default: 10s, or 30s for a single server.
      """, valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var callTimeout: Duration?

  func validate() throws {
    guard probeInterval ?? .seconds(1) >= .milliseconds(1) else {
      throw ValidationError("--probe-interval must be at least 1ms")
    }
    guard callTimeout ?? .seconds(1) >= .milliseconds(1) else {
      throw ValidationError("--call-timeout must be at least 1ms")
    }
  }

  func set(_ options: inout DatabaseOptions) {
    options.order = order
    if let probeInterval { options.probeInterval = probeInterval }
    if let callTimeout { options.callTimeout = callTimeout }
  }
}

extension DatabaseOptions.Order: ExpressibleByArgument {}

/// The `--on-unknown` option: what to do if a failure of the server or the network leaves an enqueue's
/// outcome unknown.
struct UnknownOutcomeOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      What to do if a database does not answer within --call-timeout and may have stored the jobs: elsewhere (enqueue them in the next \
      one too, and report which may be doubled) or stop. Default: elsewhere for several databases with --order ordered, else stop.
      """, valueName: "policy"))
  var onUnknown: UnknownOutcome?

  func policy(_ order: DatabaseOptions.Order, databases count: Int) -> UnknownOutcome {
    onUnknown ?? (count > 1 && order == .ordered ? .elsewhere : .stop)
  }
}

extension UnknownOutcome: ExpressibleByArgument {}
