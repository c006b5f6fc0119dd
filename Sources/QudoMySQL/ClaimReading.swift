#if MySQL
internal import Qudo

/// What a claim looks at, and locks, before it decides. Rows that others have locked are passed over.
struct ClaimReading {
  /// How many delayed jobs become ready, and how many ended leases are taken back, in one claim.
  static let sweep = 1000

  let request: ClaimRequest
  private let kinds: [ClaimableKind]
  private let unknown: [Kind]
  /// Where it begins.
  let view: Floors.View

  init(_ request: ClaimRequest, _ transaction: Transaction, from view: Floors.View) {
    self.request = request
    self.view = view
    kinds = transaction.claimable(request.abilities)
    unknown = request.limit > 0 ? transaction.unknown(request.abilities.map(\.kind)) : []
  }

  private var wanted: [ClaimableKind] { kinds.filter { $0.most(request.limit) > 0 } }

  /// The last ones read the ready, if any are asked for, and look up kinds that are not known yet.
  var statements: [SQL] {
    [
      """
      SELECT \(RunningRow.columns) FROM qudo_running WHERE \(view.times("ends")) ends <= @n
      ORDER BY ends, id LIMIT \(Self.sweep) FOR UPDATE SKIP LOCKED
      """, Self.delayed(Self.sweep, from: view),
    ] + [Self.ready(wanted, request.limit, from: view)].compactMap(\.self) + (unknown.isEmpty ? [] : [KindNumbers.look(up: unknown)])
  }

  /// Delayed jobs that are due, earliest first.
  static func delayed(_ limit: Int, from view: Floors.View = Floors.View()) -> SQL {
    """
    SELECT kind, ranking, due, id, frees FROM qudo_delayed WHERE \(view.times("due")) due <= @n
    ORDER BY due, id LIMIT \(limit) FOR UPDATE SKIP LOCKED
    """
  }

  /// The best ready ones. Of several kinds each has an arm that reads a few entries of the index without locking them,
  /// and only the best of all of them are locked; one SELECT of several kinds would sort, and lock, the whole backlog.
  static func ready(_ kinds: [ClaimableKind], _ limit: Int, from view: Floors.View = Floors.View()) -> SQL? {
    guard let first = kinds.first, limit > 0 else { return nil }
    guard kinds.count > 1 else {
      return """
        SELECT kind, ranking, due, id, frees FROM qudo_ready WHERE kind = \(first.number) \(view.ready(first.number))
        ORDER BY ranking, due, id LIMIT \(first.most(limit)) FOR UPDATE SKIP LOCKED
        """
    }
    // Some more than are wanted, as others may have locked some of them.
    let arms = kinds.map { kind -> SQL in
      let count = kind.most(limit)
      return """
        (SELECT kind, ranking, due, id FROM qudo_ready WHERE kind = \(kind.number) \(view.ready(kind.number))
        ORDER BY ranking, due, id LIMIT \(count + max(count / 2, 8)))
        """
    }
    return """
      SELECT r.kind, r.ranking, r.due, r.id, r.frees FROM
      (SELECT kind, ranking, due, id FROM (\(arms.joined(" UNION ALL "))) AS arms ORDER BY ranking, due, id LIMIT \(limit * 4)) AS best
      STRAIGHT_JOIN qudo_ready AS r ON r.kind = best.kind AND r.ranking = best.ranking AND r.due = best.due AND r.id = best.id
      ORDER BY best.ranking, best.due, best.id LIMIT \(kinds.contains { $0.most(limit) < limit } ? limit * 4 : limit) FOR UPDATE SKIP LOCKED
      """
  }

  /// - Parameter settled: jobs that are no more running by the time of the claim.
  /// - Returns: the plan, and whether nothing more has ended or is due.
  func plan(_ rows: [Rows], _ transaction: Transaction, settled: Set<Int64>) throws(QudoError) -> (ClaimPlan, isSwept: Bool) {
    let ended = rows[0].map { RunningRow($0) }.filter { !settled.contains($0.id) }
    let delayed = rows[1].map { Candidate($0, .delayed) }
    var ready = wanted.isEmpty ? [] : rows[2].map { Candidate($0, .ready) }
    var kinds = kinds
    if !unknown.isEmpty, let found = rows.last {
      try transaction.add(kinds: found)
      let known = transaction.claimable(request.abilities)
      let new = known.filter { kind in !kinds.contains { $0.number == kind.number } && kind.most(request.limit) > 0 }
      if let more = Self.ready(new, request.limit) { ready += try transaction.read(more).map { Candidate($0, .ready) } }
      kinds = known
    }
    let plan = ClaimPlan(kinds, limit: request.limit, ready: ready, delayed: delayed, ended: ended)
    return (plan, rows[0].count < Self.sweep && rows[1].count < Self.sweep)
  }
}

extension Transaction {
  fileprivate func claimable(_ abilities: [ClaimRequest.Ability]) -> [ClaimableKind] {
    abilities.compactMap { ability in number(of: ability.kind).map { ClaimableKind(ability: ability, number: $0) } }
  }
}

extension Candidate {
  /// - Parameter row: kind, ranking, due time, id, frees.
  init(_ row: Row, _ source: Source) {
    self.init(
      kind: row.integer(0), ranking: row.integer(1), due: row.integer(2), id: row.integer(3), frees: row.integer(4) != 0, source: source)
  }
}
#endif
