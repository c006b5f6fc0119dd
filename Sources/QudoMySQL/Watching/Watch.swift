#if MySQL
internal import Dispatch
internal import Qudo

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Darwin)
internal import Darwin
#endif

/// Looks for jobs that can be claimed while workers listen, because a server does not call its clients.
///
/// Each driver has one watch, however many workers listen, with its own connection. Its statement looks fifty
/// times a second, on the server, and returns when there is something, or after some seconds. So the watch
/// notices a job that another process enqueues within 20 ms, and an idle process sends four statements a
/// minute.
///
/// The watch looks at the jobs that exist, not at changes. So it also finds jobs that were committed late,
/// released, or locked by a session that has ended. It also notices running jobs that were cancelled, and pauses
/// that have ended, since the last claim; see ``ControlHints``.
final class Watch: @unchecked Sendable {  // reason: `connection` is touched on `thread` only
  private struct State {
    var isActive = false
    var isClosed = false
    /// Whether ``run()`` is active.
    var runs = false
    var memory = WatchMemory()
    /// The kinds, the end and the socket of the statement that looks now.
    var look: (kinds: Set<Kind>, until: ContinuousClock.Instant, socket: Int32)?
    var isInterrupted = false
    var interrupted: ContinuousClock.Instant?
  }

  private let state = Locked(State())
  private let thread = DispatchQueue(label: "qudo.mysql.watch")
  private let ends = DispatchSemaphore(value: 0)
  private let access: ConnectionFactory
  private let isOpen: @Sendable () -> Bool
  private let ring: @Sendable () -> Void
  private let looked: @Sendable () -> Void
  private var connection: Connection?

  /// - Parameters:
  ///   - isOpen: Returns whether the driver is still in use.
  ///   - ring: Called when there is something to claim.
  ///   - looked: Called after each statement.
  init(
    _ access: ConnectionFactory, isOpen: @escaping @Sendable () -> Bool, ring: @escaping @Sendable () -> Void,
    looked: @escaping @Sendable () -> Void
  ) {
    (self.access, self.isOpen, self.ring, self.looked) = (access, isOpen, ring, looked)
  }

  /// Starts or stops the watch. If no worker listens any more, the current statement still runs to its end,
  /// because a worker usually listens again soon.
  func setActive(_ isActive: Bool) {
    let starts = state.withLock { state in
      state.isActive = isActive
      guard isActive, !state.isClosed, !state.runs else { return false }
      state.runs = true
      return true
    }
    if starts { thread.async { self.run() } }
  }

  /// Notes that a claim found fewer jobs of these kinds than it wanted.
  func missed(_ kinds: some Sequence<Kind>) {
    state.withLock { state in
      state.memory.missed(kinds)
      Self.interruptIfNarrow(&state)
    }
  }

  /// Ends a statement that does not look for all wanted kinds, unless it ends soon.
  private static func interruptIfNarrow(_ state: inout State) {
    let now = ContinuousClock.now
    guard state.isActive, let look = state.look, !look.kinds.isEmpty,
      !look.kinds.isSuperset(of: state.memory.wanted),
      look.until - now > WatchMemory.shortest, state.interrupted.map({ now - $0 > .seconds(1) }) ?? true
    else { return }
    state.interrupted = now
    interrupt(&state)
  }

  /// Ends the current statement. The server notices this only when the statement is over, but the statement
  /// holds no locks.
  private static func interrupt(_ state: inout State) {
    guard let look = state.look else { return }
    state.isInterrupted = true
    shutdown(look.socket, Int32(SHUT_RDWR))
  }

  /// - Parameter group: A group that this method enters, and leaves when the connection is closed.
  func close(_ group: DispatchGroup) {
    state.withLock { state in
      state.isClosed = true
      Self.interrupt(&state)
    }
    ends.signal()
    thread.async(group: group) { self.connection = nil }
  }

  private func run() {
    while isOpen(), let memory = state.withLock({ Self.goOn(&$0) }) {
      Interleaving.point()
      let outcome = look(memory)
      let (rings, pause) = state.withLock { state in
        let wasInterrupted = state.isInterrupted
        (state.look, state.isInterrupted) = (nil, false)
        guard !wasInterrupted else { return (false, Duration.zero) }
        return (state.memory.note(outcome) && state.isActive, state.memory.pause)
      }
      if outcome == .lost { connection = nil }
      if rings { ring() }
      looked()
      if pause > .zero { _ = ends.wait(timeout: .now() + .microseconds(Int(pause.wholeMicroseconds))) }
    }
  }

  private static func goOn(_ state: inout State) -> WatchMemory? {
    guard state.isActive, !state.isClosed else {
      state.runs = false
      return nil
    }
    return state.memory
  }

  private func look(_ memory: WatchMemory) -> WatchMemory.Outcome {
    do throws(QudoError) {
      let connection = try take()
      let length = min(memory.length, access.settings.readTimeout / 2, access.longestWatch)
      let look = WatchLook(memory.wanted, access.kinds, length: length, time: access.time)
      let isOn = state.withLock { state in
        guard !state.isClosed else { return false }
        state.look = (memory.wanted, .now + length, connection.socket)
        return true
      }
      guard isOn, let rows = try connection.run(look.statement).rows else { return .nothing }
      return rows.next().map { .found(step: Int(clamping: $0.integer(0))) } ?? .nothing
    } catch {
      // Wake a waiting worker: its claim reports the error.
      if error.code == .databaseReplaced { return .stopped }
      return error.mysql.map { !$0.isOfConnection } == true ? .stopped : .lost
    }
  }

  private func take() throws(QudoError) -> Connection {
    if let connection, case .holds = connection.silence { return connection }
    connection = nil
    let new = try access.connect()
    (new.observer, new.roundTrips) = (nil, Locked(0))
    // "READ UNCOMMITTED ... SELECT statements are performed in a nonlocking fashion", and see rows that are
    // committed after they began.
    try new.run([
      "COMMIT", "SET SESSION autocommit = 1", "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    ])
    connection = new
    return new
  }
}

/// A statement that looks again and again.
struct WatchLook {
  let statement: SQL

  /// - Parameters:
  ///   - wanted: The kinds to look for; empty for all.
  ///   - length: How long the statement looks.
  ///   - time: The expression for the server's time.
  init(_ wanted: Set<Kind>, _ numbers: KindCache, length: Duration, time: SQL) {
    let step = WatchMemory.step.wholeMicroseconds
    let count = max(1, min(length.wholeMicroseconds / step, 1000))
    var (known, unknown): ([Int64], [Kind]) = ([], [])
    for kind in wanted.sorted() {
      if let number = numbers[kind] { known.append(number) } else { unknown.append(kind) }
    }
    // Each condition refers to the row of `s`; otherwise the server would evaluate it only once.
    let now: SQL = "\(time) + s.i * \(step)"
    var conditions: [SQL] = [
      "(SELECT due FROM qudo_delayed WHERE due >= s.i * 0 - 9000000000000000000 ORDER BY due, id LIMIT 1) <= \(now)",
      "(SELECT ends FROM qudo_running WHERE ends >= s.i * 0 - 9000000000000000000 ORDER BY ends, id LIMIT 1) <= \(now)",
      "(SELECT expires FROM qudo_expiry WHERE expires >= s.i * 0 - 9000000000000000000 ORDER BY expires LIMIT 1) <= \(now)",
    ]
    let hints = numbers.control.withLock { $0 }
    // Look for no job of a kind that the last claim saw paused, but for the end of the pause.
    let paused = hints.paused.numbers.filter { kind in
      wanted.isEmpty || kind == PausedKinds.everything || known.contains(kind)
    }.sorted()
    if !paused.isEmpty {
      conditions.append(
        """
        (SELECT COUNT(*) FROM qudo_pause WHERE kind IN \(list: paused) AND (ends IS NULL OR ends > \(now))) < \(paused.count)
        """)
    }
    // A job of a kind at its maximum can be claimed only when another one has ended. To count those that run costs more
    // than to look for one that is ready, so not every step does.
    // One whose rate is used up can be claimed only later.
    let limited = Set(hints.full.keys).union(hints.tokensAt.keys).filter { kind in
      !hints.paused.has(kind) && (wanted.isEmpty || known.contains(kind))
    }
    for kind in limited.sorted() {
      var all: [SQL] = hints.tokensAt[kind].map { ["\($0) <= \(now)"] } ?? []
      if let most = hints.full[kind] {
        all.append("s.i MOD \(min(10, count)) = 0")
        all.append("(SELECT COUNT(*) FROM qudo_running WHERE kind = \(kind) AND id >= s.i * 0) < \(most)")
      }
      all.append("(SELECT 1 FROM qudo_ready WHERE kind = \(kind) AND id >= s.i * 0 LIMIT 1) = 1")
      conditions.append("(\(all.joined(" AND ")))")
    }
    if !hints.paused.isEverything {
      let left = (paused + limited).sorted()
      if wanted.isEmpty {
        let others: SQL = left.isEmpty ? "" : "kind NOT IN \(list: left) AND"
        conditions.append("(SELECT 1 FROM qudo_ready WHERE \(others) id >= s.i * 0 LIMIT 1) = 1")
      }
      let unpaused = known.filter { !hints.paused.has($0) && !limited.contains($0) }
      if !unpaused.isEmpty {
        conditions.append(
          "(SELECT 1 FROM qudo_ready WHERE kind IN \(list: unpaused) AND id >= s.i * 0 LIMIT 1) = 1")
      }
    }
    // A running job was cancelled, and no claim has seen that.
    let unseen: SQL = hints.marked.isEmpty ? "" : "job NOT IN \(list: hints.marked.sorted()) AND"
    conditions.append("(SELECT 1 FROM qudo_cancel WHERE \(unseen) job >= s.i * 0 LIMIT 1) = 1")
    // Not `name = x'...'`: because of the unique key, the server would look that up once, before the
    // statement begins.
    for kind in unknown {
      conditions.append(
        "(SELECT 1 FROM qudo_kind WHERE name = IF(s.i < 0, '', \(Array(kind.name.utf8))) LIMIT 1) = 1")
    }
    statement = """
      WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < \(count))
      SELECT i FROM s WHERE SLEEP(\(WatchMemory.stepText)) <> 0 OR \(conditions.joined(" OR ")) LIMIT 1
      """
  }
}

extension WatchMemory {
  /// ``step`` in seconds.
  static let stepText: SQL = "0.02"
}
#endif
