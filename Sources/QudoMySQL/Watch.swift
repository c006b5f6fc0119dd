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

/// Looks for what can be claimed while somebody listens: a server does not call its clients.
///
/// There is one for each driver, however many workers listen, with a connection of its own. A statement of it looks fifty times a second,
/// on the server, and comes back when there is something, or after some seconds: so that a job that another process enqueues is
/// known within 20 ms, and an idle process asks four times a minute.
///
/// It looks at what is there and not at what comes: jobs that were committed late, given back, or locked by a session that is gone are found
/// as well.
final class Watch: @unchecked Sendable {  // reason: `connection` is touched on `thread` only
  private struct State {
    var isActive = false
    var isClosed = false
    /// Whether ``run()`` is on its way.
    var runs = false
    var memory = WatchMemory()
    /// Of the statement that looks now: what for, until when, and over which socket.
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
  ///   - isOpen: whether somebody still has the driver.
  ///   - ring: called when there is something to claim.
  ///   - looked: called after each statement.
  init(
    _ access: ConnectionFactory, isOpen: @escaping @Sendable () -> Bool, ring: @escaping @Sendable () -> Void,
    looked: @escaping @Sendable () -> Void
  ) {
    (self.access, self.isOpen, self.ring, self.looked) = (access, isOpen, ring, looked)
  }

  /// A statement that looks is left to its end when nobody listens any longer: most often somebody does again.
  func setActive(_ isActive: Bool) {
    let starts = state.withLock { state in
      state.isActive = isActive
      guard isActive, !state.isClosed, !state.runs else { return false }
      state.runs = true
      return true
    }
    if starts { thread.async { self.run() } }
  }

  /// A claim found fewer than it wanted of these.
  func missed(_ kinds: some Sequence<Kind>) {
    state.withLock { state in
      state.memory.missed(kinds)
      Self.interruptIfNarrow(&state)
    }
  }

  /// Ends a statement that does not look for all that is wanted, unless it ends soon.
  private static func interruptIfNarrow(_ state: inout State) {
    let now = ContinuousClock.now
    guard state.isActive, let look = state.look, !look.kinds.isEmpty,
      !look.kinds.isSuperset(of: state.memory.wanted),
      look.until - now > WatchMemory.shortest, state.interrupted.map({ now - $0 > .seconds(1) }) ?? true
    else { return }
    state.interrupted = now
    interrupt(&state)
  }

  /// The server notices at the end of the statement, which holds nothing.
  private static func interrupt(_ state: inout State) {
    guard let look = state.look else { return }
    state.isInterrupted = true
    shutdown(look.socket, Int32(SHUT_RDWR))
  }

  /// - Parameter group: is left when the connection is closed.
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
      // A worker that waits is woken, and its claim tells it.
      if error.code == .databaseReplaced { return .stopped }
      return error.mysql.map { !$0.isOfConnection } == true ? .stopped : .lost
    }
  }

  private func take() throws(QudoError) -> Connection {
    if let connection, case .holds = connection.silence { return connection }
    connection = nil
    let new = try access.connect()
    (new.observer, new.roundTrips) = (nil, Locked(0))
    // "READ UNCOMMITTED ... SELECT statements are performed in a nonlocking fashion", and see what is committed after they began.
    try new.run([
      "COMMIT", "SET SESSION autocommit = 1", "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
    ])
    connection = new
    return new
  }
}

/// One statement that looks again and again.
struct WatchLook {
  let statement: SQL

  /// - Parameters:
  ///   - wanted: which kinds; all if it is empty.
  ///   - length: how long.
  ///   - time: what takes the server's time.
  init(_ wanted: Set<Kind>, _ numbers: KindCache, length: Duration, time: SQL) {
    let step = WatchMemory.step.wholeMicroseconds
    let count = max(1, min(length.wholeMicroseconds / step, 1000))
    var (known, unknown): ([Int64], [Kind]) = ([], [])
    for kind in wanted.sorted() {
      if let number = numbers[kind] { known.append(number) } else { unknown.append(kind) }
    }
    // Each condition has to do with the row of `s`, or it would be evaluated once.
    let now: SQL = "\(time) + s.i * \(step)"
    var conditions: [SQL] = [
      "(SELECT due FROM qudo_delayed WHERE due >= s.i * 0 - 9000000000000000000 ORDER BY due, id LIMIT 1) <= \(now)",
      "(SELECT ends FROM qudo_running WHERE ends >= s.i * 0 - 9000000000000000000 ORDER BY ends, id LIMIT 1) <= \(now)",
    ]
    if wanted.isEmpty { conditions.append("(SELECT 1 FROM qudo_ready WHERE id >= s.i * 0 LIMIT 1) = 1") }
    if !known.isEmpty {
      conditions.append(
        "(SELECT 1 FROM qudo_ready WHERE kind IN \(list: known) AND id >= s.i * 0 LIMIT 1) = 1")
    }
    // Not `name = x'...'`: of a unique key that is looked up once, before the statement begins.
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
