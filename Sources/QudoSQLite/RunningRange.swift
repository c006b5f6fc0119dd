internal import Qudo

/// A row of `qudo_running`: an id range from one claim, with one expiry and one holder.
struct RunningRange {
  var instance: Int64
  var ends: Int64
  var ids: ClosedRange<Int64>
  let token: Int64
  let lostLimit: Int64
  let started: Int64
  /// The lease duration when the lease was given or renewed, in microseconds. If the lease expires later than this
  /// from now, the clock was set back.
  var lease: Int64

  /// - Parameter row: The columns instance, ends, last, first, token, lost_limit, started, lease.
  init(_ row: Statement) throws(QudoError) {
    let (last, first) = (row.integer(2), row.integer(3))
    guard first <= last else {
      throw Self.corrupt("qudo_running has an invalid id range, \(first) to \(last)")
    }
    self.init(
      instance: row.integer(0), ends: row.integer(1), ids: first...last, token: row.integer(4),
      lostLimit: row.integer(5),
      started: row.integer(6), lease: row.integer(7))
  }

  init(
    instance: Int64, ends: Int64, ids: ClosedRange<Int64>, token: Int64, lostLimit: Int64, started: Int64,
    lease: Int64
  ) {
    self.instance = instance
    self.ends = ends
    self.ids = ids
    self.token = token
    self.lostLimit = lostLimit
    self.started = started
    self.lease = lease
  }

  /// Checks that a statement changed this row. It never matches if the expiry is not an integer.
  func checkChanged(_ connection: Connection) throws(QudoError) {
    guard connection.changes == 1 else {
      throw Self.corrupt("the lease of job \(ids.lowerBound) has an invalid expiry")
    }
  }

  private static func corrupt(_ what: String) -> QudoError {
    QudoError(
      .corrupt, "\(what): the file is damaged, or another program modified it", cause: BadRows.running)
  }
}

/// Leases grouped for look-ups: a group has one token, holder and expiry, and consecutive job ids.
struct LeaseGroups {
  struct Group {
    var ids: ClosedRange<Int64>
    /// The positions of the leases in the original array, in id order.
    var indices: ArraySlice<Int>
  }
  private(set) var groups: [Group] = []

  init(_ leases: [Lease]) {
    var order = Array(leases.indices)
    // The leases of one claim usually arrive in id order.
    if zip(leases, leases.dropFirst()).contains(where: { $0.job > $1.job }) {
      order.sort { (leases[$0].job, $0) < (leases[$1].job, $1) }
    }
    var start = 0
    while start < order.count {
      let first = leases[order[start]]
      var end = start + 1
      while end < order.count {
        let next = leases[order[end]]
        guard next.job == first.job &+ Int64(end - start), next.token == first.token,
          next.expiresAt == first.expiresAt, next.holder == first.holder
        else { break }
        end += 1
      }
      groups.append(Group(ids: first.job...first.job &+ Int64(end - start - 1), indices: order[start..<end]))
      start = end
    }
  }
}
