#if MySQL
internal import Qudo

extension ClaimRequest {
  /// The kinds that this claim asks for and that have a maximum of running jobs.
  var limitedKinds: Set<Kind> {
    limit > 0 ? Set(demands.lazy.filter { $0.maxRunning != nil && $0.limit ?? 1 > 0 }.map(\.kind)) : []
  }
}

/// Claims of kinds with a maximum of running jobs. All other claims never come here.
///
/// Such a claim locks the rows of these kinds in `qudo_kind` until its commit, so that no other one counts meanwhile. Then it
/// counts their running jobs: the statement that counts sees what was committed when it began. This takes one more round trip.
/// If a session stops while it holds the locks, these claims wait until the server ends its transaction: see
/// ``SessionSettings/idleSeconds``.
extension Transaction {
  /// Locks the kinds, counts their running jobs, and lowers their demands to the number of jobs that might begin.
  ///
  /// - Parameter limited: ``ClaimRequest/limitedKinds``, which the database must know.
  func withinMaxRunning(_ request: ClaimRequest, _ limited: Set<Kind>) throws(QudoError) -> (
    ClaimRequest, RunningCounts
  ) {
    let numbers = try requireNumbers(of: limited)
    let rows = try lock(
      KindCache.lock(numbers),
      thenReading: [
        """
        SELECT k.id, COUNT(r.id), COALESCE(SUM(r.ends <= @n), 0) FROM qudo_kind AS k LEFT JOIN qudo_running AS r ON r.kind = k.id
        WHERE k.id IN \(list: numbers) GROUP BY k.id
        """
      ])
    var counts = RunningCounts()
    var expired: [Int64: Int] = [:]
    while let row = rows[1].next() {
      counts.running[row.integer(0)] = Int(row.integer(1))
      expired[row.integer(0)] = Int(row.integer(2))
    }
    // A SELECT that the server was told to stop may return too few rows.
    let found = min(rows[0].count, counts.running.count)
    guard found == numbers.count else { throw .short(found, numbers.count) }
    var request = request
    var full: [Int64: Int] = [:]
    var isAtMax = false
    for (index, demand) in request.demands.enumerated() {
      guard let most = demand.maxRunning.map({ max(0, $0) }), let number = number(of: demand.kind),
        let running = counts.running[number]
      else { continue }
      let wanted = min(demand.limit ?? request.limit, request.limit)
      // Jobs with an expired lease stop running if this claim can lock their rows. The plan knows whether it has.
      let left = max(0, most - running + expired[number, default: 0])
      if left < wanted { isAtMax = true }
      if left == 0 { full[number] = most }
      request.demands[index].limit = min(wanted, left)
    }
    kinds.control.withLock { [full, isAtMax] in $0.noteRunning(numbers, full: full, isAtMax: isAtMax) }
    return (request, counts)
  }
}

/// The numbers of running jobs of the kinds with a maximum. Jobs with an expired lease count: until a claim has locked their
/// rows, their workers may renew them.
struct RunningCounts {
  fileprivate(set) var running: [Int64: Int] = [:]

  /// Returns the number of jobs of a kind that a claim may take, at most `wanted`.
  ///
  /// - Parameter ended: The expired leases whose rows this claim has locked.
  func left(_ kind: ClaimableKind, _ wanted: Int, _ ended: [EndedLease]) -> Int {
    guard let most = kind.demand.maxRunning, let running = running[kind.number] else { return wanted }
    return min(wanted, max(0, most) - running + ended.count { $0.row.kind == kind.number })
  }
}
#endif
