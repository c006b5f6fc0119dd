#if QUDO_INTERLEAVINGS
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Determines from a seed which points yield, and for how long.
///
/// A seed makes some call sites slow, lets some others yield often, and rarely touches the rest: stopping one
/// thread while all others run finds the most bugs. The seed determines what the n-th pass of a call site
/// does, but not which thread makes that pass.
package enum YieldPolicy {
  /// The mixed seed; 0 if no point yields. It starts as `QUDO_INTERLEAVING_SEED`, which works with any test.
  private static let seed = Atomic<UInt64>(
    getenv("QUDO_INTERLEAVING_SEED").flatMap { UInt64(String(cString: $0)) }.map { mixed($0) | 1 } ?? 0)
  private static let counts = Counts()

  private final class Counts: Sendable {
    let passed = Atomic<Int>(0)
    let yielded = Atomic<Int>(0)
    let slept = Atomic<Int>(0)
  }

  package static func begin(seed: UInt64) { Self.seed.store(mixed(seed) | 1, ordering: .relaxed) }
  package static func end() { seed.store(0, ordering: .relaxed) }

  /// The counts since the process began.
  package static var points: (passed: Int, yielded: Int, slept: Int) {
    (
      counts.passed.load(ordering: .relaxed), counts.yielded.load(ordering: .relaxed),
      counts.slept.load(ordering: .relaxed)
    )
  }

  static func pass(_ place: CallSite) {
    let seed = seed.load(ordering: .relaxed)
    guard seed != 0 else { return }
    counts.passed.wrappingAdd(1, ordering: .relaxed)
    let number = place.pass()
    let chance = mixed(seed ^ place.key &+ number &* 0x9E37_79B9_7F4A_7C15)
    switch mixed(seed ^ place.key) % 8 {
    case 0:
      // Not at every pass: a call site with thousands of passes would take all the time.
      if chance % 2 == 0, number % 256 < 64 { sleep(UInt32(chance >> 8 % 500)) } else { yield(1) }
    case 1, 2: if chance % 2 == 0 { yield(1 + chance >> 8 % 8) }
    case 3: if chance % 16 == 0 { sleep(UInt32(chance >> 8 % 50)) }
    default: if chance % 8 == 0 { yield(1) }
    }
  }

  /// The number of times that a task at the call site yields.
  static func yields(_ place: CallSite) -> Int {
    let seed = seed.load(ordering: .relaxed)
    guard seed != 0 else { return 0 }
    let chance = mixed(seed &+ place.key ^ place.pass())
    let count = chance % 4 == 0 ? Int(chance >> 8 % 6) : 0
    counts.yielded.wrappingAdd(count, ordering: .relaxed)
    return count
  }

  private static func yield(_ times: UInt64) {
    counts.yielded.wrappingAdd(Int(times), ordering: .relaxed)
    for _ in 0..<times { sched_yield() }
  }

  private static func sleep(_ microseconds: UInt32) {
    counts.slept.wrappingAdd(1, ordering: .relaxed)
    usleep(microseconds)
  }

  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
#endif
