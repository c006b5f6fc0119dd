#if MySQL
internal import Qudo

/// A row of `qudo_running`.
struct RunningRow {
  let id: Int64
  let ends: Int64
  let token: Int64
  let kind: Int64
  let ranking: Int64
  let due: Int64
  let lostLimit: Int64
  /// The number of the kind that a final failure of the job enqueues, 0 for none; nil if it was not read.
  var target: Int64?

  static let columns: SQL = "id, ends, token, kind, ranking, due, lost_limit"

  init(_ row: Row) {
    id = row.integer(0)
    ends = row.integer(1)
    token = row.integer(2)
    kind = row.integer(3)
    ranking = row.integer(4)
    due = row.integer(5)
    lostLimit = row.integer(6)
  }

  /// The hold on the job's unique key. All jobs of a claim have the same token. If one of them may hold a
  /// key, the driver treats each of them as if it did.
  var hold: KeyHold {
    if ClaimedRows.mayRest(token) { return .rests }
    return ClaimedRows.mayHoldKeys(token) ? .untilFinished : .none
  }

  /// Whether the job may have an expiry. If one job of a claim may, the driver treats each of them as if it did.
  var mayExpire: Bool { ClaimedRows.mayExpire(token) }

  /// Whether the job may have a concurrency key. If one job of a claim may, the driver treats each of them as if it did.
  var mayBeKeyed: Bool { ClaimedRows.mayBeKeyed(token) }

  /// Whether the job may have a row in `qudo_group`. If one job of a claim may, the driver treats each of them as if it did.
  var mayBeGrouped: Bool { ClaimedRows.mayBeGrouped(token) || hasPlace }

  /// Whether the job has just got a place among groups.
  var hasPlace = false

  /// Whether a final failure keeps more than the columns that each job has.
  var isLoggedWithKeys: Bool { mayBeKeyed || mayBeGrouped }

  /// The column `flags` of the job when it waits again.
  var flags: Int64 {
    hold.rawValue | (mayExpire ? ExpiryRows.bit : 0) | (mayBeKeyed ? KeyRows.bit : 0)
      | (mayBeGrouped ? GroupRows.bit : 0)
  }

  /// Returns statements that lock the rows of leases, at the expiry times that the leases state. They wait
  /// for another session that has locked the rows: a claim that recovers them, or another settlement.
  ///
  /// - Parameter routed: Whether they return the rows' ``target``, too.
  static func lock(_ leases: some Sequence<Lease>, routed: Bool = false) -> [SQL] {
    lock(leases.map { ($0.expiresAt, $0.job) }, routed: routed)
  }

  static func lock(_ places: [(ends: Int64, id: Int64)], routed: Bool = false) -> [SQL] {
    let target: SQL = routed ? ", \(FailureRoutes.target("qudo_running.kind"))" : ""
    return conditions(places).map {
      "SELECT \(columns)\(target) FROM qudo_running WHERE \($0.condition) FOR UPDATE"
    }
  }

  /// Returns conditions that find rows by their key. The key begins with the expiry time. So the leases that
  /// expire first are found without a separate index, which each claim and each settlement would pay for.
  static func conditions(_ places: [(ends: Int64, id: Int64)]) -> [(condition: SQL, count: Int)] {
    var points = PointPredicate()
    for (ends, id) in places.sorted(by: { $0 < $1 }) { points.add("ends = \(ends)", id) }
    return points.counted
  }
}

/// An expired lease.
struct EndedLease {
  let row: RunningRow
  /// The number of earlier expired leases of the job. The job's row holds it, and it is read only now.
  let lost: Int64
  /// The job's expiry; ``ExpiryRows/never`` for never.
  let expires: Int64

  /// The expiry is read only of jobs that may have one.
  static let columns: SQL =
    """
    \(RunningRow.columns), (SELECT lost FROM qudo_job WHERE qudo_job.id = qudo_running.id),
    IF(token & \(ClaimedRows.expiryBit) = 0, \(ExpiryRows.never), (SELECT COALESCE(expires, \(ExpiryRows.never)) FROM qudo_job WHERE qudo_job.id = qudo_running.id))
    """

  /// Whether the job is missing.
  let isJobless: Bool
  /// The message for the failure log if the job is marked as cancelled; otherwise nil.
  let cancelled: String?

  /// - Parameter messages: The messages of the marked jobs.
  init(_ row: Row, _ messages: [Int64: String]) {
    self.row = RunningRow(row)
    cancelled = messages.isEmpty ? nil : messages[self.row.id]
    let lost = row.integerIfAny(7)
    // Unknown if the server was told to stop: then the claim's own check finds a job that has expired.
    expires = row.integerIfAny(8) ?? ExpiryRows.never
    (self.lost, isJobless) = (lost ?? 0, lost == nil)
  }

  var isTheLast: Bool { lost.clampedPlus(1) >= row.lostLimit }

  /// How the job ends if it was lost or is cancelled.
  var end: (reason: FailureReason, message: String) {
    if let cancelled { return (.cancelled, cancelled) }
    return (.lost, "the lease was lost \(lost.clampedPlus(1)) times: the worker died or hung each time")
  }
}

extension Transaction {
  /// Returns when a lease that begins now expires, by the server's clock: it is the only clock that all
  /// machines of a fleet share. If it is set forward, leases expire early; if it is set back, late. A restart
  /// of the server ends no lease.
  func end(of lease: Duration) -> Int64 {
    min(now.microseconds.clampedPlus(lease.wholeMicroseconds), .max - 1)
  }

  func renew(_ leases: [Lease], for duration: Duration) throws(QudoError) -> [Lease?] {
    guard !leases.isEmpty else { return [] }
    let running = try running(under: leases, try read(RunningRow.lock(leases)))
    let ends = end(of: duration)
    let good = Set(leases.filter { running[$0.job]?.token == $0.token }.map(\.job)).compactMap { running[$0] }
    if !good.isEmpty { entries.add(lease: ends) }
    for (condition, count) in RunningRow.conditions(good.map { ($0.ends, $0.id) }) {
      write("UPDATE qudo_running SET ends = \(ends) WHERE \(condition)", count: count)
    }
    return leases.map {
      running[$0.job]?.token == $0.token
        ? Lease(job: $0.job, token: $0.token, holder: 0, expiresAt: ends) : nil
    }
  }

  /// Locks and returns the rows of the leases that are still valid.
  ///
  /// The row of a lease may not be at the expiry time that the lease states: the lease is lost, or it was
  /// renewed and its holder does not know that yet. Then this method searches all running jobs, without
  /// waiting for any of them.
  ///
  /// - Parameters:
  ///   - found: The results of ``RunningRow/lock(_:routed:)``.
  ///   - routed: Whether these have the rows' ``RunningRow/target``.
  func running(
    under leases: some Collection<Lease>, _ found: some Sequence<Rows>, routed: Bool = false
  ) throws(QudoError) -> [Int64: RunningRow] {
    var running: [Int64: RunningRow] = [:]
    func add(_ rows: Rows) {
      while let next = rows.next() {
        var row = RunningRow(next)
        if routed { row.target = next.integerIfAny(7) }
        running[row.id] = row
      }
    }
    for rows in found { add(rows) }
    // Repeat this, because a renewal may be committed between the look and the lock.
    for _ in 0..<10 {
      var rest: [Int64: Set<Int64>] = [:]
      for lease in leases where running[lease.job]?.token != lease.token {
        rest[lease.job, default: []].insert(lease.token)
      }
      guard !rest.isEmpty else { return running }
      let looks = rest.keys.sorted().parts().map {
        "SELECT ends, id, token FROM qudo_running WHERE id IN \(list: $0)" as SQL
      }
      let places = try read(looks).flatMap { rows in
        rows.map { (ends: $0.integer(0), id: $0.integer(1), token: $0.integer(2)) }
      }
      let elsewhere = places.filter { rest[$0.id]?.contains($0.token) == true }.map {
        (ends: $0.ends, id: $0.id)
      }
      guard !elsewhere.isEmpty else { return running }
      for rows in try read(RunningRow.lock(elsewhere, routed: routed)) { add(rows) }
    }
    throw QudoError(.busy, "other sessions kept renewing the leases during the lookup: try again later")
  }
}
#endif
