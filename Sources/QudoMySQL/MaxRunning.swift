#if MySQL
internal import Qudo

extension ClaimRequest {
  /// The kinds with a maximum of running jobs, of which this claim wants some.
  var limitedKinds: Set<Kind> {
    limit > 0 ? Set(demands.lazy.filter { $0.maxRunning != nil && $0.limit ?? 1 > 0 }.map(\.kind)) : []
  }
}

/// Claims of kinds with a maximum of running jobs. All others never come here.
///
/// Such a claim locks the rows of these kinds in `qudo_kind` until its commit, so that claims of one kind come one after the
/// other. Then it counts their running jobs: the statement that counts sees what was committed when it began. This takes a
/// round trip more. A session that stops while it holds the locks keeps these claims waiting, until the server ends its
/// transaction: see ``SessionSettings/idleSeconds``.
extension Transaction {
  /// Locks and counts, and lowers the demands of kinds with a maximum to what can be left of it.
  ///
  /// - Parameter limited: ``ClaimRequest/limitedKinds``, which the database must know.
  func withinMaxRunning(_ request: ClaimRequest, _ limited: Set<Kind>) throws(QudoError) -> (
    ClaimRequest, RunningCounts
  ) {
    var numbers: [Int64] = []
    for kind in limited { numbers.append(try requireNumber(of: kind)) }
    numbers.sort()
    let rows = try lock(
      // In the order of the ids: other indexes have the kinds in another one.
      "SELECT id FROM qudo_kind FORCE INDEX(PRIMARY) WHERE id IN \(list: numbers) ORDER BY id FOR UPDATE",
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
    // A SELECT that the server was told to stop may return, and lock, too few rows.
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
      // Those with an expired lease leave, if this claim can lock them: the plan knows.
      let left = max(0, most - running + expired[number, default: 0])
      if left < wanted { isAtMax = true }
      if left == 0 { full[number] = most }
      request.demands[index].limit = min(wanted, left)
    }
    kinds.control.withLock { [full, isAtMax] in $0.noteRunning(numbers, full: full, isAtMax: isAtMax) }
    return (request, counts)
  }
}

/// The numbers of running jobs of the kinds with a maximum, jobs with an expired lease included.
struct RunningCounts {
  fileprivate(set) var running: [Int64: Int] = [:]

  /// Returns how many jobs of a kind a claim may take, at most `wanted`.
  ///
  /// - Parameter ended: The expired leases that this claim has locked. No other session can renew these.
  func left(_ kind: ClaimableKind, _ wanted: Int, _ ended: [EndedLease]) -> Int {
    guard let most = kind.demand.maxRunning, let running = running[kind.number] else { return wanted }
    return min(wanted, max(0, most) - running + ended.count { $0.row.kind == kind.number })
  }
}
#endif
