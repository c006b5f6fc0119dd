#if MySQL
internal import Qudo

/// The positions from which claims read, when the beginnings of the indexes are full of deleted entries.
///
/// InnoDB removes deleted entries from an index only when no reader can see them any more. While another
/// session holds a snapshot, or the purge lags behind, each claim steps over all entries that were claimed
/// since: 60,000 of them cost it 10 ms, and a million 150 ms. So if reading from the beginning takes long,
/// the next claims begin where the last ones ended.
///
/// Such a bound is a hint. Below it, a job may still appear that no claim has seen: from an enqueue that
/// commits late because the server hung, from a row that another session had locked, or from another process
/// that releases a job. So a claim looks below the bounds, without locks, whenever ``pause(after:)`` is over
/// or ``most`` claims have passed, and when it finds less than it wants. What it finds there lowers the
/// bounds. Until then, later jobs may overtake a job below the bounds: for less than 2 s while fewer than
/// three million entries are in the way.
///
/// The look also measures the cost of stepping over the deleted entries. If that cost is low, something else
/// made the claims slow, such as the network, and the driver drops the bounds.
struct ScanCursors {
  /// The read time above which a claim may have stepped over many deleted entries.
  static let slow = Duration.milliseconds(3)
  /// The minimum cost of stepping over the deleted entries that makes bounds worth it.
  static let leastWalk = Duration.milliseconds(1)
  /// The maximum number of claims without a look below the bounds.
  static let most = 4096
  /// How long the driver waits before it tries bounds again that were of no use.
  static let rest = Duration.seconds(10)
  static let shortestPause = Duration.milliseconds(250)
  /// How long claims that find as many jobs as they want trust one that found nothing else to do within that time: see ``Trust``. The four
  /// subqueries would cost such a claim of one job 4 % of its time. A job that has expired does not begin all the same.
  static let trust = Duration.milliseconds(50)

  /// Returns the time until the next look below the bounds. Looks then take a twentieth of the time, and two
  /// pauses last less than 2 s; if a look takes very long, looks take a fifth of the time.
  static func pause(after walk: Duration) -> Duration {
    max(min(max(walk * 20, shortestPause), .milliseconds(900)), walk * 5)
  }

  struct Key: Comparable {
    let ranking: Int64
    let due: Int64
    let id: Int64
    init(ranking: Int64, due: Int64, id: Int64) { (self.ranking, self.due, self.id) = (ranking, due, id) }
    init(_ job: Candidate) { self.init(ranking: job.ranking, due: job.due, id: job.id) }
    static func < (a: Key, b: Key) -> Bool { (a.ranking, a.due, a.id) < (b.ranking, b.due, b.id) }

    /// "(...)", for rows from here on. It is not a row constructor, which the server would not look up in the
    /// index. Each arm names all of the columns: of `ranking >= 0 AND (due > ...)`, the server would look up
    /// only the ranking.
    fileprivate var andAbove: SQL {
      "(ranking > \(ranking) OR ranking = \(ranking) AND due > \(due) OR ranking = \(ranking) AND due = \(due) AND id >= \(id))"
    }
    fileprivate var below: SQL {
      "(ranking < \(ranking) OR ranking = \(ranking) AND due < \(due) OR ranking = \(ranking) AND due = \(due) AND id < \(id))"
    }
  }

  /// The bounds at which one claim begins; empty for a claim that reads from the beginning.
  struct View {
    fileprivate(set) var ready: [Int64: Key] = [:]
    /// Jobs that were due before this time have been promoted or claimed.
    fileprivate(set) var due: Int64?
    /// Leases that expired before this time are gone.
    fileprivate(set) var ends: Int64?
    /// Whether the claim also looks below the bounds.
    fileprivate(set) var looks = false
    /// The time up to which expiries do not count; nil to count all of them.
    var expiriesAfter: Int64?
    /// What the claim does not ask for; nil if it asks for everything.
    fileprivate(set) var trust: Trust?
    /// The cursors' `age` when the view was requested.
    fileprivate var age: UInt64 = 0
    var isWhole: Bool { ready.isEmpty && due == nil && ends == nil }

    /// "AND ..." for a kind's ready jobs from its bound on.
    func ready(_ kind: Int64) -> SQL { ready[kind].map { "AND \($0.andAbove)" } ?? "" }

    /// Returns the condition for a kind's ready jobs below its bound, if it has one.
    func below(_ kind: Int64) -> SQL? { ready[kind]?.below }

    /// Two columns: the first due time and the first lease expiry below the bounds.
    var timesBelow: SQL {
      let below = { (column: SQL, table: SQL, bound: Int64?) -> SQL in
        bound.map { "\(NextTimes.least(column, table)) WHERE \(column) < \($0))" } ?? "\(NextTimes.never)"
      }
      return "\(below("due", "qudo_delayed", due)), \(below("ends", "qudo_running", ends))"
    }

    /// "AND ..." for a kind's ready jobs between `found` and the bound.
    func ready(_ kind: Int64, from found: Key) -> SQL {
      ready[kind].map { "AND \(found.andAbove) AND \($0.below)" } ?? ""
    }

    var fromDue: SQL { due.map { "due >= \($0) AND" } ?? "" }
    var fromEnds: SQL { ends.map { "ends >= \($0) AND" } ?? "" }

    /// The query for the time, and ``times``.
    var next: SQL { "SELECT @n, \(times)" }

    /// Five columns: the next due time and the next lease expiry; whether there are pauses, and marks of cancelled
    /// jobs; and the next expiry of a job. All but the pauses are "none" if the claim trusts.
    var times: SQL {
      if trust != nil { return Self.onlyPauses }
      if due == nil, ends == nil, expiriesAfter == nil { return Self.unboundTimes }
      return "\(NextTimes.least("due", "qudo_delayed"))\(due.map { " WHERE due >= \($0)" } ?? "" as SQL)), "
        + "\(NextTimes.least("ends", "qudo_running"))\(ends.map { " WHERE ends >= \($0)" } ?? "" as SQL)), "
        + "\(NextTimes.least("kind", "qudo_pause"))), \(NextTimes.least("job", "qudo_cancel"))), "
        + "\(NextTimes.least("expires", "qudo_expiry"))\(expiriesAfter.map { " WHERE expires > \($0)" } ?? "" as SQL))"
    }

    private static let unboundTimes: SQL =
      """
      \(NextTimes.least("due", "qudo_delayed"))), \(NextTimes.least("ends", "qudo_running"))), \
      \(NextTimes.least("kind", "qudo_pause"))), \(NextTimes.least("job", "qudo_cancel"))), \
      \(NextTimes.least("expires", "qudo_expiry")))
      """
    private static let onlyPauses: SQL =
      """
      \(NextTimes.never), \(NextTimes.never), \(NextTimes.least("kind", "qudo_pause"))), \(NextTimes.never), \(NextTimes.never)
      """

    /// Returns the view of a claim that asks for everything.
    func asking() -> View {
      var view = self
      view.trust = nil
      return view
    }

    /// Lowers the bounds of the times to those that the look found.
    mutating func lower(to look: Look) {
      if let found = look.due { due = min(due ?? found, found) }
      if let found = look.ends { ends = min(ends ?? found, found) }
    }

    func looking() -> View {
      var view = self
      view.looks = !isWhole
      return view
    }
  }

  /// What the claims after one that asked trust for a moment: no running job is marked as cancelled, none has an expiry, no delayed job
  /// becomes due, and no lease expires. What another process changes meanwhile is seen when the trust ends.
  struct Trust {
    let until: ContinuousClock.Instant
    /// The next due time and lease expiry.
    fileprivate(set) var due, end: Int64?
  }

  /// The first jobs and times that a look below the bounds found.
  struct Look {
    var ready: [Int64: Key] = [:]
    var due: Int64?
    var ends: Int64?
    /// How long the look took on the server.
    var walk = Duration.zero
  }

  private let slow: Duration
  private let leastWalk: Duration
  private let trustLasts: Duration

  /// - Parameters:
  ///   - slow: The read time above which a claim may have stepped over many deleted entries.
  ///   - leastWalk: How long a look below the bounds must take for the bounds to stay.
  ///   - trust: How long the driver trusts a claim that found nothing else to do.
  init(slow: Duration = Self.slow, leastWalk: Duration = Self.leastWalk, trust: Duration = Self.trust) {
    (self.slow, self.leastWalk, trustLasts) = (slow, leastWalk, trust)
  }

  /// The cursors of a driver whose test sets the time: the speed of the server decides nothing.
  static let forTests = ScanCursors(slow: .seconds(3600), trust: .zero)

  /// Whether claims begin at the bounds.
  private(set) var isOn = false
  /// The number of consecutive slow claims from the beginning. A single one may be chance.
  private var slowScans = 0
  private var ready: [Int64: Key] = [:]
  private var due: Int64?
  private var ends: Int64?
  /// The number of times that jobs entered, and for each kind this number at its last entry.
  private var age: UInt64 = 0
  private var entries: [Int64: UInt64] = [:]
  /// Whether the last claim found expired leases or due delayed jobs. If so, the next one may find some as
  /// well.
  var sweeps = false
  /// Whether the last claim found as many jobs as it wanted. If so, the next one may as well.
  var fills = false
  private var trust: Trust?
  private var lastLook: ContinuousClock.Instant?
  private var claims = 0
  private var pause = Self.shortestPause
  private var restsUntil: ContinuousClock.Instant?

  /// The bounds, for a read that is no claim.
  var bounds: View {
    var view = View()
    if isOn { view.ready = ready }
    return view
  }

  mutating func view(_ now: ContinuousClock.Instant) -> View {
    var view = View()
    view.age = age
    if fills, let trust, now < trust.until { view.trust = trust }
    guard isOn else { return view }
    (view.ready, view.due, view.ends) = (ready, due, ends)
    claims += 1
    guard view.isWhole || isLookDue(now) else { return view }
    noteLook(now)
    return view.looking()
  }

  private func isLookDue(_ now: ContinuousClock.Instant) -> Bool {
    claims > Self.most || lastLook.map { now - $0 >= pause } ?? true
  }

  private mutating func noteLook(_ now: ContinuousClock.Instant) { (lastLook, claims) = (now, 0) }

  /// Decides whether a claim that found fewer jobs than it wants looks below the bounds: only if half of the
  /// pause has passed since the last look.
  mutating func mayLook(_ now: ContinuousClock.Instant) -> Bool {
    if let lastLook, now - lastLook < pause / 2 { return false }
    noteLook(now)
    return true
  }

  /// Begins to set bounds.
  mutating func turnOn(_ now: ContinuousClock.Instant) {
    (isOn, slowScans, pause) = (true, 0, Self.shortestPause)
    noteLook(now)
  }

  private mutating func turnOff(_ now: ContinuousClock.Instant) {
    (isOn, ready, due, ends, restsUntil) = (false, [:], nil, nil, now + Self.rest)
  }

  /// Notes the result of a claim after its commit. A claim that was rolled back has passed nothing.
  ///
  /// - Parameters:
  ///   - view: The view at which the claim began.
  ///   - took: How long its reads took.
  ///   - look: The findings below the bounds, if it looked there.
  ///   - due: The time of the transaction, if it handled all jobs that were due by then.
  ///   - ends: The first expiry among the leases that it did not recover.
  ///   - last: The last ready job that it took, for each kind.
  mutating func claimed(
    from view: View, took: Duration, look: Look?, due: Int64?, ends: Int64?,
    last: @autoclosure () -> [Int64: Key], _ now: ContinuousClock.Instant
  ) {
    if !isOn {
      let isResting = restsUntil.map { now < $0 } ?? false
      slowScans = took > slow && !isResting ? slowScans + 1 : 0
      guard slowScans >= 2 else { return }
      turnOn(now)
    }
    let last = last()
    if let look {
      guard look.walk >= leastWalk else { return turnOff(now) }
      pause = Self.pause(after: look.walk)
      // Claims in progress may get past these jobs, and must not raise the bounds then.
      if !look.ready.isEmpty { age += 1 }
      for (kind, key) in look.ready {
        entries[kind] = age
        ready[kind] = min(ready[kind] ?? key, last[kind] ?? key)
      }
      if let found = look.due, let bound = self.due { self.due = min(bound, found) }
      if let found = look.ends, let bound = self.ends { self.ends = min(bound, found) }
    }
    // Jobs that entered while the claim was reading may lie before its last job.
    for (kind, key) in last where entries[kind, default: 0] <= view.age {
      ready[kind] = max(ready[kind] ?? key, key)
    }
    if let due { self.due = max(self.due ?? due, due) }
    if let ends { self.ends = max(self.ends ?? ends, ends) }
  }

  /// Notes what a claim which asked has found.
  ///
  /// - Parameter time: The time of its transaction.
  mutating func asked(_ next: NextTimes, _ time: Timestamp, _ now: ContinuousClock.Instant) {
    let soon = time.advanced(by: trustLasts).microseconds
    let isQuiet =
      !next.hasMarks && next.expiry == nil && next.due ?? .max > soon && next.end ?? .max > soon
    trust = isQuiet ? Trust(until: now + trustLasts, due: next.due, end: next.end) : nil
  }

  /// Lowers the bounds for this driver's own new jobs, which may lie below them, and for its leases, which
  /// may expire before them.
  ///
  /// Call this once when they exist: after the commit, or earlier if the same transaction claims.
  mutating func entered(_ jobs: Entries) {
    if let lease = jobs.ends, let bound = ends { ends = min(bound, lease) }
    if jobs.endTrust { trust = nil }
    if let lease = jobs.ends, let known = trust { trust?.end = min(known.end ?? lease, lease) }
    guard !jobs.lowest.isEmpty else { return }
    age += 1
    for (kind, lowest) in jobs.lowest {
      entries[kind] = age
      guard let key = ready[kind] else { continue }
      if let ranking = lowest.ranking, ranking < key.ranking {
        ready[kind] = Key(ranking: ranking, due: .min, id: .min)
      }
      if let old = lowest.key { ready[kind] = min(ready[kind] ?? old, old) }
    }
  }

  /// The best of the jobs that entered, for each kind, and the first expiry of the new leases.
  struct Entries {
    fileprivate struct Lowest {
      /// The lowest ranking of new jobs, which are due when they enter.
      var ranking: Int64?
      /// The lowest key of jobs that come before others of their ranking.
      var key: Key?
    }
    fileprivate var lowest: [Int64: Lowest] = [:]
    fileprivate var ends: Int64?
    /// Whether the transaction has marked jobs as cancelled, given them an expiry, or delayed them.
    var endTrust = false
    /// The previous addition.
    private var last: (kind: Int64, ranking: Int64)?

    mutating func add(_ kind: Int64, ranking: Int64) {
      if let last, last == (kind, ranking) { return }
      last = (kind, ranking)
      let before = lowest[kind]?.ranking ?? ranking
      lowest[kind, default: Lowest()].ranking = min(before, ranking)
    }

    mutating func add(_ kind: Int64, _ key: Key) {
      let before = lowest[kind]?.key ?? key
      lowest[kind, default: Lowest()].key = min(before, key)
    }

    mutating func add(lease end: Int64) { ends = min(ends ?? end, end) }
  }
}
#endif
