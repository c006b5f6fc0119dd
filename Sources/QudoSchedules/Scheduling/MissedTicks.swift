public import Qudo

/// The policy for missed ticks, those that were due while no worker enqueued them: which of them a worker catches up on.
public enum MissedTicks: Hashable, Sendable {
  /// None: a tick that is more than a minute late is skipped.
  case skip
  /// The latest one. The default.
  case latest
  /// The latest ones, this many at most: 1 to 1,000.
  case last(Int)
  /// All of them, the earliest first.
  case all

  /// The maximum delay of a tick that ``skip`` still enqueues.
  static let tolerance = Duration.seconds(60)
  /// The maximum number of ticks that one transaction enqueues. ``all`` continues in the next one.
  static let maxTicks = 1000

  /// - Throws: ``QudoError/Code/invalidArgument`` if the number is out of range.
  func check() throws(QudoError) {
    if case .last(let count) = self, !(1...Self.maxTicks).contains(count) {
      throw QudoError(
        .invalidArgument,
        "a schedule cannot catch up on \(count) missed ticks: give 1 to \(Self.maxTicks)")
    }
  }
}

extension MissedTicks: CustomStringConvertible {
  /// The text that the database stores: `skip`, `latest`, `last 3` or `all`.
  public var description: String {
    switch self {
    case .skip: "skip"
    case .latest: "latest"
    case .last(let count): "last \(count)"
    case .all: "all"
    }
  }

  /// Parses ``description``.
  ///
  /// - Throws: ``/Qudo/QudoError``; ``/Qudo/QudoError/Code/invalidArgument`` for any other text.
  public init(_ text: String) throws(QudoError) {
    switch text {
    case "skip": self = .skip
    case "latest": self = .latest
    case "all": self = .all
    default:
      let words = text.split(separator: " ")
      guard words.count == 2, words[0] == "last", let count = Int(words[1]) else {
        throw QudoError(
          .invalidArgument,
          "'\(text.prefix(40))' is not a policy for missed ticks: write skip, latest, last 3 or all")
      }
      self = .last(count)
      try check()
    }
  }
}
