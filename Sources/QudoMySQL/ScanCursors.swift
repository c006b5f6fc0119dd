#if MySQL
internal import Qudo

/// Where claims begin to read when the beginnings of the indexes are full of what is gone.
///
/// InnoDB removes deleted entries from an index only when no reader can see them any more. While another session holds a
/// snapshot, or the purge lags behind, each claim steps over all that was claimed since: 60,000 of them cost it 10 ms, and
/// a million 150 ms. So when reading from the beginning takes long, the next claims begin where the last ones came to.
///
/// Such a bound is a hint. What a claim has passed may still appear below it: an enqueue that commits late because the
/// server hung, a row that another session had locked, a job that another process gives back. So a claim looks below the
/// bounds, without locks, whenever ``pause(after:)`` is over or ``most`` claims have gone by, and when it finds less than it
/// wants. What it finds there lowers the bounds. A job below them may be overtaken until then: for less than 2 s while
/// fewer than three million entries are in the way.
///
/// The look also tells what stepping over them costs. Where that is little, something else made the claims slow, such as the
/// network, and the bounds are given up.
struct ScanCursors {
  /// A claim that takes longer than this to read may have stepped over much.
  static let slow = Duration.milliseconds(3)
  /// What stepping over all that is gone must cost for bounds to be worth it.
  static let leastWalk = Duration.milliseconds(1)
  /// How many claims go without a look below the bounds.
  static let most = 4096
  /// How long bounds that were of no use are not tried again.
  static let rest = Duration.seconds(10)
  static let shortestPause = Duration.milliseconds(250)

  /// How long to go on without a look below the bounds: so that it takes a twentieth of the time, and two pauses take less than
  /// 2 s; where a look takes very long, a fifth.
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

    /// "(...)", for rows from here on. Not a row constructor, which is not looked up in the index; and each arm has all of the
    /// columns, for from `ranking >= 0 AND (due > ...)` only the ranking would be.
    fileprivate var andAbove: SQL {
      "(ranking > \(ranking) OR ranking = \(ranking) AND due > \(due) OR ranking = \(ranking) AND due = \(due) AND id >= \(id))"
    }
    fileprivate var below: SQL {
      "(ranking < \(ranking) OR ranking = \(ranking) AND due < \(due) OR ranking = \(ranking) AND due = \(due) AND id < \(id))"
    }
  }

  /// What one claim begins at; empty for one that reads from the beginning.
  struct View {
    fileprivate(set) var ready: [Int64: Key] = [:]
    /// What was due before this time has been dealt with.
    fileprivate(set) var due: Int64?
    /// Leases that ended before this time are gone.
    fileprivate(set) var ends: Int64?
    /// Whether the claim looks below the bounds too.
    fileprivate(set) var looks = false
    /// How many jobs had entered when it was asked for.
    fileprivate var age: UInt64 = 0
    var isWhole: Bool { ready.isEmpty && due == nil && ends == nil }

    /// "AND ..." for a kind's ready jobs.
    func ready(_ kind: Int64) -> SQL { ready[kind].map { "AND \($0.andAbove)" } ?? "" }

    /// What lies below a kind's bound, if it has one.
    func below(_ kind: Int64) -> SQL? { ready[kind]?.below }

    /// Two columns: what is due, and ends, below the bounds.
    var timesBelow: SQL {
      let below = { (column: SQL, table: SQL, bound: Int64?) -> SQL in
        bound.map { "\(NextTimes.least(column, table)) WHERE \(column) < \($0))" } ?? "\(NextTimes.never)"
      }
      return "\(below("due", "qudo_delayed", due)), \(below("ends", "qudo_running", ends))"
    }

    /// "AND ..." for those that were found below.
    func ready(_ kind: Int64, from found: Key) -> SQL {
      ready[kind].map { "AND \(found.andAbove) AND \($0.below)" } ?? ""
    }

    var fromDue: SQL { due.map { "due >= \($0) AND" } ?? "" }
    var fromEnds: SQL { ends.map { "ends >= \($0) AND" } ?? "" }

    /// The time, when the next delayed job is due, and when the next lease ends.
    var next: SQL { "SELECT @n, \(times)" }

    /// Two columns: when the next delayed job is due, and when the next lease ends.
    var times: SQL {
      "\(NextTimes.least("due", "qudo_delayed"))\(due.map { " WHERE due >= \($0)" } ?? "" as SQL)), "
        + "\(NextTimes.least("ends", "qudo_running"))\(ends.map { " WHERE ends >= \($0)" } ?? "" as SQL))"
    }

    /// Takes what was found below the times' bounds.
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

  /// What a look below the bounds found first.
  struct Look {
    var ready: [Int64: Key] = [:]
    var due: Int64?
    var ends: Int64?
    /// How long it took the server.
    var walk = Duration.zero
  }

  private let slow: Duration
  private let leastWalk: Duration

  /// - Parameters:
  ///   - slow: what a claim takes longer for that may have stepped over much.
  ///   - leastWalk: what a look below the bounds must take for them to be kept.
  init(slow: Duration = Self.slow, leastWalk: Duration = Self.leastWalk) {
    (self.slow, self.leastWalk) = (slow, leastWalk)
  }

  /// Whether claims begin at the bounds.
  private(set) var isOn = false
  /// How many claims from the beginning were slow, one after the other. One may have been by chance.
  private var slowScans = 0
  private var ready: [Int64: Key] = [:]
  private var due: Int64?
  private var ends: Int64?
  /// How often jobs entered, and for each kind when that was the last time.
  private var age: UInt64 = 0
  private var entries: [Int64: UInt64] = [:]
  /// Whether the last claim found leases that had ended or jobs that were due: the next one may as well.
  var sweeps = false
  /// Whether the last claim found as many as it wanted: the next one may as well.
  var fills = false
  private var lastLook: ContinuousClock.Instant?
  private var claims = 0
  private var pause = Self.shortestPause
  private var restsUntil: ContinuousClock.Instant?

  mutating func view(_ now: ContinuousClock.Instant) -> View {
    var view = View()
    view.age = age
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

  /// Whether a claim that found some, but less than it wants, is to look below the bounds: if that was half of the pause ago.
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

  /// What a claim came to, once that is committed: one that is rolled back has passed nothing.
  ///
  /// - Parameters:
  ///   - view: what the claim began at.
  ///   - took: how long it read.
  ///   - look: what it found below the bounds, if it looked.
  ///   - due: the time of the transaction, if it dealt with all that was due by then.
  ///   - ends: when the first lease ends that it did not take back.
  ///   - last: for each kind the last job that it took from the ready.
  mutating func claimed(
    from view: View, took: Duration, look: Look?, due: Int64?, ends: Int64?, last: [Int64: Key],
    _ now: ContinuousClock.Instant
  ) {
    if !isOn {
      let isResting = restsUntil.map { now < $0 } ?? false
      slowScans = took > slow && !isResting ? slowScans + 1 : 0
      guard slowScans >= 2 else { return }
      turnOn(now)
    }
    if let look {
      guard look.walk >= leastWalk else { return turnOff(now) }
      pause = Self.pause(after: look.walk)
      // Claims that are on their way may come to more than this: they do not raise the bounds.
      if !look.ready.isEmpty { age += 1 }
      for (kind, key) in look.ready {
        entries[kind] = age
        ready[kind] = min(ready[kind] ?? key, last[kind] ?? key)
      }
      if let found = look.due, let bound = self.due { self.due = min(bound, found) }
      if let found = look.ends, let bound = self.ends { self.ends = min(bound, found) }
    }
    // What entered while the claim read may lie before what it came to.
    for (kind, key) in last where entries[kind, default: 0] <= view.age {
      ready[kind] = max(ready[kind] ?? key, key)
    }
    if let due { self.due = max(self.due ?? due, due) }
    if let ends { self.ends = max(self.ends ?? ends, ends) }
  }

  /// Jobs of this driver's own that may lie below the bounds, and leases that may end before them.
  ///
  /// To be told once when they are there, which is after the commit, and before if the same transaction claims.
  mutating func entered(_ jobs: Entries) {
    if let lease = jobs.ends, let bound = ends { ends = min(bound, lease) }
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

  /// For each kind the best of the jobs that entered, and when the first of the new leases ends.
  struct Entries {
    fileprivate struct Lowest {
      /// Of the new ones, which are due when they enter.
      var ranking: Int64?
      /// Of those that come before others of their ranking.
      var key: Key?
    }
    fileprivate var lowest: [Int64: Lowest] = [:]
    fileprivate var ends: Int64?
    /// What was added before.
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
