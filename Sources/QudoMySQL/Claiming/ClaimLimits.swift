#if MySQL
internal import Qudo

extension ClaimRequest {
  /// The kinds that this claim asks for and that have a maximum of running jobs or a rate.
  var limitedKinds: Set<Kind> {
    guard limit > 0 else { return [] }
    return Set(
      demands.lazy.filter { ($0.maxRunning != nil || $0.rate != nil) && $0.limit ?? 1 > 0 }.map(\.kind))
  }
}

/// Claims of kinds with a maximum of running jobs or a rate. All other claims never come here.
///
/// Such a claim locks the rows of these kinds in `qudo_kind` until its commit, so that no other one counts meanwhile. Then it
/// counts their running jobs, and reads their buckets: the statements see what was committed when they began. This takes one more
/// round trip. If a session stops while it holds the locks, these claims wait until the server ends its transaction: see
/// ``Settings/idleTransactionTimeout``.
extension Transaction {
  /// Locks the kinds and lowers their demands to the number of jobs that might begin.
  ///
  /// - Parameter limited: ``ClaimRequest/limitedKinds``, which the database must know.
  func withinLimits(_ request: ClaimRequest, _ limited: Set<Kind>) throws(QudoError) -> (
    ClaimRequest, RunningCounts, [RatedClaim]
  ) {
    let numbers = try requireNumbers(of: limited)
    let counted = try requireNumbers(
      of: request.demands.filter { $0.maxRunning != nil && limited.contains($0.kind) }.map(\.kind))
    let rated = try requireNumbers(
      of: request.demands.filter { $0.rate != nil && limited.contains($0.kind) }.map(\.kind))
    // A SELECT that the server was told to stop may join no rows. Each is sent twice, so that this exceeds no limit.
    let counting = counted.isEmpty ? [] : [RunningCounts.select(counted), RunningCounts.select(counted)]
    let rating = rated.isEmpty ? [] : [RateRows.select(rated), RateRows.select(rated)]
    let rows = try lock(KindCache.lock(numbers), thenReading: counting + rating)
    // It may also return too few rows.
    let expected = [numbers] + counting.map { _ in counted } + rating.map { _ in rated }
    for (expected, rows) in zip(expected, rows) where rows.count != expected.count {
      throw .short(rows.count, expected.count)
    }
    var request = request
    let counts = RunningCounts(rows.dropFirst().prefix(counting.count))
    lower(&request, to: counts, counted)
    let held = lower(&request, toRates: RateRows.buckets(rows.suffix(rating.count)))
    return (request, counts, held)
  }

  private func lower(_ request: inout ClaimRequest, to counts: RunningCounts, _ counted: [Int64]) {
    guard !counted.isEmpty else { return }
    var full: [Int64: Int] = [:]
    var isAtMax = false
    for (index, demand) in request.demands.enumerated() {
      guard let most = demand.maxRunning.map({ max(0, $0) }), let number = number(of: demand.kind),
        let running = counts.running[number]
      else { continue }
      let wanted = min(demand.limit ?? request.limit, request.limit)
      // Jobs with an expired lease stop running if this claim can lock their rows. The plan knows whether it has.
      let left = max(0, most - running + counts.expired[number, default: 0])
      if left < wanted { isAtMax = true }
      if left == 0 { full[number] = most }
      request.demands[index].limit = min(wanted, left)
    }
    kinds.control.withLock { [full, isAtMax] in $0.noteRunning(counted, full: full, isAtMax: isAtMax) }
  }

  private func lower(_ request: inout ClaimRequest, toRates buckets: [Int64: RateBucket]) -> [RatedClaim] {
    var rated: [RatedClaim] = []
    for (index, demand) in request.demands.enumerated() {
      guard let rate = demand.rate, let number = number(of: demand.kind), let bucket = buckets[number] else {
        continue
      }
      let claim = RatedClaim(
        demand.kind, number: number, rate, bucket,
        wanted: min(demand.limit ?? request.limit, request.limit), now: now)
      rated.append(claim)
      request.demands[index].limit = claim.allowed
    }
    // In the order in which tokens are given back, so that both lock the buckets in one order.
    return rated.sorted { $0.number < $1.number }
  }
}

/// The numbers of running jobs of the kinds with a maximum. Jobs with an expired lease count: until a claim has locked their
/// rows, their workers may renew them.
struct RunningCounts {
  private(set) var running: [Int64: Int] = [:]
  /// How many of them have an expired lease.
  private(set) var expired: [Int64: Int] = [:]

  /// Returns the query that counts, with a row for each kind.
  static func select(_ numbers: [Int64]) -> SQL {
    """
    SELECT k.id, COUNT(r.id), COALESCE(SUM(r.ends <= @n), 0) FROM qudo_kind AS k LEFT JOIN qudo_running AS r ON r.kind = k.id
    WHERE k.id IN \(list: numbers) GROUP BY k.id
    """
  }

  init() {}

  /// - Parameter results: The results of ``select(_:)``. For each kind the one counts that has found most.
  init(_ results: some Sequence<Rows>) {
    for rows in results {
      while let row = rows.next() {
        let (kind, count) = (row.integer(0), Int(row.integer(1)))
        guard count > running[kind] ?? -1 else { continue }
        (running[kind], expired[kind]) = (count, Int(row.integer(2)))
      }
    }
  }

  /// Leaves out jobs that this claim has ended since.
  mutating func leave(_ rows: [RunningRow]) {
    guard !running.isEmpty else { return }
    for row in rows { running[row.kind]? -= 1 }
  }

  /// Returns the number of jobs of a kind that a claim may take, at most `wanted`.
  ///
  /// - Parameter ended: The expired leases whose rows this claim has locked.
  func left(_ kind: ClaimableKind, _ wanted: Int, _ ended: [EndedLease]) -> Int {
    guard let most = kind.demand.maxRunning, let running = running[kind.number] else { return wanted }
    return min(wanted, max(0, most) - running + ended.count { $0.row.kind == kind.number })
  }
}
#endif
