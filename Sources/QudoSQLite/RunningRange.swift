internal import Qudo

/// A row of the running: jobs with ids one after the other, under leases of one claim with the same end and the same holder.
struct RunningRange {
  var instance: Int64
  var ends: Int64
  var ids: ClosedRange<Int64>
  let token: Int64
  let lostLimit: Int64
  let started: Int64
  /// How long the lease was when it was given or renewed. One that ends later than that from now was given by another clock.
  var lease: Int64

  /// - Parameter row: instance, ends, last, first, token, lost_limit, started, lease.
  init(_ row: Statement) throws(QudoError) {
    let (last, first) = (row.integer(2), row.integer(3))
    guard first <= last else { throw Self.corrupt("leases of jobs are of none: job \(first) to \(last)") }
    self.init(
      instance: row.integer(0), ends: row.integer(1), ids: first...last, token: row.integer(4), lostLimit: row.integer(5),
      started: row.integer(6), lease: row.integer(7))
  }

  init(instance: Int64, ends: Int64, ids: ClosedRange<Int64>, token: Int64, lostLimit: Int64, started: Int64, lease: Int64) {
    self.instance = instance
    self.ends = ends
    self.ids = ids
    self.token = token
    self.lostLimit = lostLimit
    self.started = started
    self.lease = lease
  }

  /// Of an end that is no integer a statement finds nothing, each time.
  func checkChanged(_ connection: Connection) throws(QudoError) {
    guard connection.changes == 1 else { throw Self.corrupt("the lease of job \(ids.lowerBound) ends at a time that is none") }
  }

  private static func corrupt(_ what: String) -> QudoError {
    QudoError(.corrupt, "\(what): the file is damaged, or was changed by others", cause: BadRows.running)
  }
}

/// Which of some leases can be looked for together: those of one claim whose jobs have ids one after the other.
struct LeaseGroups {
  struct Group {
    var ids: ClosedRange<Int64>
    /// Where the leases are among all, in the order of their ids.
    var indices: ArraySlice<Int>
  }
  private(set) var groups: [Group] = []

  init(_ leases: [Lease]) {
    var order = Array(leases.indices)
    // What one claim gave out most often comes back in its order.
    if zip(leases, leases.dropFirst()).contains(where: { $0.job > $1.job }) {
      order.sort { (leases[$0].job, $0) < (leases[$1].job, $1) }
    }
    var start = 0
    while start < order.count {
      let first = leases[order[start]]
      var end = start + 1
      while end < order.count {
        let next = leases[order[end]]
        guard next.job == first.job &+ Int64(end - start), next.token == first.token, next.expiresAt == first.expiresAt, next.holder == first.holder else { break }
        end += 1
      }
      groups.append(Group(ids: first.job...first.job &+ Int64(end - start - 1), indices: order[start..<end]))
      start = end
    }
  }
}
