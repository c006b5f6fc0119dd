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
    let limited = request?.limitedKinds ?? []
    kinds += limited
    try makeKinds(kinds)
    if !settlements.isEmpty, self.kinds.control.withLock({ $0.takeAtMaxRunning() }) { wakes = true }
    let (answer, claim) = try settle(settlements, claiming: request, limited)
    return (answer.results, claim)
  }

  /// Settles, claims and commits. This takes two round trips, and more only if a settlement may make a job
  /// ready, because the claim must find that job.
  ///
  /// - Parameter limited: ``ClaimRequest/limitedKinds``. They take another round trip.
  private func settle(
    _ settlements: [Settlement], claiming request: ClaimRequest?, _ limited: Set<Kind>
  ) throws(QudoError) -> (SettleAnswer, Claim?) {
    guard var request else {
      let (answer, _) = try settle(settlements, reading: [])
      try commit()
      return (answer, nil)
    }
    // A job that waits again after its expiry expires at once, and one that ends may admit another one of its key.
    var isAhead =
      limited.isEmpty
      && !settlements.contains { settlement in
        settlement.outcome.mayMakeReady
          || settlement.outcome.waits && ClaimedRows.mayExpire(settlement.lease.token)
          || ClaimedRows.mayBeKeyed(settlement.lease.token)
      }
    // An enqueue with a maximum of waiting jobs locks kinds before concurrency keys, too.
    if !limited.isEmpty, settlements.contains(where: { ClaimedRows.mayBeKeyed($0.lease.token) }) {
      _ = try read(KindCache.lock(try requireNumbers(of: limited)))
    }
    // A settlement that lets its job wait again needs the time at once.
    let ahead = isAhead ? reading(request, takesTime: settlements.allSatisfy(\.isPlain)) : nil
    var start = ContinuousClock.now
    let (answer, early) = try settle(settlements, reading: ahead?.statements ?? [], clock: ahead?.clock)
    var counts = RunningCounts()
    var rated: [RatedClaim] = []
    if !limited.isEmpty { (request, counts, rated) = try withinLimits(request, limited) }
    // The rows that were read ahead lack the jobs that final failures have enqueued.
    if answer.enqueues { isAhead = false }
    if !isAhead { start = .now }
    // The jobs that a settlement made ready have lowered the scan cursors.
    let reading = (isAhead ? ahead : nil) ?? reading(request, counts, takesTime: false)
    let rows = isAhead ? early : try read(reading.statements)
    let took = ContinuousClock.now - start
    // Rows that were read ahead include running jobs whose settlement had to look them up first.
    let settled = { [isAhead] in isAhead ? answer.settled(of: settlements) : [] }
    var (plan, findings) = try reading.plan(rows, self, settled: settled)
    // A claim that finds nothing looks everywhere. Otherwise a worker that drains the queue would have to ask
    // for that look again and again.
    if !reading.view.isWhole, !reading.view.looks, plan.chosen.count < request.limit,
      cursors.withLock({ $0.mayLook(.now) }) || plan.chosen.isEmpty
    {
      let again = ClaimReading(
        request, counts, self, from: reading.view.looking(), sweeps: false, takesTime: false)
      useTime()
      (plan, findings) = try again.plan(try read(again.statements), self, settled: settled)
    }
    var (ended, tokens) = (EndedJobs(), KeyTokens())
    while try isStale(&plan, findings, &ended, &tokens, &counts) {
      let rest = ended.hasMore || tokens.hasMore ? ClaimRequest(request.demands, limit: 0) : request
      let again = ClaimReading(
        rest, counts, self, from: reading.view.looking(), sweeps: findings.hasSwept, ahead: tokens.readAhead,
        takesTime: false)
      useTime()
      (plan, findings) = try again.plan(try read(again.statements), self, settled: settled)
    }
    // The next times are still valid if this transaction changed no delayed jobs, and running jobs only by
    // plain settlements.
    let isKnown =
      !findings.hasSwept && answer.isPlain && lost == nil && !ended.hasExpired && !tokens.hasDelayed
    ended.recovered += tokens.recovered
    ended.hasMore = ended.hasMore || tokens.hasMore
    var nextToken = takeTokens(rated, for: plan, findings.paused)
    if tokens.hasSkipped {
      nextToken = min(nextToken ?? .max, now.microseconds.clampedPlus(KeyTokens.pause))
    }
    let claim = try claim(plan, findings, ended, nextToken, next: isKnown ? findings.next : nil)
    cursors.withLock { cursors in
      cursors.claimed(
        from: reading.view, took: took, look: findings.look, due: findings.sweptUntil(now),
        ends: findings.firstEnd(now), last: plan.last, .now)
      if findings.view.trust == nil, isKnown, !entries.endTrust { cursors.asked(findings.next, now, .now) }
      cursors.sweeps = findings.hadToSweep
      cursors.fills = plan.chosen.count >= request.limit
    }
    return (answer, claim)
  }

  /// Whether the claim must read again, because it ended or delayed jobs.
  private func isStale(
    _ plan: inout ClaimPlan, _ findings: ClaimFindings, _ ended: inout EndedJobs, _ tokens: inout KeyTokens,
    _ counts: inout RunningCounts
  ) throws(QudoError) -> Bool {
    if try end(&plan, findings, &ended, &counts) { return true }
    return try takeKeyTokens(&plan, &tokens, &counts)
  }

  private func reading(
    _ request: ClaimRequest, _ counts: RunningCounts = RunningCounts(), takesTime: Bool
  ) -> ClaimReading {
    let (view, sweeps, fills) = cursors.withLock { cursors in
      cursors.entered(entries)
      return (cursors.view(.now), cursors.sweeps, cursors.fills)
    }
    return ClaimReading(
      request, counts, self, from: view, sweeps: sweeps, takesTime: takesTime && fills && !sweeps)
  }

  func promote(limit: Int) throws(QudoError) -> Int {
    guard limit > 0 else { return 0 }
    if let done = try wasCommitted() { return done.promoted }
    let due = try placing(try read(ClaimReading.delayed(limit)).map { Candidate($0, .delayed) })
    promote(due, ready: due)
    receipt.promoted = due.count
    try commit()
    return due.count
  }

  private func promote(_ due: [Candidate], ready: [Candidate]) {
    for job in ready { entries.add(job.kind, ScanCursors.Key(job)) }
    var points = PointPredicate()
    for job in due { points.add("due = \(job.delayedUntil ?? job.due)", job.id) }
    store(places: due)
    for (condition, count) in points.counted {
      write("DELETE FROM qudo_delayed WHERE \(condition)", count: count)
    }
    for part in ready.parts(of: 1000) {
      let rows = part.map { job -> SQL in
        "(\(job.kind),\(job.ranking),\(job.due),\(job.id),\(job.flags))"
      }
      write("INSERT INTO qudo_ready(kind, ranking, due, id, flags) VALUES\(rows.joined(","))")
    }
  }

  /// - Parameters:
  ///   - nextToken: When a rate lets the next job begin.
  ///   - next: The next times before the claim, if nothing else in this transaction has changed them.
  private func claim(
    _ plan: ClaimPlan, _ findings: ClaimFindings, _ ended: EndedJobs, _ nextToken: Int64?, next: NextTimes?
  ) throws(QudoError) -> Claim {
    takeBack(plan)
    var delayed = plan.promoted
    for (job, _) in plan.chosen {
      if case .delayed = job.source { delayed.append(job) }
    }
    promote(delayed, ready: plan.promoted)
    var rows = start(plan.chosen)
    (rows.givenUp, rows.recovered) = (ended.givenUp, ended.recovered + plan.recovered)
    rows.hasMore = ended.hasMore
    rows.nextToken = nextToken
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
    var view = view
    if next == nil { view = view.asking() }
    // By now they are handled, or others handle them.
    view.expiriesAfter = now.microseconds
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
    if let expiry = times.expiry { times.due = min(times.due ?? expiry, expiry) }
    // The worker looks again when the claims stop to trust.
    if next != nil, let until = view.trust?.until {
      let look = now.advanced(by: until - .now).microseconds
      times.due = min(times.due ?? look, look)
    }
    // Next times that were read from a bound may not include the new leases.
    if let end = claimed.firstEnd { times.end = min(times.end ?? end, end) }
    if let token = claimed.nextToken { times.due = min(times.due ?? token, token) }
    if let end = claimed.pauseEnd { times.due = min(times.due ?? end, end) }
    claim.timeUntilNextDue = times.due.map { .microseconds(max(0, $0.clampedMinus(now.microseconds))) }
    // Rows whose jobs another program deleted gave no jobs, and others may wait behind them.
    if claimed.hasMore || jobs.count < claimed.jobs.count { claim.timeUntilNextDue = .zero }
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

  /// From this number on, the server copies the rows of the ready jobs itself. For a thousand rows that takes
  /// 1.4 ms; a list of values takes 2.1 ms, and so did copying from the jobs. For a few rows, a list is
  /// cheaper than a second table.
  private static let leastCopied = 8

  /// Removes ready jobs from their table, and files all chosen jobs as running.
  private func start(_ chosen: [(Candidate, ClaimRequest.KindDemand)]) -> ClaimedRows {
    let mayExpire = chosen.contains { $0.0.mayExpire }
    if mayExpire { checkExpiries(of: chosen.map(\.0)) }
    var rows = ClaimedRows(
      holdingKeys: chosen.contains { $0.0.hold.outlastsStart }, expiring: mayExpire,
      keyed: chosen.contains { $0.0.mayBeKeyed }, throttled: chosen.contains { $0.0.hold == .rests },
      grouped: chosen.contains { $0.0.mayBeGrouped })
    if rows.areGrouped { note(groupedKindsOf: chosen.map(\.0)) }
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
