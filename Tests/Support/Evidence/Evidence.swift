internal import Foundation

/// What the harnesses of the article "Evidence" have in common: how long they go on, with which seeds, and what they report.
public enum Evidence {
  /// How long each harness goes on at least, in seconds: `QUDO_EVIDENCE_SECONDS`. Absent, it stops after the rounds that its test asks
  /// for.
  public static let seconds = number("QUDO_EVIDENCE_SECONDS").map { TimeInterval($0) } ?? 0

  /// Whether the harnesses are to run: they need the machine for themselves, and together with hundreds of other tests they
  /// would make those wait beyond their timeouts. `Tests/Evidence/run` runs one after the other.
  public static let isAsked = number("QUDO_EVIDENCE_SECONDS") != nil

  /// The first seed: `QUDO_EVIDENCE_SEED`, 1 by default. A failed test names the seed that repeats it.
  public static let firstSeed = number("QUDO_EVIDENCE_SEED") ?? 1

  /// How many verbs the model's comparison with SQLite does at least: `QUDO_MODEL_OPERATIONS`. Absent, it does those of its scripts.
  public static let modelOperations = number("QUDO_MODEL_OPERATIONS").map { Int(clamping: $0) }

  /// Seeds from the first one on: as many as are asked for, and more until the harness's time is over.
  public static func seeds(atLeast count: Int) -> some Sequence<UInt64> {
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
