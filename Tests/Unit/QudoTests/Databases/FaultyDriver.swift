import Logging
import Qudo
import QudoTesting

/// A database that fails, hangs or answers late as it is told to.
final class FaultyDriver: LogDriver {
  enum Fault: Sendable {
    case none
    /// Refuses each call; nothing is done.
    case refuses(QudoError)
    /// Does not answer before it is resumed, and does then what was asked.
    case hangs
    /// Does what is asked, and says that it is not known.
    case doneUnknown
  }
  private struct State {
    var fault = Fault.none
    var waiters: [CheckedContinuation<Void, Never>] = []
    var calls = 0
    var isRemote = false
    var arrivals: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  let base: MemoryDriver
  private let state = Locked(State())

  init(_ name: String, clock: ManualClock) { base = MemoryDriver(name: name, clock: clock) }

  var name: String { base.name }
  var capabilities: Capabilities { isRemote ? base.capabilities.union(.remote) : base.capabilities }
  var isRemote: Bool {
    get { state.withLock { $0.isRemote } }
    set { state.withLock { $0.isRemote = newValue } }
  }
  var limits: Limits { base.limits }
  var doorbell: Doorbell { base.doorbell }
  var generation: [UInt8] { base.generation }

  var fault: Fault {
    get { state.withLock { $0.fault } }
    set {
      let waiters = state.withLock { state in
        state.fault = newValue
        if case .hangs = newValue { return [CheckedContinuation<Void, Never>]() }
        defer { state.waiters = [] }
        return state.waiters
      }
      for waiter in waiters { waiter.resume() }
    }
  }

  /// How many calls have arrived.
  var calls: Int { state.withLock { $0.calls } }

  /// Returns when so many calls have arrived.
  func arrived(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isMet = state.withLock { state in
        if state.calls >= count { return true }
        state.arrivals.append((count, continuation))
        return false
      }
      if isMet { continuation.resume() }
    }
  }

  private func call<Value>(_ body: () async throws(QudoError) -> Value) async throws(QudoError) -> Value {
    // The fault first: whoever waits for the call may give the next one another.
    let (met, fault) = state.withLock { state in
      state.calls += 1
      let met = state.arrivals.filter { $0.count <= state.calls }.map(\.continuation)
      state.arrivals.removeAll { $0.count <= state.calls }
      return (met, state.fault)
    }
    for waiter in met { waiter.resume() }
    switch fault {
    case .none: return try await body()
    case .refuses(let error): throw error
    case .hangs:
      await withCheckedContinuation { continuation in
        let goesOn = state.withLock { state in
          guard case .hangs = state.fault else { return true }
          state.waiters.append(continuation)
          return false
        }
        if goesOn { continuation.resume() }
      }
      return try await body()
    case .doneUnknown:
      _ = try await body()
      throw QudoError(.outcomeUnknown, "the connection was lost during the commit")
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
  func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try await call { () async throws(QudoError) in try await base.failures(query) }
  }
  func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try await call { () async throws(QudoError) in try await base.statuses(query) }
  }
  func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try await call { () throws(QudoError) in try await base.outcomes(of: jobs) }
  }
  func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try await call { () throws(QudoError) in try await base.job(withUniqueKey: key, kind: kind) }
  }
  func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?) async throws(QudoError)
    -> [ReplayResult]
  {
    try await call { () async throws(QudoError) in
      try await base.replay(failures, changing: change, unique: unique)
    }
  }
  func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] {
    try await call { () async throws(QudoError) in try await base.resolve(failures) }
  }
  func prune(_ prune: PruneOptions) async throws(QudoError) -> Int {
    try await call { () async throws(QudoError) in try await base.prune(prune) }
  }
  func close() async { await base.close() }

  /// The texts of all live jobs.
  var texts: [String] {
    get async throws {
      try await base.jobs(matching: JobQuery(limit: 10_000)).map {
        String(decoding: $0.payload.bytes, as: UTF8.self)
      }
    }
  }
}

/// Databases that fail as told, a clock that stands still, and a log of what is reported of them.
struct Fleet {
  let clock = ManualClock()
  let drivers: [FaultyDriver]
  let log = LineLog()
  let databases: Databases

  init(
    _ names: String..., order: DatabaseOptions.Order = .ordered,
    _ change: (inout DatabaseOptions) -> Void = { _ in }
  ) throws {
    let (clock, log) = (clock, log)
    drivers = names.map { FaultyDriver($0, clock: clock) }
    var options = DatabaseOptions()
    options.order = order
    options.clock = clock
    options.logger = Logger(label: "fleet") { _ in log }
    change(&options)
    databases = try Databases(drivers.map { Databases.Source($0) }, options: options)
  }

  subscript(_ name: String) -> FaultyDriver { drivers.first { $0.name == name }! }
  var queue: Queue<NoHooks> { Queue(databases) }

  func worker(_ demands: [JobHandler], _ change: (inout WorkerOptions) -> Void = { _ in }) throws -> Worker<
    NoHooks
  > {
    var options = WorkerOptions()
    options.clock = clock
    // The tests count calls.
    options.retention = nil
    let log = log
    options.logger = Logger(label: "fleet") { _ in log }
    change(&options)
    return try Worker(queue, handlers: demands, options: options)
  }

  /// Lets the time pass until the condition holds: from one timer of less than half a minute to the next. With retries as
  /// the only ones it never passes while others are at work, whose deadline or lease would end.
  func passRetries(until isMet: () async throws -> Bool) async rethrows {
    while try await !isMet() {
      let left = (clock.nextWake ?? .max) - clock.sinceBoot()
      if left <= 30_000_000 { clock.advance(by: .microseconds(max(left, 0))) } else { await Task.yield() }
    }
  }

  func job(_ text: String) -> NewJob { NewJob("a", payload: Payload(text)) }
}

let refused = QudoError(.unreachable, "connection refused")

/// Keeps the lines; and a way to wait for them.
struct LineLog: LogHandler {
  private struct State {
    var lines: [String] = []
    var waiters: [(text: String, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Locked(State())
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  var lines: [String] { state.withLock { $0.lines } }

  func log(event: LogEvent) {
    let database = event.metadata?["database"].map { " \($0)" } ?? ""
    add("\(event.message)\(database)")
  }

  func add(_ line: String) {
    let met = state.withLock { state in
      state.lines.append(line)
      let met = state.waiters.filter { line.contains($0.text) }.map(\.continuation)
      state.waiters.removeAll { line.contains($0.text) }
      return met
    }
    for waiter in met { waiter.resume() }
  }

  /// Returns when a line has this in it.
  func wait(for text: String) async {
    await withCheckedContinuation { continuation in
      let isMet = state.withLock { state in
        if state.lines.contains(where: { $0.contains(text) }) { return true }
        state.waiters.append((text, continuation))
        return false
      }
      if isMet { continuation.resume() }
    }
  }
}
