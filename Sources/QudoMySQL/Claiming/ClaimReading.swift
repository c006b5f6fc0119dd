#if MySQL
internal import Qudo

/// The rows that a claim reads and locks before it decides. It skips rows that other sessions have locked.
struct ClaimReading {
  /// The maximum number of delayed jobs promoted, and of expired leases recovered, in one claim.
  static let sweep = 1000

  /// With more kinds than this, a kind that had no ready jobs at the last claim gets no arm of its own.
  static let manyKinds = 8

  let request: ClaimRequest
  /// The numbers of running jobs of the kinds with a maximum.
  private let counts: RunningCounts
  /// The requested kinds that the database knows.
  private let wanted: [ClaimableKind]
  /// The kinds whose ready jobs are read in the first round trip.
  private let armed: [ClaimableKind]
  private let unknown: [Kind]
  /// Whether the pauses are read in the first round trip, because the last claim saw some.
  private let readsPauses: Bool
  /// The position at which the claim begins to read.
  private(set) var view: ScanCursors.View
  /// Whether the claim looks for expired leases and due delayed jobs at once; if not, it looks only when the
  /// next times say that there are some.
  private let sweeps: Bool
  /// How many more ready jobs to read than the claim wants.
  private let ahead: Int
  /// The maximum number of jobs whose rows also carry the time and the next times. The server computes them
  /// again for each row.
  private static let mostWithTime = 8
  /// The expression for the time, if the rows of the ready jobs carry it together with the next times. This
  /// takes one statement instead of three, but leaves the time unknown if no job is ready.
  private let time: SQL?

  /// - Parameters:
  ///   - ahead: How many more ready jobs to read than the claim wants.
  ///   - takesTime: Whether ready jobs are expected, so that their rows can carry the time. False if the claim sweeps.
  init(
    _ request: ClaimRequest, _ counts: RunningCounts = RunningCounts(), _ transaction: Transaction,
    from view: ScanCursors.View, sweeps: Bool, ahead: Int = 0, takesTime: Bool
  ) {
    self.ahead = ahead
    self.request = request
    self.counts = counts
    self.view = view
    self.sweeps = sweeps
    let hints = transaction.kinds.control.withLock { $0 }
    readsPauses = hints.hasPauses
    wanted = transaction.claimable(request).filter { !hints.paused.has($0.number) }
    // Kinds that other workers limit.
    if !hints.full.isEmpty || !hints.tokensAt.isEmpty {
      let demands = wanted
      transaction.kinds.control.withLock { hints in
        hints.noteUnlimited(demands.lazy.filter { $0.demand.maxRunning == nil }.map(\.number))
        hints.noteUnrated(demands.lazy.filter { $0.demand.rate == nil }.map(\.number))
      }
    }
    unknown = request.limit > 0 ? transaction.unknown(request.demands.map(\.kind)) : []
    armed = wanted.count > Self.manyKinds ? transaction.kinds.haveReady(of: wanted) : wanted
    time =
      takesTime && !view.looks && !readsPauses && !armed.isEmpty
        && (1...Self.mostWithTime).contains(request.limit)
      ? transaction.time : nil
    if time == nil { self.view = view.asking() }
  }

  private func sweepStatements(from view: ScanCursors.View) -> [SQL] {
    [
      """
      SELECT \(EndedLease.columns) FROM qudo_running WHERE \(view.fromEnds) ends <= @n
      ORDER BY ends, id LIMIT \(Self.sweep) FOR UPDATE SKIP LOCKED
      """, Self.delayed(Self.sweep, from: view),
      // After the locks, because a session that marks a job locks it first.
      CancelMarks.read,
    ]
  }

  /// The position of the time in the results of ``statements``.
  var clock: Transaction.Clock { time == nil ? .statement(0) : .column(10, of: 0) }

  var statements: [SQL] {
    var statements = time == nil ? [view.next] : []
    if readsPauses { statements.append(PausedKinds.read) }
    if view.looks {
      statements += ScanCursors.Look.statements(view, armed)
    } else if sweeps {
      statements += sweepStatements(from: view)
    }
    let besides: SQL = time.map { ", \(view.times), \($0)" } ?? ""
    if let ready = Self.ready(armed, request.limit, ahead: ahead, from: view, besides: besides) {
      statements.append(ready)
    }
    // This query jumps from kind to kind in the index.
    if wanted.count > 1 {
      statements.append("SELECT DISTINCT kind FROM qudo_ready WHERE kind IN \(list: wanted.map(\.number))")
    }
    if !unknown.isEmpty { statements.append(KindCache.look(up: unknown)) }
    return statements
  }

  /// Returns the query for due delayed jobs, earliest first.
  static func delayed(_ limit: Int, from view: ScanCursors.View = ScanCursors.View()) -> SQL {
    """
    SELECT kind, ranking, due, id, flags FROM qudo_delayed WHERE \(view.fromDue) due <= @n
    ORDER BY due, id LIMIT \(limit) FOR UPDATE SKIP LOCKED
    """
  }

  /// Returns the query for the best ready jobs; nil if no kind or job is wanted. If there are several kinds,
  /// each has an arm that reads a few index entries without locks, and the query locks only the best rows of
  /// all arms. A plain SELECT for several kinds would sort and lock the whole backlog.
  ///
  /// - Parameters:
  ///   - ahead: How many more jobs to read.
  ///   - besides: Additional columns.
  static func ready(
    _ kinds: [ClaimableKind], _ limit: Int, ahead: Int = 0, from view: ScanCursors.View = ScanCursors.View(),
    besides: SQL = ""
  ) -> SQL? {
    guard let first = kinds.first, limit > 0 else { return nil }
    guard kinds.count > 1 else {
      return """
        SELECT kind, ranking, due, id, flags\(besides) FROM qudo_ready WHERE kind = \(first.number) \(view.ready(first.number))
        ORDER BY ranking, due, id LIMIT \(first.most(limit) + ahead) FOR UPDATE SKIP LOCKED
        """
    }
    // Each arm reads some more rows than wanted, because other sessions may have locked some.
    func length(_ kind: ClaimableKind) -> Int { kind.most(limit) + max(kind.most(limit) / 2, 8) + ahead }
    let arms = kinds.map { kind -> SQL in
      """
      (SELECT kind, ranking, due, id FROM qudo_ready WHERE kind = \(kind.number) \(view.ready(kind.number))
      ORDER BY ranking, due, id LIMIT \(length(kind)))
      """
    }
    // Leave room for the other kinds next to the rows of a kind from which the claim takes only a few.
    let limited = kinds.filter { $0.most(limit) < limit }
    let most = limited.reduce(limit * 4 + ahead) { $0 + length($1) }
    return """
      SELECT r.kind, r.ranking, r.due, r.id, r.flags\(besides) FROM
      (SELECT kind, ranking, due, id FROM (\(arms.joined(" UNION ALL "))) AS arms ORDER BY ranking, due, id LIMIT \(most)) AS best
      STRAIGHT_JOIN qudo_ready AS r ON r.kind = best.kind AND r.ranking = best.ranking AND r.due = best.due AND r.id = best.id
      ORDER BY best.ranking, best.due, best.id LIMIT \(limited.isEmpty ? limit + ahead : most) FOR UPDATE SKIP LOCKED
      """
  }

  /// - Parameters:
  ///   - rows: The results of ``statements``.
  ///   - settled: Returns the jobs that are no longer running at the time of the claim.
  /// - Returns: The plan, and the other findings.
  func plan(_ rows: [Rows], _ transaction: Transaction, settled: () -> Set<Int64>) throws(QudoError) -> (
    ClaimPlan, ClaimFindings
  ) {
    var rest = rows[...]
    var view = view
    var next = try next(&rest, &view, transaction)
    let paused = try paused(next, &rest, transaction)
    let look =
      view.looks
      ? try ScanCursors.Look(&rest, view, hasReady: armed.contains { view.below($0.number) != nil }) : nil
    if let look {
      view.lower(to: look)
      next.lower(to: look)
    }
    var swept = rest.prefix(sweeps && look == nil ? 3 : 0)
    rest = rest.dropFirst(swept.count)
    if swept.isEmpty, next.areDue(transaction.now) {
      transaction.useTime()
      swept = try transaction.read(sweepStatements(from: view))[...]
    }
    let didSweep = !swept.isEmpty
    let leases = didSweep ? try take(&swept) : nil
    var delayed = didSweep ? try take(&swept).map { Candidate($0, .delayed) } : []
    let messages = CancelMarks.messages(swept)
    let ended = leases?.map { EndedLease($0, messages) } ?? []
    if !delayed.isEmpty {
      delayed = try transaction.placing(
        delayed, besides: ended.filter { !$0.isTheLast && !$0.isJobless && $0.cancelled == nil }.map(\.row))
    }
    var ready = armed.isEmpty || request.limit <= 0 ? [] : try take(&rest).map { Candidate($0, .ready) }
    var full = wanted.count > 1 ? Set(try take(&rest).map { $0.integer(0) }) : []
    transaction.kinds.haveReady(full, of: wanted)
    if !unknown.isEmpty { try transaction.add(kinds: try take(&rest)) }
    if let look { ready += try readFound(look, transaction) }
    // Kinds that were created, or got ready jobs, after the first read.
    let known = Set(wanted.map(\.number))
    let all = transaction.claimable(request).filter { !paused.has($0.number) }
    // The jobs of newly paused kinds may have crowded out others, so read again.
    let isOutdated = wanted.contains { paused.has($0.number) }
    if isOutdated { (ready, full) = ([], full.filter { !paused.has($0) }) }
    let more = all.filter { kind in
      isOutdated || !known.contains(kind.number)
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
      ClaimPlan(
        all, limit: request.limit, counts, ready: ready, delayed: delayed, ended: live,
        now: transaction.now.microseconds),
      ClaimFindings(
        next: next, paused: paused, view: view, look: look, hasSwept: didSweep,
        hadToSweep: !ended.isEmpty || !delayed.isEmpty,
        isSwept: ended.count < Self.sweep && delayed.count < Self.sweep)
    )
  }

  private func next(
    _ rest: inout ArraySlice<Rows>, _ view: inout ScanCursors.View, _ transaction: Transaction
  ) throws(QudoError) -> NextTimes {
    guard time != nil else { return NextTimes(try take(&rest).next()) }
    guard let rows = rest.first, let row = rows.next() else {
      view = view.asking()
      return NextTimes(try transaction.read([view.next], clock: .statement(0)).first?.next())
    }
    rows.rewind()
    // A claim that finds fewer jobs than it wants may be the last for some time, and a job that may have expired must be looked at.
    guard let trust = view.trust else { return NextTimes(row, at: 5) }
    guard rows.count < request.limit || Self.mayExpire(rows) else {
      return NextTimes(row, at: 5, trust)
    }
    view = view.asking()
    transaction.useTime()
    return NextTimes(try transaction.read([view.next]).first?.next())
  }

  /// Whether any of the ready jobs may have an expiry.
  private static func mayExpire(_ rows: Rows) -> Bool {
    defer { rows.rewind() }
    while let row = rows.next() { if row.integer(4) & ExpiryRows.bit != 0 { return true } }
    return false
  }

  /// Returns the kinds that are paused now.
  private func paused(_ next: NextTimes, _ rest: inout ArraySlice<Rows>, _ transaction: Transaction)
    throws(QudoError) -> PausedKinds
  {
    var rows = readsPauses ? try take(&rest) : nil
    // These pauses are new to the driver, or the server was told to stop the statement.
    if next.hasPauses, rows.map({ $0.count == 0 }) ?? true { rows = try transaction.read(PausedKinds.read) }
    let hasPauses = rows.map { $0.count > 0 } ?? false
    let paused = PausedKinds(rows, now: transaction.now)
    if hasPauses || readsPauses {
      transaction.kinds.control.withLock { ($0.paused, $0.hasPauses) = (paused, hasPauses) }
    }
    return paused
  }

  /// Reads the jobs that a look below the bounds found.
  private func readFound(_ look: ScanCursors.Look, _ transaction: Transaction) throws(QudoError)
    -> [Candidate]
  {
    let reads = armed.compactMap { kind in
      look.ready[kind.number].map { found -> SQL in
        """
        SELECT kind, ranking, due, id, flags FROM qudo_ready WHERE kind = \(kind.number) \(view.ready(kind.number, from: found))
        ORDER BY ranking, due, id LIMIT \(kind.most(request.limit)) FOR UPDATE SKIP LOCKED
        """
      }
    }
    return reads.isEmpty
      ? [] : try transaction.read(reads).flatMap { rows in rows.map { Candidate($0, .ready) } }
  }

  /// Reads each kind with a separate query. If other sessions have locked all of the best jobs, these queries
  /// find the jobs behind them.
  private func readEach(_ kinds: [ClaimableKind], _ transaction: Transaction) throws(QudoError) -> [Candidate]
  {
    try transaction.read(kinds.compactMap { Self.ready([$0], request.limit) }).flatMap { rows in
      rows.map { Candidate($0, .ready) }
    }
  }

  private func take(_ rest: inout ArraySlice<Rows>) throws(QudoError) -> Rows {
    guard let rows = rest.popFirst() else {
      throw QudoError(.database, "a query of a claim returned no result set")
    }
    return rows
  }
}

/// The times at which the next delayed job is due, the next lease expires and the next job reaches its expiry, and
/// whether there are pauses and marks of cancelled jobs.
struct NextTimes {
  var due: Int64?
  var end: Int64?
  var expiry: Int64?
  let hasPauses: Bool
  let hasMarks: Bool

  /// - Parameter trust: What the claim did not ask for.
  init(_ row: Row?, at column: Int = 1, _ trust: ScanCursors.Trust? = nil) {
    due = trust?.due ?? Self.time(row, column)
    end = trust?.end ?? Self.time(row, column + 1)
    hasPauses = Self.time(row, column + 2) != nil
    hasMarks = Self.time(row, column + 3) != nil
    expiry = Self.time(row, column + 4)
  }

  /// The value for "no such time". It cannot be NULL, which MIN returns if the server was told to stop.
  static let never = Int64.max

  /// Returns the beginning of a subquery for the lowest value. The caller appends a condition and the closing
  /// parenthesis.
  static func least(_ column: SQL, _ table: SQL) -> SQL {
    "(SELECT COALESCE(MIN(\(column)), \(never)) FROM \(table)"
  }

  /// - Returns: Nil if there is no such time; the earliest possible time if it is unknown, so that the claim
  ///   looks for jobs.
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

  /// Whether waiting jobs may have expired.
  func haveExpired(_ now: Timestamp) -> Bool { expiry.map { $0 <= now.microseconds } ?? false }
}

/// The findings of a claim other than the jobs.
struct ClaimFindings {
  /// The next times before the claim.
  let next: NextTimes
  /// The kinds that are paused.
  let paused: PausedKinds
  /// The position at which the claim began. Nothing was found below it.
  let view: ScanCursors.View
  /// The findings below the bounds, if the claim looked there.
  let look: ScanCursors.Look?
  let hasSwept: Bool
  /// Whether the sweep found an expired lease or a due delayed job.
  let hadToSweep: Bool
  /// Whether the sweep left no expired lease and no due delayed job.
  let isSwept: Bool

  /// The time of the claim, if no job that was due by then is left delayed; nil if the sweep was incomplete, or the claim did not ask.
  func sweptUntil(_ now: Timestamp) -> Int64? { isSwept && view.trust == nil ? now.microseconds : nil }

  /// Returns the first expiry among the leases that the claim did not recover; nil if the sweep was
  /// incomplete, or the claim did not ask. Without any such lease it returns now, because every new lease expires later.
  func firstEnd(_ now: Timestamp) -> Int64? {
    guard isSwept, view.trust == nil else { return nil }
    guard let end = next.end else { return now.microseconds }
    return hasSwept ? min(end, now.microseconds) : end
  }
}

extension Transaction {
  /// Returns the requested kinds that the database knows and whose jobs the claim may take.
  fileprivate func claimable(_ request: ClaimRequest) -> [ClaimableKind] {
    request.demands.compactMap { demand in
      number(of: demand.kind).map { ClaimableKind(demand: demand, number: $0) }.flatMap {
        $0.most(request.limit) > 0 ? $0 : nil
      }
    }
  }
}

extension Candidate {
  /// - Parameter row: The columns kind, ranking, due, id and flags.
  init(_ row: Row, _ source: Source) {
    self.init(
      kind: row.integer(0), ranking: row.integer(1), due: row.integer(2), id: row.integer(3),
      hold: KeyHold(row.integer(4)), mayExpire: row.integer(4) & ExpiryRows.bit != 0,
      mayBeKeyed: row.integer(4) & KeyRows.bit != 0, source: source,
      mayBeGrouped: row.integer(4) & GroupRows.bit != 0)
  }
}
#endif
