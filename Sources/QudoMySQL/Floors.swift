#if MySQL
internal import Qudo

/// Where claims begin to read when the beginnings of the indexes are full of what is gone.
///
/// InnoDB removes deleted entries from an index only when no reader can see them any more. While somebody reads for long, or
/// the purge lags behind, each claim steps over all that was claimed since: with a million of them 57 jobs were claimed in
/// a second instead of thousands. So when claims that read from the beginning take long, the next ones begin where they came
/// to. A job that another process enqueues with a higher priority than those that wait lies before that floor, and so does
/// one whose claim was rolled back: once in a while a claim reads from the beginning again, the sooner the less that costs.
/// So such a job may be overtaken for 2 s, or 20 s where a whole read takes a second, and never is while claims are quick.
struct Floors {
  /// A claim that takes longer than this to read has stepped over much.
  static let slow = Duration.milliseconds(100)
  /// How long to go on without reading from the beginning: so that this takes a twentieth of the time.
  static func pause(after took: Duration) -> Duration { min(max(.seconds(2), took * 20), .seconds(20)) }

  struct Key: Comparable {
    let ranking: Int64
    let due: Int64
    let id: Int64
    init(ranking: Int64, due: Int64, id: Int64) { (self.ranking, self.due, self.id) = (ranking, due, id) }
    init(_ job: Candidate) { self.init(ranking: job.ranking, due: job.due, id: job.id) }
    static func < (a: Key, b: Key) -> Bool { (a.ranking, a.due, a.id) < (b.ranking, b.due, b.id) }
  }

  /// What one claim begins at; empty for one that reads from the beginning.
  struct View {
    fileprivate(set) var ready: [Int64: Key] = [:]
    var isWhole: Bool { ready.isEmpty && time == nil }
    /// How many jobs had entered when it was asked for.
    fileprivate var age: UInt64 = 0
    /// What ended, and what was due, before this time has been dealt with.
    fileprivate(set) var time: Int64?

    /// "AND ..." for a kind's ready jobs. Not a row constructor, which is not looked up in the index; and each arm has all of
    /// the columns, for from `ranking >= 0 AND (due > ...)` only the ranking would be.
    func ready(_ kind: Int64) -> SQL {
      guard let key = ready[kind] else { return "" }
      return """
        AND (ranking > \(key.ranking) OR ranking = \(key.ranking) AND due > \(key.due)
        OR ranking = \(key.ranking) AND due = \(key.due) AND id >= \(key.id))
        """
    }

    /// `column >= ... AND`, or nothing.
    func times(_ column: SQL) -> SQL { time.map { "\(column) >= \($0) AND" } ?? "" }

    /// The time, when the next delayed job is due, and when the next lease ends.
    var next: SQL { "SELECT @n, \(times)" }

    /// Two columns: when the next delayed job is due, and when the next lease ends.
    var times: SQL {
      guard let time else { return "(SELECT MIN(due) FROM qudo_delayed), (SELECT MIN(ends) FROM qudo_running)" }
      return "(SELECT MIN(due) FROM qudo_delayed WHERE due >= \(time)), (SELECT MIN(ends) FROM qudo_running WHERE ends >= \(time))"
    }
  }

  private let slow: Duration

  /// - Parameter slow: what a claim takes longer for that has stepped over much.
  init(slow: Duration = Self.slow) { self.slow = slow }

  /// How many claims from the beginning were slow, one after the other. One may have been by chance.
  private var slowScans = 0
  private var isSlow: Bool { slowScans >= 2 }
  private var ready: [Int64: Key] = [:]
  private var time: Int64?
  /// How often jobs entered, and for each kind when that was the last time.
  private var age: UInt64 = 0
  private var entries: [Int64: UInt64] = [:]
  /// Whether the last claim found leases that had ended or jobs that were due: the next one may as well.
  var sweeps = false
  /// Whether the last claim found as many as it wanted: the next one may as well.
  var fills = false
  private var lastScan: ContinuousClock.Instant?
  private var scanTook = Duration.zero

  mutating func view(_ now: ContinuousClock.Instant) -> View {
    var view = View()
    view.age = age
    guard isSlow, let lastScan, now - lastScan < Self.pause(after: scanTook) else {
      lastScan = now
      return view
    }
    (view.ready, view.time) = (ready, time)
    return view
  }

  /// Of a claim that reads all once more.
  func whole() -> View {
    var view = View()
    view.age = age
    return view
  }

  /// Whether a claim that found some, but less than it wants, is to read from the beginning: if that is half of the pause ago.
  mutating func mayScan(_ now: ContinuousClock.Instant) -> Bool {
    if let lastScan, now - lastScan < Self.pause(after: scanTook) / 2 { return false }
    lastScan = now
    return true
  }

  /// - Parameters:
  ///   - view: what the claim began at.
  ///   - took: how long it read.
  ///   - time: of the transaction, if it dealt with all that had ended or was due.
  ///   - last: for each kind the last job that it took from the ready.
  mutating func claimed(from view: View, took: Duration, time: Int64?, last: [Int64: Key]) {
    if view.isWhole {
      slowScans = took > slow ? slowScans + 1 : 0
      scanTook = took
      ready = [:]
      self.time = nil
    }
    guard isSlow else { return }
    // What entered while the claim read may lie before what it came to.
    ready.merge(last.filter { entries[$0.key, default: 0] <= view.age }) { max($0, $1) }
    if let time { self.time = max(self.time ?? time, time) }
  }

  /// Jobs of this driver's own that may lie before the floor.
  ///
  /// To be told once when they are there, which is after the commit, and before if the same transaction claims.
  mutating func entered(_ jobs: Entries) {
    guard !jobs.best.isEmpty else { return }
    age += 1
    for (kind, ranking) in jobs.best {
      entries[kind] = age
      if let key = ready[kind], ranking.map({ $0 < key.ranking }) ?? true { ready[kind] = nil }
    }
  }

  /// For each kind the ranking of the best job that entered; nil where one is old, and may lie before all others.
  struct Entries {
    fileprivate var best: [Int64: Int64?] = [:]
    /// What was added before.
    private var last: (kind: Int64, ranking: Int64, isOld: Bool)?

    mutating func add(_ kind: Int64, ranking: Int64, isOld: Bool) {
      if let last, last == (kind, ranking, isOld) { return }
      last = (kind, ranking, isOld)
      switch best[kind] {
      case nil: best[kind] = .some(isOld ? nil : ranking)
      case .some(nil): break
      case .some(let before?): best[kind] = .some(isOld ? nil : min(before, ranking))
      }
    }
  }
}
#endif
