#if MySQL
internal import Qudo

/// The settlements that only complete a job. Most do, and their leases contain enough to remove the running
/// rows without reading them first. The number of removed rows shows whether all leases were valid.
struct PlainSettlements {
  /// In ascending order.
  private(set) var jobs: [Int64] = []
  private var leases = Groups<Place, Int64>()
  /// Whether all settlements are plain.
  private(set) var isAll = false
  var count: Int { jobs.count }
  var isEmpty: Bool { jobs.isEmpty }

  /// The part of a lease that all leases of one claim and one kind share.
  private struct Place: Hashable, Comparable {
    let ends: Int64
    let token: Int64
    static func < (a: Place, b: Place) -> Bool { (a.ends, a.token) < (b.ends, b.token) }
  }

  /// Treats no settlement as plain.
  init() {}

  init(_ settlements: [Settlement]) {
    jobs.reserveCapacity(settlements.count)
    for settlement in settlements where settlement.isPlain {
      let lease = settlement.lease
      jobs.append(lease.job)
      leases.add(lease.job, to: Place(ends: lease.expiresAt, token: lease.token))
    }
    isAll = jobs.count == settlements.count
    jobs.sort()
    // If a job is settled twice, its row must be read.
    let isTwice =
      zip(jobs, jobs.dropFirst()).contains(where: ==)
      || (!isAll && settlements.contains { !$0.isPlain && has($0.lease.job) })
    if isTwice { self = PlainSettlements() }
  }

  func has(_ job: Int64) -> Bool {
    if isAll { return true }
    if jobs.isEmpty { return false }
    var (low, high) = (0, jobs.count)
    while low < high {
      let middle = (low + high) / 2
      if jobs[middle] < job { low = middle + 1 } else { high = middle }
    }
    return low < jobs.count && jobs[low] == job
  }

  var statements: [SQL] {
    leases.all.sorted { $0.key < $1.key }.flatMap { place, ids in
      ids.sorted().idParts().map { part -> SQL in
        "DELETE FROM qudo_running WHERE ends = \(place.ends) AND \(ids: part) AND token = \(place.token)"
      }
    }
  }
}

extension Settlement {
  /// Whether the settlement only removes the job, which has neither a concurrency key nor a throttle.
  var isPlain: Bool {
    guard case .completed(let replacements) = outcome else { return false }
    return replacements.isEmpty && recording == nil && !ClaimedRows.mayBeKeyed(lease.token)
      && !ClaimedRows.mayRest(lease.token)
  }
}
#endif
