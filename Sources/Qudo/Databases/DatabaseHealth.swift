/// The health of one database, as a pure state machine without tasks, locks or clock. Times are in
/// microseconds since the boot.
///
///     unopened ──┐
///       live ────┼── failure ──> unavailable ── probe interval over ──> probing ──> live or unavailable
///                └── close ────> closed
struct DatabaseHealth: Sendable {
  enum State: Equatable, Sendable {
    /// It was never called: like live, but it must be opened first.
    case unopened
    case live
    /// It is skipped until this time, as long as others are live.
    case unavailable(until: Int64)
    /// One caller probes whether it works again.
    case probing
    case closed
  }

  /// If a database owes an answer for longer than this, enqueues try the others first.
  static let slow: Int64 = 1_000_000

  private(set) var state: State
  /// The reason why it is not live.
  private(set) var failure: QudoError?
  /// The probe interval.
  private let retry: Int64
  /// The number of unanswered calls.
  private var owed = 0
  /// The time of the first unanswered call, or of the last answer if that came later.
  private var quietSince: Int64 = 0

  init(isOpen: Bool, retry: Int64) {
    state = isOpen ? .live : .unopened
    self.retry = retry
  }

  /// Whether an enqueue may use it without a probe.
  var isUsable: Bool { state == .live || state == .unopened }

  /// Returns whether it is time for a probe.
  func isDue(_ now: Int64) -> Bool {
    guard case .unavailable(let until) = state else { return false }
    return now >= until
  }

  /// Returns whether calls are unanswered and no answer has come for a while.
  func isSlow(_ now: Int64) -> Bool { owed > 0 && now - quietSince > Self.slow }

  /// - Returns: Whether the caller must probe. There is only one probe at a time.
  mutating func beginProbe() -> Bool {
    guard case .unavailable = state else { return false }
    state = .probing
    return true
  }

  /// Notes that a call was sent.
  mutating func asked(_ now: Int64) {
    if owed == 0 { quietSince = now }
    owed += 1
  }

  /// Notes that a call was answered, in time or late.
  mutating func answered(_ now: Int64) {
    owed = max(0, owed - 1)
    quietSince = now
  }

  /// - Parameter isProbe: Whether the call was a probe; older unanswered calls then no longer count.
  /// - Returns: Whether the database was unavailable before.
  mutating func succeeded(isProbe: Bool = false) -> Bool {
    if isProbe { owed = 0 }
    guard state != .closed else { return false }
    defer { (state, failure) = (.live, nil) }
    return failure != nil
  }

  /// - Returns: Whether the database counted as usable before.
  mutating func failed(_ error: QudoError, now: Int64) -> Bool {
    guard state != .closed else { return false }
    // An error that says nothing about the database still ends a probe, without a result.
    guard error.setsAside || state == .probing else { return false }
    let wasLive = isUsable
    let (until, isTooLate) = now.addingReportingOverflow(retry)
    state = .unavailable(until: isTooLate ? .max : until)
    failure = error
    return wasLive
  }

  mutating func close() { state = .closed }
}
