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

/// Ends connections whose server has forgotten that it owes an answer.
///
/// If a server is told to stop a statement just when that statement is done, the server skips the rest of the
/// text: MariaDB's loop over the statements of a text ends `while (!thd->killed && …)`, and the last answer
/// says that more follow. The session then sleeps, with all its locks, and the client waits for its read
/// timeout. So once an answer has been due for a second, another connection checks whether the session
/// sleeps.
final class SessionWatch: Sendable {
  /// How long a server may owe the next answer of a text before the watch checks its session.
  static let timeout = Duration.seconds(1)
  private static let tick = DispatchTimeInterval.milliseconds(500)

  private struct State {
    var waits: [ObjectIdentifier: Wait] = [:]
    var isTicking = false
  }

  private let settings: Settings
  private let queue = DispatchQueue(label: "qudo.mysql.sessions")
  private let state = Locked(State())
  /// The number of connections that the watch ended; for tests.
  let endings = Locked(0)

  init(_ settings: Settings) { self.settings = settings }

  func add(_ wait: Wait) { state.withLock { $0.waits[ObjectIdentifier(wait)] = wait } }
  func remove(_ wait: Wait) { state.withLock { $0.waits[ObjectIdentifier(wait)] = nil } }

  /// Starts the watch. Call this after a text was sent.
  func start() {
    let isFirst = state.withLock { state in
      defer { state.isTicking = true }
      return !state.isTicking
    }
    if isFirst { schedule() }
  }

  private func schedule() {
    queue.asyncAfter(deadline: .now() + Self.tick) { [weak self] in self?.look() }
  }

  /// Checks all waits. It repeats while any answer is due, so an idle driver does nothing.
  private func look() {
    let waits = state.withLock { Array($0.waits.values) }
    let now = ContinuousClock.now
    let late = waits.filter { $0.isLate(now) }
    if !late.isEmpty { end(late) }
    let goesOn = state.withLock { state in
      state.isTicking = waits.contains(where: \.isPending)
      return state.isTicking
    }
    if goesOn { schedule() }
  }

  /// Ends the connections whose sessions sleep. An error does not matter: then the read timeout ends the
  /// wait.
  private func end(_ late: [Wait]) {
    let places = late.compactMap { wait in wait.place.map { (wait, $0) } }
    let list = places.map { "\($0.1.session)" as SQL }.joined(",")
    guard !places.isEmpty, let connection = try? DatabaseOpener.connectPlain(settings) else { return }
    guard
      let found = try? connection.run(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID IN (\(list)) AND COMMAND = 'Sleep'"
      ).rows
    else { return }
    let asleep = Set(found.map { $0.integer(0) })
    for (wait, place) in places where asleep.contains(place.session) {
      if wait.end(ifStill: place) { endings.withLock { $0 += 1 } }
    }
  }
}

/// The answer that a connection waits for. The watch's thread reads it while the connection's own thread is
/// blocked.
final class Wait: Sendable {
  /// Identifies one wait for one answer.
  struct Place: Equatable {
    let session: Int64
    let number: UInt64
  }

  private struct State {
    let socket: Int32
    let session: Int64
    var isClosed = false
    /// Whether the watch has ended the connection.
    var isEnded = false
    /// Whether the server owes an answer.
    var isPending = false
    /// Whether it has answered a part of the text.
    var hasAnswered = false
    /// Changes with each text and with each answer.
    var number: UInt64 = 0
    /// The number that the watch saw last, and since when. So an answer needs no look at the clock.
    var seen: (number: UInt64, since: ContinuousClock.Instant)?
  }

  private let state: Locked<State>

  init(socket: Int32, session: Int64) { state = Locked(State(socket: socket, session: session)) }

  func sent() {
    state.withLock { state in
      state.number &+= 1
      (state.isPending, state.hasAnswered) = (true, false)
    }
  }

  func answered(more: Bool) {
    state.withLock { state in
      state.number &+= 1
      (state.isPending, state.hasAnswered) = (more, true)
    }
  }

  /// Call this after a failure.
  func isOver() { state.withLock { $0.isPending = false } }

  /// Call this before the socket is closed, because another socket may get its number afterwards.
  func close() { state.withLock { $0.isClosed = true } }

  var isEnded: Bool { state.withLock { $0.isEnded } }

  var isPending: Bool { state.withLock { $0.isPending && !$0.isClosed } }

  /// Whether some answers to a text have arrived, but not the next one for a long time.
  ///
  /// Without any answer, the server may not have begun: with a pool of threads, the text waits while the
  /// session counts as asleep.
  func isLate(_ now: ContinuousClock.Instant) -> Bool {
    state.withLock { state in
      guard !state.isClosed, state.isPending, state.hasAnswered else { return false }
      guard let seen = state.seen, seen.number == state.number else {
        state.seen = (state.number, now)
        return false
      }
      return now - seen.since >= SessionWatch.timeout && Self.isSilent(state.socket)
    }
  }

  var place: Place? {
    state.withLock { $0.isClosed || !$0.isPending ? nil : Place(session: $0.session, number: $0.number) }
  }

  /// - Returns: Whether it ended the connection. The connection's own thread then notices a lost connection.
  func end(ifStill place: Place) -> Bool {
    state.withLock { state in
      guard !state.isClosed, state.isPending, state.number == place.number else { return false }
      state.isEnded = shutdown(state.socket, Int32(SHUT_RDWR)) == 0
      return state.isEnded
    }
  }

  /// Whether no data arrives. Over a slow network, a long answer arrives piece by piece after the session has
  /// gone to sleep.
  private static func isSilent(_ socket: Int32) -> Bool {
    #if os(Linux)
    var info = tcp_info()
    var length = socklen_t(MemoryLayout<tcp_info>.size)
    // A socket of another kind has no network that could be slow.
    guard getsockopt(socket, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return true }
    return info.tcpi_last_data_recv >= 1000
    #else
    return true
    #endif
  }
}
#endif
