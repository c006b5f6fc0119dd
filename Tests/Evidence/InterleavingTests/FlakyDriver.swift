#if QUDO_INTERLEAVINGS
import Evidence
import Qudo
import QudoTesting

/// A database that refuses, answers late, hangs, or does what is asked and does not say so, as its seed has it, until it is calm.
final class FlakyDriver: Driver {
  private struct State {
    var random: Seeded
    var isCalm = false
    var hanging: [CheckedContinuation<Void, Never>] = []
  }
  private let base: any Driver
  private let clock: ManualClock
  private let state: Locked<State>

  init(_ base: any Driver, _ clock: ManualClock, seed: UInt64) {
    self.base = base
    self.clock = clock
    state = Locked(State(random: Seeded(seed: seed)))
  }

  var name: String { base.name }
  var capabilities: Capabilities { base.capabilities }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }
  var generation: [UInt8] { base.generation }

  /// From now on it does what it is asked, as do the calls that hang.
  func calm() {
    let hanging = state.withLock { state in
      state.isCalm = true
      defer { state.hanging = [] }
      return state.hanging
    }
    for one in hanging { one.resume() }
  }

  private func call<Value>(_ body: () async throws(QudoError) -> Value) async throws(QudoError) -> Value {
    let (mood, late) = state.withLock { state in
      (state.isCalm ? 0 : state.random.number(0...19), Int64(state.random.number(0...1_500_000)))
    }
    switch mood {
    case 10...11: throw QudoError(.unreachable, "it refuses")
    case 12...13:
      // Be the caller cancelled or not.
      try? await clock.sleep(untilSinceBoot: clock.sinceBoot() + late)
      return try await body()
    case 14:
      await hang()
      return try await body()
    case 15:
      _ = try await body()
      throw QudoError(.outcomeUnknown, "it is not known")
    default: return try await body()
    }
  }

  private func hang() async {
    await withCheckedContinuation { continuation in
      let goesOn = state.withLock { state in
        if !state.isCalm { state.hanging.append(continuation) }
        return state.isCalm
      }
      if goesOn { continuation.resume() }
    }
  }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    try await call { () async throws(QudoError) in try await base.insert(jobs) }
  }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    try await call { () async throws(QudoError) in try await base.claim(request) }
  }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    try await call { () async throws(QudoError) in try await base.settle(settlements, claiming: next) }
  }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try await call { () async throws(QudoError) in try await base.renew(leases, for: duration) }
  }
  func promote(limit: Int) async throws(QudoError) -> Int {
    try await call { () async throws(QudoError) in try await base.promote(limit: limit) }
  }
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await call { () async throws(QudoError) in try await base.jobs(matching: query) }
  }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await call { () async throws(QudoError) in try await base.count(kinds) }
  }
  func close() async { await base.close() }
}
#endif
