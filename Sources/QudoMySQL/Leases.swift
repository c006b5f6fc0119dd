#if MySQL
internal import Qudo

/// A row of the running.
struct RunningRow {
  let id: Int64
  let ends: Int64
  let token: Int64
  let kind: Int64
  let ranking: Int64
  let due: Int64
  let lostLimit: Int64

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

  /// What is kept of the job's unique key. Jobs that were claimed together are told apart by nothing but their rows: if one of them
  /// holds a key, each of them counts as one that does.
  var hold: KeyHold { ClaimedRows.mayHoldKeys(token) ? .untilFinished : .none }

  /// Looks where the leases say that they end. Waits for whoever has the rows locked: a claim that takes them back, or another who
  /// settles them.
  static func lock(_ leases: some Sequence<Lease>) -> [SQL] { lock(leases.map { ($0.expiresAt, $0.job) }) }

  fileprivate static func lock(_ places: [(ends: Int64, id: Int64)]) -> [SQL] {
    conditions(places).map { "SELECT \(columns) FROM qudo_running WHERE \($0.condition) FOR UPDATE" }
  }

  /// The key begins with the end, so that the leases that end first are found without an index of their own, which each claim and each
  /// settlement would pay for.
  static func conditions(_ places: [(ends: Int64, id: Int64)]) -> [(condition: SQL, count: Int)] {
    var points = PointPredicate()
    for (ends, id) in places.sorted(by: { $0 < $1 }) { points.add("ends = \(ends)", id) }
    return points.counted
  }
}

/// A lease that has ended.
struct EndedLease {
  let row: RunningRow
  /// How many leases of its job were lost before. That is with the job, and asked for only now.
  let lost: Int64

  static let columns: SQL =
    "\(RunningRow.columns), (SELECT lost FROM qudo_job WHERE qudo_job.id = qudo_running.id)"

  /// Whether there is no such job.
  let isJobless: Bool

  init(_ row: Row) {
    self.row = RunningRow(row)
    let lost = row.integerIfAny(7)
    (self.lost, isJobless) = (lost ?? 0, lost == nil)
  }

  var isTheLast: Bool { lost.clampedPlus(1) >= row.lostLimit }
}

extension Transaction {
  /// The lease's end by the server's clock: there is no other that all of a fleet's machines share. When it is set
  /// forward, leases end early, and when it is set back, late; a restart of the server ends none.
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

  /// The rows of the leases that hold, locked.
  ///
  /// A lease may not be where it says that it ends: it is lost, or it was extended and who has it has not heard of that. Then all
  /// that run are looked through, without waiting for any of them.
  ///
  /// - Parameter found: what ``RunningRow/lock(_:)`` found of them.
  func running(under leases: some Collection<Lease>, _ found: some Sequence<Rows>) throws(QudoError)
    -> [Int64: RunningRow]
  {
    var running: [Int64: RunningRow] = [:]
    func add(_ rows: Rows) {
      for row in rows.map({ RunningRow($0) }) { running[row.id] = row }
    }
    for rows in found { add(rows) }
    // Each time, an extension may have been committed between the look and the lock.
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
      for rows in try read(RunningRow.lock(elsewhere)) { add(rows) }
    }
    throw QudoError(.busy, "leases were extended again and again while they were looked for: try again later")
  }
}
#endif
