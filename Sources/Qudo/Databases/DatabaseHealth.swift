/// Whether a database is to be asked: what is known of it, without a task, a database or a clock of its own. Times are in
/// microseconds since the boot.
///
///     unopened ──┐
///       live ────┼── trouble ──> set aside until a time ── that time comes ──> probing ──> live, or set aside anew
///                └── close ────> closed
struct DatabaseHealth: Sendable {
  enum State: Equatable, Sendable {
    /// It was never asked: as good as live, but has to be opened first.
    case unopened
    case live
    /// Nobody asks it before this time, as long as others are live.
    case setAside(until: Int64)
    /// One caller finds out whether it is there again.
    case probing
    case closed
  }

  /// A database that owes an answer for longer than this is asked after the others.
  static let slow: Int64 = 1_000_000

  private(set) var state: State
  /// Why it is not live.
  private(set) var failure: QudoError?
  /// How long it is set aside.
  private let retry: Int64
  /// Calls that are not answered.
  private var owed = 0
  /// When the first of them was made, or the last answer came.
  private var quietSince: Int64 = 0

  init(isOpen: Bool, retry: Int64) {
    state = isOpen ? .live : .unopened
    self.retry = retry
  }

  /// Whether an enqueue may go to it without finding out first.
  var isUsable: Bool { state == .live || state == .unopened }

  /// Whether it is time to find out.
  func isDue(_ now: Int64) -> Bool {
    guard case .setAside(let until) = state else { return false }
    return now >= until
  }

  /// Whether it owes an answer and has given none for a while.
  func isSlow(_ now: Int64) -> Bool { owed > 0 && now - quietSince > Self.slow }

  /// - Returns: whether the caller is the one who is to find out. Only one is at a time.
  mutating func beginProbe() -> Bool {
    guard case .setAside = state else { return false }
    state = .probing
    return true
  }

  /// A call is on its way.
  mutating func asked(_ now: Int64) {
    if owed == 0 { quietSince = now }
    owed += 1
  }

  /// A call was answered, in time or late.
  mutating func answered(_ now: Int64) {
    owed = max(0, owed - 1)
    quietSince = now
  }

  /// - Parameter isProbe: then what is still owed from before says nothing any more.
  /// - Returns: whether it was not live before.
  mutating func succeeded(isProbe: Bool = false) -> Bool {
    if isProbe { owed = 0 }
    guard state != .closed else { return false }
    defer { (state, failure) = (.live, nil) }
    return failure != nil
  }

  /// - Returns: whether it was taken for live before.
  mutating func failed(_ error: QudoError, now: Int64) -> Bool {
    guard state != .closed else { return false }
    // An error that says nothing of the database ends a probe without a result.
    guard error.setsAside || state == .probing else { return false }
    let wasLive = isUsable
    let (until, isTooLate) = now.addingReportingOverflow(retry)
    state = .setAside(until: isTooLate ? .max : until)
    failure = error
    return wasLive
  }

  mutating func close() { state = .closed }
}
