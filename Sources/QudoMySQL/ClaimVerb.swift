#if MySQL
internal import Qudo

extension Transaction {
  /// Runs the whole settle verb, which may end with a claim.
  func run(
    settling settlements: [Settlement], claiming request: ClaimRequest?
  ) throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    if let done = try wasCommitted() { return (done.settled?.results ?? [], try claim(again: done)) }
    var kinds: [Kind] = []
    for case .completed(let jobs) in settlements.map(\.outcome) { kinds += jobs.map(\.kind) }
    try makeKinds(kinds)
    let (answer, claim) = try settle(settlements, claiming: request)
    return (answer.results, claim)
  }

  /// Settles, claims and commits. This takes two round trips, and more only if a settlement may make a job
  /// ready, because the claim must find that job.
  func settle(_ settlements: [Settlement], claiming request: ClaimRequest?) throws(QudoError) -> (
    SettleAnswer, Claim?
  ) {
    guard let request else {
      let (answer, _) = try settle(settlements, reading: [])
      try commit()
      return (answer, nil)
    }
    let isAhead = !settlements.contains { $0.outcome.mayMakeReady }
    // A settlement that lets its job wait again needs the time at once.
    let ahead = isAhead ? reading(request, takesTime: settlements.allSatisfy(\.isPlain)) : nil
    var start = ContinuousClock.now
    let (answer, early) = try settle(settlements, reading: ahead?.statements ?? [], clock: ahead?.clock)
    if !isAhead { start = .now }
    // The jobs that a settlement made ready have lowered the scan cursors.
    let reading = ahead ?? reading(request, takesTime: false)
    let rows = isAhead ? early : try read(reading.statements)
    let took = ContinuousClock.now - start
    // Rows that were read ahead include running jobs whose settlement had to look them up first.
    let settled = { isAhead ? answer.settled(of: settlements) : [] }
    var (plan, findings) = try reading.plan(rows, self, settled: settled)
    // A claim that finds nothing looks everywhere. Otherwise a worker that drains the queue would have to ask
    // for that look again and again.
    if !reading.view.isWhole, !reading.view.looks, plan.chosen.count < request.limit,
      cursors.withLock({ $0.mayLook(.now) }) || plan.chosen.isEmpty
    {
      let again = ClaimReading(request, self, from: reading.view.looking(), sweeps: false, takesTime: false)
      useTime()
      (plan, findings) = try again.plan(try read(again.statements), self, settled: settled)
    }
    // The next times are still valid if this transaction changed no delayed jobs, and running jobs only by
    // plain settlements.
    let isKnown = !findings.hasSwept && answer.isPlain && lost == nil
    let claim = try claim(plan, findings, next: isKnown ? findings.next : nil)
    cursors.withLock { cursors in
      cursors.claimed(
        from: reading.view, took: took, look: findings.look, due: findings.isSwept ? now.microseconds : nil,
        ends: findings.firstEnd(now), last: plan.last, .now)
      cursors.sweeps = findings.hadToSweep
      cursors.fills = plan.chosen.count >= request.limit
    }
    return (answer, claim)
  }

  private func reading(_ request: ClaimRequest, takesTime: Bool) -> ClaimReading {
    let (view, sweeps, fills) = cursors.withLock { cursors in
      cursors.entered(entries)
      return (cursors.view(.now), cursors.sweeps, cursors.fills)
    }
    return ClaimReading(request, self, from: view, sweeps: sweeps, takesTime: takesTime && fills && !sweeps)
  }

  func promote(limit: Int) throws(QudoError) -> Int {
    guard limit > 0 else { return 0 }
    let due = try read(ClaimReading.delayed(limit)).map { Candidate($0, .delayed) }
    promote(due, ready: due)
    try commit(leavingReceipt: false)
    return due.count
  }

  private func promote(_ due: [Candidate], ready: [Candidate]) {
    for job in ready { entries.add(job.kind, ScanCursors.Key(job)) }
    var points = PointPredicate()
    for job in due { points.add("due = \(job.due)", job.id) }
    for (condition, count) in points.counted {
      write("DELETE FROM qudo_delayed WHERE \(condition)", count: count)
    }
    for part in ready.parts(of: 1000) {
      let rows = part.map { job -> SQL in
        "(\(job.kind),\(job.ranking),\(job.due),\(job.id),\(job.hold.rawValue))"
      }
      write("INSERT INTO qudo_ready(kind, ranking, due, id, frees) VALUES\(rows.joined(","))")
    }
  }

  /// - Parameter next: The next times before the claim, if nothing else in this transaction has changed them.
  private func claim(_ plan: ClaimPlan, _ findings: ClaimFindings, next: NextTimes?) throws(QudoError)
    -> Claim
  {
    let givenUp = try givenUp(plan.lost)
    try takeBack(plan)
    var delayed = plan.promoted
    for (job, _) in plan.chosen {
      if case .delayed = job.source { delayed.append(job) }
    }
    promote(delayed, ready: plan.promoted)
    var rows = start(plan.chosen)
    (rows.givenUp, rows.recovered) = (givenUp, plan.recovered)
    (rows.pauseEnd, rows.looksForMarks) = (findings.paused.firstEnd, findings.next.hasMarks)
    if rows.looksForMarks { deleteOrphanMarks() }
    return try read(rows, from: findings.view, next: next)
  }

  /// Reads the jobs claimed by this transaction, or by the one that it repeats.
  private func read(_ claimed: ClaimedRows, from view: ScanCursors.View, next: NextTimes?) throws(QudoError)
    -> Claim
  {
    receipt.claimed = claimed
    let reads = claimed.reads
    // Read the marks last, so that the jobs that this transaction ends are not among them.
    let marks = claimed.looksForMarks ? [CancelMarks.jobs] : []
    let rows = try commit(reading: reads + marks + (next == nil ? [view.next] : []))
    var jobs = try claimed.jobs(rows.prefix(reads.count))
    // Jobs are missing if they were deleted, or if the server was told to stop a SELECT: see ``Write``. By
    // now they are claimed.
    if jobs.count < claimed.jobs.count, let again = try? connection.run(reads + ["COMMIT"]) {
      jobs = try claimed.jobs(again.compactMap(\.rows)[...])
    }
    let cancelling = note(marks: claimed.looksForMarks ? rows[reads.count] : nil)
    var claim = Claim(
      jobs: jobs, givenUp: claimed.givenUp, recovered: claimed.recovered, cancelling: cancelling)
    var times = next ?? NextTimes(rows.last?.next())
    // Next times that were read from a bound may not include the new leases.
    if let end = claimed.firstEnd { times.end = min(times.end ?? end, end) }
    if let end = claimed.pauseEnd { times.due = min(times.due ?? end, end) }
    claim.timeUntilNextDue = times.due.map { .microseconds(max(0, $0.clampedMinus(now.microseconds))) }
    claim.timeUntilNextLeaseExpiry = times.end.map {
      .microseconds(max(0, $0.clampedMinus(now.microseconds)))
    }
    return claim
  }

  /// - Parameter done: The token of a committed transaction whose answer was lost.
  func claim(again done: CommitToken) throws(QudoError) -> Claim? {
    guard let claimed = done.claimed else { return nil }
    return try read(claimed, from: ScanCursors.View(), next: nil)
  }

  /// Reads the reports of jobs that are about to be given up.
  private func givenUp(_ leases: [EndedLease]) throws(QudoError) -> [GivenUpJob] {
    guard !leases.isEmpty else { return [] }
    var jobs: [Int64: GivenUpJob] = [:]
    let lost = Dictionary(leases.map { ($0.row.id, $0.lost.clampedPlus(1)) }, uniquingKeysWith: max)
    let looks = lost.keys.sorted().parts().map { part -> SQL in
      "SELECT j.id, k.name, j.attempt, j.unique_key FROM qudo_job AS j JOIN qudo_kind AS k ON k.id = j.kind WHERE j.id IN \(list: part)"
    }
    for rows in try read(looks) {
      try rows.forEach { row throws(QudoError) in
        let id = row.integer(0)
        jobs[id] = GivenUpJob(
          id: id, kind: Kind(row.text(1)), attempt: Int(row.integer(2)), expiredLeases: Int(lost[id] ?? 0),
          uniqueKey: row.textIfAny(3))
      }
    }
    return leases.compactMap { jobs[$0.row.id] }
  }

  /// Makes jobs with an expired lease ready again in their old position, or gives them up. Cancelled jobs end.
  private func takeBack(_ plan: ClaimPlan) throws(QudoError) {
    let ending = (plan.lost + plan.cancelled).sorted { ($0.row.ends, $0.row.id) < ($1.row.ends, $1.row.id) }
    let lost = ending.map(\.row)
    for lease in ending {
      log(
        lease.row.id, lease.cancelled == nil ? .lost : .cancelled,
        message: lease.cancelled
          ?? "the lease was lost \(lease.lost.clampedPlus(1)) times: the worker died or hung each time",
        final: true)
    }
    leaveRunning(try gone(plan.jobless))
    var again = plan.returned
    for case (let job, _) in plan.chosen {
      if case .ended(let row) = job.source { again.append(row) }
    }
    let gone = lost + again
    guard !gone.isEmpty else { return }
    leaveRunning(gone)
    deleteJobs(lost.map { DeletedJob(job: $0.id, hold: $0.hold) })
    deleteMarks(of: plan.cancelled.map(\.row.id), areKnown: true)
    for part in again.map(\.id).sorted().parts() {
      write("UPDATE qudo_job SET lost = lost + 1 WHERE \(ids: part)", count: part.count)
    }
    if !plan.returned.isEmpty { enter(ready: plan.returned) }
  }

  /// Returns the rows whose jobs are still missing at a second look.
  private func gone(_ jobless: [RunningRow]) throws(QudoError) -> [RunningRow] {
    guard !jobless.isEmpty else { return [] }
    let looks = jobless.map(\.id).sorted().parts().map { part -> SQL in
      "SELECT id FROM qudo_job WHERE id IN \(list: part)"
    }
    let live = Set(try read(looks).flatMap { rows in rows.map { $0.integer(0) } })
    return jobless.filter { !live.contains($0.id) }
  }

  /// From this number on, the server copies the rows of the ready jobs itself. For a thousand rows that takes
  /// 1.4 ms; a list of values takes 2.1 ms, and so did copying from the jobs. For a few rows, a list is
  /// cheaper than a second table.
  private static let leastCopied = 8

  /// Removes ready jobs from their table, and files all chosen jobs as running.
  private func start(_ chosen: [(Candidate, ClaimRequest.KindDemand)]) -> ClaimedRows {
    var rows = ClaimedRows(holdingKeys: chosen.contains { $0.0.hold == .untilFinished })
    rows.jobs.reserveCapacity(chosen.count)
    var ready = Groups<ClaimedRows.Terms, Int>()
    var written: [SQL] = []
    func row(_ job: Candidate, _ terms: ClaimedRows.Terms) -> SQL {
      "(\(job.id),\(terms.ends),\(rows.token),\(job.kind),\(job.ranking),\(job.due),\(terms.lostLimit))"
    }
    for (index, (job, demand)) in chosen.enumerated() {
      let terms = ClaimedRows.Terms(
        ends: end(of: demand.leaseDuration), lostLimit: Int64(demand.maxExpiredLeases))
      entries.add(lease: terms.ends)
      if case .ready = job.source { ready.add(index, to: terms) } else { written.append(row(job, terms)) }
      rows.jobs.append(
        ClaimedRows.Row(id: job.id, kind: demand.kind, ends: terms.ends, ranking: job.ranking, due: job.due))
    }
    for (terms, indices) in ready.all where indices.count < Self.leastCopied {
      for index in indices { written.append(row(chosen[index].0, terms)) }
    }
    // Insert these rows before the ready rows are deleted, so that the commit token, which comes last,
    // carries the check of that deletion.
    for part in written.parts(of: 1000) {
      write("INSERT INTO qudo_running(\(RunningRow.columns)) VALUES\(part.joined(","))")
    }
    for (terms, indices) in ready.all {
      var places = ReadyRows()
      for index in indices { places.add(chosen[index].0) }
      for (condition, count) in places.conditions(asPoints: isRepeated) {
        if indices.count >= Self.leastCopied {
          write(
            """
            INSERT INTO qudo_running(\(RunningRow.columns))
            SELECT id, \(terms.ends), \(rows.token), kind, ranking, due, \(terms.lostLimit) FROM qudo_ready WHERE \(condition)
            """, count: count)
        }
        write("DELETE FROM qudo_ready WHERE \(condition)", count: count)
      }
    }
    let started = chosen.filter { $0.0.hold == .untilStarted }.map(\.0.id).sorted()
    free(keysOf: started)
    for part in started.parts() {
      write(Write.check("EXISTS(SELECT 1 FROM qudo_unique WHERE job IN \(list: part))"))
    }
    return rows
  }
}

/// The jobs that a claim is taking.
struct ClaimedRows {
  struct Terms: Hashable {
    let ends: Int64
    let lostLimit: Int64
  }
  /// The facts that are known before the job is read.
  struct Row {
    let id: Int64
    let kind: Kind
    let ends: Int64
    let ranking: Int64
    let due: Int64
  }
  let token: Int64
  /// In the order in which they should run.
  var jobs: [Row] = []
  /// The jobs that the same transaction gave up because their leases expired too often, and the number of
  /// jobs that it recovered.
  var givenUp: [GivenUpJob] = []
  var recovered = 0
  /// When the first pause ends.
  var pauseEnd: Int64?
  /// Whether there are marks of cancelled jobs.
  var looksForMarks = false

  /// - Parameter holdingKeys: Whether one of the jobs may hold a unique key until it ends. The token tells
  ///   this to the settlement: most jobs hold no key, and are settled without a lookup of keys.
  init(holdingKeys: Bool) { token = Int64.random(in: 2...Int64.max) & ~1 | (holdingKeys ? 1 : 0) }

  static func mayHoldKeys(_ token: Int64) -> Bool { token & 1 == 1 }

  /// The time at which the first of the leases expires.
  var firstEnd: Int64? { jobs.lazy.map(\.ends).min() }

  var reads: [SQL] {
    jobs.map(\.id).sorted().idParts().map { part in
      "SELECT id, payload, codec, unique_key, attempt, enqueued, meta FROM qudo_job WHERE \(ids: part)"
    }
  }

  func jobs(_ parts: ArraySlice<Rows>) throws(QudoError) -> [ClaimedJob] {
    var found: [ClaimedJob] = []
    found.reserveCapacity(jobs.count)
    // Jobs that arrive in another order than `jobs`.
    var others: [Int64: ClaimedJob] = [:]
    var known: [Int64: Row] = [:]
    for rows in parts {
      try rows.forEach { row throws(QudoError) in
        let id = row.integer(0)
        if found.count < jobs.count, jobs[found.count].id == id {
          found.append(claimed(jobs[found.count], row))
        } else {
          if known.isEmpty { for job in jobs { known[job.id] = job } }
          if let job = known[id] { others[id] = claimed(job, row) }
        }
      }
    }
    // If another program deleted a job, the claim must still return the others. The job's row keeps running
    // without a worker until its lease expires, and is then removed.
    found += jobs[found.count...].compactMap { others[$0.id] }
    return found
  }

  private func claimed(_ job: Row, _ row: QudoMySQL.Row) -> ClaimedJob {
    ClaimedJob(
      lease: Lease(job: job.id, token: token, holder: 0, expiresAt: job.ends), kind: job.kind,
      payload: Payload(row.bytes(1), codec: CodecID(row.integer(2))), priority: 0 &- Int(job.ranking),
      uniqueKey: row.textIfAny(3),
      attempt: Int(row.integer(4)), enqueuedAt: Timestamp(microseconds: row.integer(5)),
      dueAt: Timestamp(microseconds: job.due),
      metadata: JobMetadata(bytes: row.bytes(6)))
  }
}

extension SettleAnswer {
  /// Returns the ids of the jobs that were settled.
  func settled(of settlements: [Settlement]) -> Set<Int64> {
    var ids: Set<Int64> = []
    for (settlement, answer) in zip(settlements, answers) {
      if case .known(.leaseLost) = answer { continue }
      ids.insert(settlement.lease.job)
    }
    return ids
  }
}
#endif
