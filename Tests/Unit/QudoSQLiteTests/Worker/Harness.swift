import ForwardingDriver
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport

/// A real file, a clock that stands still, and workers that go by it.
struct Harness {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  var queue: Queue<NoHooks> { Queue(driver) }

  func options(_ change: (inout WorkerOptions) -> Void = { _ in }) -> WorkerOptions {
    var options = WorkerOptions()
    options.clock = clock
    // Tests let weeks pass, and count what sleeps.
    options.retention = nil
    change(&options)
    return options
  }

  func worker(_ handlers: [JobHandler], _ change: (inout WorkerOptions) -> Void = { _ in }) throws -> Worker<
    NoHooks
  > {
    try Worker(queue, handlers: handlers, options: options(change))
  }
}

func policy(_ change: (inout JobPolicy) -> Void) -> JobPolicy {
  var policy = JobPolicy()
  change(&policy)
  return policy
}

/// What happened, in order; and a way to wait for it.
final class Log: Sendable {
  private struct State {
    var entries: [String] = []
    var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Locked(State())

  func add(_ text: String) {
    let met = state.withLock { state in
      state.entries.append(text)
      let met = state.waiters.filter { $0.count <= state.entries.count }.map(\.continuation)
      state.waiters.removeAll { $0.count <= state.entries.count }
      return met
    }
    for waiter in met { waiter.resume() }
  }

  var entries: [String] { state.withLock { $0.entries } }
  var sorted: [String] { entries.sorted() }

  /// Returns when there are so many entries.
  func count(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isMet = state.withLock { state in
        if state.entries.count >= count { return true }
        state.waiters.append((count, continuation))
        return false
      }
      if isMet { continuation.resume() }
    }
  }
}

extension ManualClock {
  /// Does work, and until it is done advances the clock to the end of each sleep that is at most `length` away: the worker's
  /// pauses between attempts, say. A single advance could come before the worker has begun to sleep.
  func passingSleeps<Result: Sendable>(
    upTo length: Duration, during work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let isOver = Locked(false)
    let task = Task {
      defer { isOver.withLock { $0 = true } }
      return try await work()
    }
    while !isOver.withLock({ $0 }) {
      if let wake = nextWake {
        let left = Duration.microseconds(wake - sinceBoot())
        if left <= length { advance(by: max(left, .zero)) }
      }
      await Task.yield()
    }
    return try await task.value
  }
}

/// Until its task is cancelled.
func forever() async throws { try await Task.sleep(for: .seconds(86_400)) }

struct Broken: Error {}

extension JobContext {
  var text: String { String(decoding: payload.bytes, as: UTF8.self) }
}

/// A driver that tells of each call and fails when told to.
struct SpyDriver: PlainForwardingDriver {
  let base: any Driver
  let log = Log()
  let failed = Log()
  let failures = Locked<[String: [QudoError]]>([:])

  /// The next calls of `verb` fail with these.
  func fail(_ verb: String, _ errors: [QudoError]) { failures.withLock { $0[verb] = errors } }

  private func enter(_ verb: String) throws(QudoError) {
    let error = failures.withLock { failures -> QudoError? in
      guard let error = failures[verb]?.first else { return nil }
      failures[verb]?.removeFirst()
      return error
    }
    if let error {
      log.add("\(verb) fails")
      failed.add(verb)
      throw error
    }
  }

  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    try enter(settlements.isEmpty ? "claim" : "settle")
    let answer = try await base.settle(settlements, claiming: next)
    log.add("settle \(settlements.count), claimed \(answer.claim?.jobs.count ?? 0) of \(next?.limit ?? 0)")
    return answer
  }

  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    try enter("extend")
    let answer = try await base.renew(leases, for: duration)
    log.add("extend \(leases.count)")
    return answer
  }

  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try enter("count")
    let answer = try await base.count(kinds)
    log.add("count")
    return answer
  }
}
