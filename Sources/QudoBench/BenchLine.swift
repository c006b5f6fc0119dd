/// One line of the result table.
public struct BenchLine: Sendable {
  /// The figure that a target applies to.
  public enum Figure: String, Sendable {
    case rate, ratio
  }
  public struct Target: Sendable {
    public var figure: Figure
    public var value: Double
    /// True if the target is a minimum, false if it is a maximum.
    public var isLeast: Bool

    static func atLeast(_ value: Double, _ figure: Figure = .ratio) -> Target {
      Target(figure: figure, value: value, isLeast: true)
    }
    static func atMost(_ value: Double, _ figure: Figure = .ratio) -> Target {
      Target(figure: figure, value: value, isLeast: false)
    }
  }

  public var workload: String
  public var durability: String?
  /// The median of Qudo's figures, in `unit`.
  public var rate: Double
  public var unit = "jobs/s"
  /// The median of the baseline's figures.
  public var floor: Double?
  public var floorName: String?
  /// Qudo's figure divided by the floor's, for each round.
  public var ratios: [Double] = []
  public var target: Target?

  public var ratio: Double? { ratios.isEmpty ? nil : median(ratios) }

  public var met: Bool? {
    guard let target, let figure = target.figure == .rate ? rate : ratio else { return nil }
    return target.isLeast ? figure >= target.value : figure <= target.value
  }
}

extension BenchLine {
  /// Creates a line from rounds, each with the floor's figure and Qudo's.
  init(
    _ workload: String, _ durability: String, _ rounds: [(floor: Double, qudo: Double)], floorName: String,
    target: Target? = nil
  ) {
    self.init(
      workload: workload, durability: durability, rate: median(rounds.map(\.qudo)),
      floor: median(rounds.map(\.floor)),
      floorName: floorName, ratios: rounds.map { $0.qudo / $0.floor }, target: target)
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  let middle = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}

/// Returns the percentile: the value that `share` of the values do not exceed.
func percentile(_ share: Double, of values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  return sorted[min(sorted.count - 1, max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1))]
}

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
  var inMilliseconds: Double { inSeconds * 1000 }
}

/// Formats 1234567 as `1,234,567`.
func grouped(_ number: Int) -> String {
  number < 1000 ? "\(number)" : grouped(number / 1000) + "," + "\(number % 1000 + 1000)".dropFirst()
}

/// Measures `body`, which does `count` operations, and returns the rate per second.
func rate(_ count: Int, _ body: () async throws -> Void) async rethrows -> Double {
  let time = try await ContinuousClock().measure(body)
  return Double(count) / time.inSeconds
}

func rate(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
  let time = try ContinuousClock().measure(body)
  return Double(count) / time.inSeconds
}
