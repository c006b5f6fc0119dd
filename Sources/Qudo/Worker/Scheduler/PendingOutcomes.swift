/// The outcomes of runs that are not yet settled.
struct PendingOutcomes {
  private(set) var all: [Settlement] = []
  /// The time of the oldest outcome of a run that has ended by itself.
  private(set) var since: Int64 = 0

  var count: Int { all.count }
  var isEmpty: Bool { all.isEmpty }

  /// - Parameter now: The time, if the outcome may wait to be settled together with others; else it is settled with the next call.
  mutating func append(_ settlement: Settlement, now: Int64? = nil) {
    if let now, all.isEmpty { since = now }
    all.append(settlement)
  }

  mutating func takeAll() -> [Settlement] {
    defer { all = [] }
    return all
  }

  /// Puts outcomes back that were not written.
  mutating func putBack(_ settlements: [Settlement]) { all = settlements + all }

  /// Sets the renewed leases of jobs that ended meanwhile.
  mutating func renew(_ leases: [Lease: Lease?]) {
    for index in all.indices {
      if let answer = leases[all[index].lease], let lease = answer { all[index].lease = lease }
    }
  }
}
