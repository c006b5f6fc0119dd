#if QUDO_INTERLEAVINGS
import Evidence
import Foundation
import Qudo
import QudoTesting
import Testing

/// Runs a scenario with one seed after the other, and looks at the census of continuations after each.
///
/// - Parameters:
///   - name: of the scenario.
///   - seeds: how many at least.
///   - body: throws when something is not as it must be. All that it opens must be closed when it returns.
/// - Returns: through `body`, how much it did, which is reported.
func interleavings(
  _ name: String, _ what: String, seeds: Int, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: (_ seed: UInt64, _ random: inout Seeded) async throws -> Int
) async {
  let before = Figures()
  var (rounds, done) = (0, 0)
  for seed in Evidence.seeds(atLeast: seeds) {
    let label = "\(name), seed \(seed)"
    Watchdog.one.begin(label)
    var random = Seeded(seed: seed)
    YieldPolicy.begin(seed: seed)
    do {
      done += try await body(seed, &random)
    } catch {
      Issue.record("\(label): \(error)", sourceLocation: sourceLocation)
    }
    YieldPolicy.end()
    await allResumed()
    Watchdog.one.end()
    rounds += 1
  }
  Evidence.report(
    "InterleavingTests", "\(name): \(rounds) rounds, \(done) \(what), \(Figures().since(before))")
}

/// Returns when each continuation that was made was resumed. Nobody can wait for a timer that was cancelled, or for an answer that came too
/// late: so this looks again and again. If one is never resumed, the watchdog ends it.
private func allResumed() async {
  while !CallSite.census.allSatisfy(\.isWhole) { try? await Task.sleep(for: .milliseconds(1)) }
}

/// What the process has passed so far.
private struct Figures: CustomStringConvertible {
  var (passed, yielded, slept) = YieldPolicy.points
  var made = CallSite.census.map(\.made).reduce(0, +)
  var resumed = CallSite.census.map(\.resumed).reduce(0, +)
  let places = CallSite.census.count

  func since(_ before: Figures) -> Figures {
    var figures = self
    figures.passed -= before.passed
    figures.yielded -= before.yielded
    figures.slept -= before.slept
    figures.made -= before.made
    figures.resumed -= before.resumed
    return figures
  }

  var description: String {
    "\(passed) points passed, \(yielded) yields and \(slept) pauses put in, \(made) continuations made, \(resumed) resumed"
  }
}

/// Ends the process with what is known when a scenario does not end, or when a continuation can never be resumed: a test that waits for
/// it would wait forever.
final class Watchdog: Sendable {
  static let one = Watchdog()
  /// Some hundred times what a round takes: a bound, which is waited for only when something is wrong. Counted in looks, as the process
  /// may be stopped meanwhile.
  private static let limit = 300
  private static let pause: TimeInterval = 0.2
  private let current = NSLock()
  nonisolated(unsafe) private var scenario: (label: String, looks: Int)?  // reason: touched under `current` only

  private init() {
    Thread { [self] in
      while true {
        Thread.sleep(forTimeInterval: Self.pause)
        look()
      }
    }.start()
  }

  func begin(_ label: String) { current.withLock { scenario = (label, 0) } }
  func end() { current.withLock { scenario = nil } }

  private func look() {
    let looked = current.withLock {
      scenario?.looks += 1
      return scenario
    }
    guard let (label, looks) = looked else { return }
    let wrong = CallSite.census.filter { $0.again > 0 || $0.forgotten > 0 }
    if !wrong.isEmpty { give("\(label): a continuation was forgotten or resumed twice", wrong) }
    if looks > Self.limit {
      give("\(label): it does not end within a minute", CallSite.census.filter { !$0.isWhole })
    }
  }

  private func give(_ trouble: String, _ census: [CallSite.Census]) -> Never {
    var text = "interleaving failed: \(trouble)\n"
    for one in census {
      text +=
        "  \(one.place): made \(one.made), resumed \(one.resumed), again \(one.again), forgotten \(one.forgotten)\n"
    }
    FileHandle.standardError.write(Data(text.utf8))
    _exit(1)
  }
}

struct Wrong: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
#endif
