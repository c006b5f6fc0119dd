#if MySQL
internal import Qudo

/// What a claim looks at, and locks, before it decides. Rows that others have locked are passed over.
struct ClaimReading {
  /// How many delayed jobs become ready, and how many ended leases are taken back, in one claim.
  static let sweep = 1000

  /// With more kinds than this, those that had no ready jobs the last time have no arm of their own.
  static let manyKinds = 8

  let request: ClaimRequest
  /// Those that the database knows, and of which some are wanted.
  private let wanted: [ClaimableKind]
  /// Those that are read at once.
  private let armed: [ClaimableKind]
  private let unknown: [Kind]
  /// Where it begins.
  let view: ScanCursors.View
  /// Whether it looks at once for leases that have ended and for delayed jobs that are due; otherwise when there are any.
  private let sweeps: Bool
  /// Up to how many jobs the time and the next times come with each of them; the server works them out again for each.
  private static let mostWithTime = 8
  /// What takes the time along with the ready jobs, and looks for the next times: one statement instead of three, and the time is
  /// not known if there is no job.
  private let time: SQL?

  /// - Parameter takesTime: whether to expect that there are jobs; not when it sweeps.
  init(
    _ request: ClaimRequest, _ transaction: Transaction, from view: ScanCursors.View, sweeps: Bool,
    takesTime: Bool
  ) {
    self.request = request
    self.view = view
    self.sweeps = sweeps
    wanted = transaction.claimable(request)
    unknown = request.limit > 0 ? transaction.unknown(request.demands.map(\.kind)) : []
    armed = wanted.count > Self.manyKinds ? transaction.kinds.haveReady(of: wanted) : wanted
    time =
      takesTime && !view.looks && !armed.isEmpty && (1...Self.mostWithTime).contains(request.limit)
      ? transaction.time : nil
  }

  private func sweepStatements(from view: ScanCursors.View) -> [SQL] {
    [
      """
      SELECT \(EndedLease.columns) FROM qudo_running WHERE \(view.fromEnds) ends <= @n
      ORDER BY ends, id LIMIT \(Self.sweep) FOR UPDATE SKIP LOCKED
      """, Self.delayed(Self.sweep, from: view),
    ]
  }

  /// Where the ``statements`` have the time.
  var clock: Transaction.Clock { time == nil ? .statement(0) : .column(7, of: 0) }

  var statements: [SQL] {
    var statements = time == nil ? [view.next] : []
    if view.looks {
      statements += ScanCursors.Look.statements(view, armed)
    } else if sweeps {
      statements += sweepStatements(from: view)
    }
    let besides: SQL = time.map { ", \(view.times), \($0)" } ?? ""
    if let ready = Self.ready(armed, request.limit, from: view, besides: besides) { statements.append(ready) }
    // Jumps from kind to kind in the index.
    if wanted.count > 1 {
      statements.append("SELECT DISTINCT kind FROM qudo_ready WHERE kind IN \(list: wanted.map(\.number))")
    }
    if !unknown.isEmpty { statements.append(KindCache.look(up: unknown)) }
    return statements
  }

  /// Delayed jobs that are due, earliest first.
  static func delayed(_ limit: Int, from view: ScanCursors.View = ScanCursors.View()) -> SQL {
    """
    SELECT kind, ranking, due, id, frees FROM qudo_delayed WHERE \(view.fromDue) due <= @n
    ORDER BY due, id LIMIT \(limit) FOR UPDATE SKIP LOCKED
    """
  }

  /// The best ready ones. Of several kinds each has an arm that reads a few entries of the index without locking them,
  /// and only the best of all of them are locked; one SELECT of several kinds would sort, and lock, the whole backlog.
  ///
  /// - Parameter besides: more columns.
  static func ready(
    _ kinds: [ClaimableKind], _ limit: Int, from view: ScanCursors.View = ScanCursors.View(),
    besides: SQL = ""
  ) -> SQL? {
    guard let first = kinds.first, limit > 0 else { return nil }
    guard kinds.count > 1 else {
      return """
        SELECT kind, ranking, due, id, frees\(besides) FROM qudo_ready WHERE kind = \(first.number) \(view.ready(first.number))
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
      SELECT r.kind, r.ranking, r.due, r.id, r.frees\(besides) FROM
      (SELECT kind, ranking, due, id FROM (\(arms.joined(" UNION ALL "))) AS arms ORDER BY ranking, due, id LIMIT \(limit * 4)) AS best
      STRAIGHT_JOIN qudo_ready AS r ON r.kind = best.kind AND r.ranking = best.ranking AND r.due = best.due AND r.id = best.id
      ORDER BY best.ranking, best.due, best.id LIMIT \(kinds.contains { $0.most(limit) < limit } ? limit * 4 : limit) FOR UPDATE SKIP LOCKED
      """
  }

  /// - Parameters:
  ///   - rows: of ``statements``.
  ///   - settled: jobs that are no more running by the time of the claim.
  /// - Returns: the plan, and what else was found.
  func plan(_ rows: [Rows], _ transaction: Transaction, settled: () -> Set<Int64>) throws(QudoError) -> (
    ClaimPlan, ClaimFindings
  ) {
    var rest = rows[...]
    var next = try next(&rest, transaction)
    var view = view
    let look =
      view.looks
      ? try ScanCursors.Look(&rest, view, hasReady: armed.contains { view.below($0.number) != nil }) : nil
    if let look {
      view.lower(to: look)
      next.lower(to: look)
    }
    var swept = rest.prefix(sweeps && look == nil ? 2 : 0)
    rest = rest.dropFirst(swept.count)
    if swept.isEmpty, next.areDue(transaction.now) {
      transaction.useTime()
      swept = try transaction.read(sweepStatements(from: view))[...]
    }
    let didSweep = !swept.isEmpty
    let ended = didSweep ? try take(&swept).map { EndedLease($0) } : []
    let delayed = didSweep ? try take(&swept).map { Candidate($0, .delayed) } : []
    var ready = armed.isEmpty || request.limit <= 0 ? [] : try take(&rest).map { Candidate($0, .ready) }
    let full = wanted.count > 1 ? Set(try take(&rest).map { $0.integer(0) }) : []
    transaction.kinds.haveReady(full, of: wanted)
    if !unknown.isEmpty { try transaction.add(kinds: try take(&rest)) }
    if let look { ready += try readFound(look, transaction) }
    // Kinds that were made, or had jobs, since.
    let known = Set(wanted.map(\.number))
    let all = transaction.claimable(request)
    let more = all.filter { kind in
      !known.contains(kind.number)
        || full.contains(kind.number) && !armed.contains { $0.number == kind.number }
    }
    if let more = Self.ready(more, request.limit) {
      ready += try transaction.read(more).map { Candidate($0, .ready) }
    }
    if ready.isEmpty, !full.isEmpty {
      ready = try readEach(wanted.filter { full.contains($0.number) }, transaction)
    }
    let gone = ended.isEmpty ? [] : settled()
    let live = ended.filter { !gone.contains($0.row.id) }
    return (
      ClaimPlan(all, limit: request.limit, ready: ready, delayed: delayed, ended: live),
      ClaimFindings(
        next: next, view: view, look: look, hasSwept: didSweep,
        hadToSweep: !ended.isEmpty || !delayed.isEmpty,
        isSwept: ended.count < Self.sweep && delayed.count < Self.sweep)
    )
  }

  private func next(_ rest: inout ArraySlice<Rows>, _ transaction: Transaction) throws(QudoError) -> NextTimes
  {
    guard time != nil else { return NextTimes(try take(&rest).next()) }
    guard let rows = rest.first, let row = rows.next() else {
      return NextTimes(try transaction.read([view.next], clock: .statement(0)).first?.next())
    }
    defer { rows.rewind() }
    return NextTimes(row, at: 5)
  }

  /// What a look found below the bounds.
  private func readFound(_ look: ScanCursors.Look, _ transaction: Transaction) throws(QudoError)
    -> [Candidate]
  {
    let reads = armed.compactMap { kind in
      look.ready[kind.number].map { found -> SQL in
        """
        SELECT kind, ranking, due, id, frees FROM qudo_ready WHERE kind = \(kind.number) \(view.ready(kind.number, from: found))
        ORDER BY ranking, due, id LIMIT \(kind.most(request.limit)) FOR UPDATE SKIP LOCKED
        """
      }
    }
    return reads.isEmpty
      ? [] : try transaction.read(reads).flatMap { rows in rows.map { Candidate($0, .ready) } }
  }

  /// When others have all of the best ones locked: what comes behind those, which one kind at a time is found by itself.
  private func readEach(_ kinds: [ClaimableKind], _ transaction: Transaction) throws(QudoError) -> [Candidate]
  {
    try transaction.read(kinds.compactMap { Self.ready([$0], request.limit) }).flatMap { rows in
      rows.map { Candidate($0, .ready) }
    }
  }

  private func take(_ rest: inout ArraySlice<Rows>) throws(QudoError) -> Rows {
    guard let rows = rest.popFirst() else {
      throw QudoError(.database, "a statement of a claim gave no rows")
    }
    return rows
  }
}

/// When the next delayed job is due and the next lease ends.
struct NextTimes {
  var due: Int64?
  var end: Int64?

  init(_ row: Row?, at column: Int = 1) {
    due = Self.time(row, column)
    end = Self.time(row, column + 1)
  }

  /// What stands for no time at all: NULL is what a MIN gives that the server was told to stop.
  static let never = Int64.max

  /// The beginning of a subquery, whose condition and bracket are to follow.
  static func least(_ column: SQL, _ table: SQL) -> SQL {
    "(SELECT COALESCE(MIN(\(column)), \(never)) FROM \(table)"
  }

  /// - Returns: nil for none; the earliest of all if it is not known, so that it is looked for.
  static func time(_ row: Row?, _ column: Int) -> Int64? {
    let time = row?.integerIfAny(column) ?? 0
    return time == never ? nil : time
  }

  mutating func lower(to look: ScanCursors.Look) {
    if let found = look.due { due = min(due ?? found, found) }
    if let found = look.ends { end = min(end ?? found, found) }
  }

  func areDue(_ now: Timestamp) -> Bool {
    [due, end].contains { $0.map { $0 <= now.microseconds } ?? false }
  }
}

/// What a claim saw besides the jobs.
struct ClaimFindings {
  /// Before the claim.
  let next: NextTimes
  /// Where it began, below which nothing was found.
  let view: ScanCursors.View
  /// What was found below the bounds, if that was looked for.
  let look: ScanCursors.Look?
  let hasSwept: Bool
  /// Whether there was something to be swept.
  let hadToSweep: Bool
  /// Whether nothing more has ended or is due.
  let isSwept: Bool

  /// When the first lease ends of those that were not taken back; without any, each new one ends after now.
  func firstEnd(_ now: Timestamp) -> Int64? {
    guard isSwept else { return nil }
    guard let end = next.end else { return now.microseconds }
    return hasSwept ? min(end, now.microseconds) : end
  }
}

extension Transaction {
  /// Of those that the database knows.
  fileprivate func claimable(_ request: ClaimRequest) -> [ClaimableKind] {
    request.demands.compactMap { demand in
      number(of: demand.kind).map { ClaimableKind(demand: demand, number: $0) }.flatMap {
        $0.most(request.limit) > 0 ? $0 : nil
      }
    }
  }
}

extension Candidate {
  /// - Parameter row: kind, ranking, due time, id, frees.
  init(_ row: Row, _ source: Source) {
    self.init(
      kind: row.integer(0), ranking: row.integer(1), due: row.integer(2), id: row.integer(3),
      hold: KeyHold(row.integer(4)), source: source)
  }
}
#endif
