internal import Foundation

/// What the harnesses of the article "Evidence" have in common: how long they go on, with which seeds, and what they report.
public enum Evidence {
  /// How long each harness goes on at least, in seconds: `QUDO_EVIDENCE_SECONDS`. Absent, it stops after the rounds that its test asks
  /// for.
  public static let seconds = number("QUDO_EVIDENCE_SECONDS").map { TimeInterval($0) } ?? 0

  /// Whether the harnesses are to run: they need the machine for themselves, and together with hundreds of other tests they
  /// would make those wait beyond their timeouts. `Tests/Evidence/run` runs one after the other.
  public static let isAsked = number("QUDO_EVIDENCE_SECONDS") != nil

  /// Whether tests that repeat the same with other choices do all their rounds: in CI, which sets `QUDO_CI`, and if the harnesses
  /// are to run. Otherwise they do a few, so that all tests together end soon.
  public static let isWhole = isAsked || ProcessInfo.processInfo.environment["QUDO_CI"] != nil

  /// Returns the arguments of a test to try: all if ``isWhole``, else the first, the one in the middle and the last.
  public static func arguments<All: Collection>(
    _ all: All, file: String = #fileID, line: Int = #line
  ) -> [All.Element] {
    let all = Array(all)
    return all.count > 3
      ? few([all[0], all[all.count / 2], all[all.count - 1]], of: all, file: file, line: line) : all
  }

  /// Returns `all` if ``isWhole``, else `few`, and prints what is left out and how to run it.
  public static func few<Element>(
    _ few: [Element], of all: [Element], file: String = #fileID, line: Int = #line
  ) -> [Element] {
    guard !isWhole, few.count < all.count else { return all }
    print("evidence: \(file):\(line) tries \(few.count) of \(all.count), set QUDO_CI=1 for all")
    return few
  }

  /// The first seed: `QUDO_EVIDENCE_SEED`, 1 by default. A failed test names the seed that repeats it.
  public static let firstSeed = number("QUDO_EVIDENCE_SEED") ?? 1

  /// How many verbs the model's comparison with SQLite does at least: `QUDO_MODEL_OPERATIONS`. Absent, it does those of its scripts.
  public static let modelOperations = number("QUDO_MODEL_OPERATIONS").map { Int(clamping: $0) }

  /// Seeds from the first one on: as many as are asked for, and more until the harness's time is over.
  ///
  /// - Parameter few: How many there are unless ``isWhole``.
  public static func seeds(
    atLeast count: Int, few: Int? = nil, file: String = #fileID, line: Int = #line
  ) -> some Sequence<UInt64> {
    let all = Array(0..<count)
    let count = self.few(Array(0..<(few ?? count)), of: all, file: file, line: line).count
    let end = Date(timeIntervalSinceNow: seconds)
    var done = 0
    return AnyIterator {
      guard done < count || Date() < end else { return nil }
      defer { done += 1 }
      return firstSeed &+ UInt64(done)
    }
  }

  /// Prints a line with what a harness tried.
  public static func report(_ harness: String, _ figures: String) {
    print("evidence: \(harness): \(figures)")
  }

  private static func number(_ name: String) -> UInt64? {
    ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
  }
}
