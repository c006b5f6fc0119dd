#if MySQL
internal import Qudo

/// The jobs that a claim ends, and those that it recovers.
extension Transaction {
  /// Ends jobs before the claim takes others: those that were lost, those that are marked as cancelled, and those that
  /// have expired.
  ///
  /// - Parameters:
  ///   - plan: Loses the leases that this method ends.
  ///   - counts: Loses them too.
  /// - Returns: Whether the claim must read again: jobs are gone or new that may be among those that it read.
  func end(
    _ plan: inout ClaimPlan, _ findings: ClaimFindings, _ ended: inout EndedJobs,
    _ counts: inout RunningCounts
  ) throws(QudoError) -> Bool {
    var isStale = false
    hasAdmitted = false
    let overdue = plan.overdue
    if plan.endsJobs {
      // Once, so that the work of a claim is bounded.
      isStale = try end(leasesOf: plan, &ended, &counts) && !ended.hasReadAgain
      plan.forgetEnding()
    }
    ended.recovered += overdue.count
    counts.leave(overdue.map(\.row))
    if !ended.hasSwept, findings.next.haveExpired(now) {
      ended.hasSwept = true
      let (jobs, hasMore) = try expireWaiting(overdue)
      ended.expired += jobs
      ended.hasMore = hasMore
      isStale = isStale || !jobs.isEmpty || hasMore
    } else if !overdue.isEmpty {
      ended.expired += try expire([], overdue).jobs
    }
    isStale = isStale || hasAdmitted && !ended.hasReadAgain
    ended.hasReadAgain = ended.hasReadAgain || isStale
    guard !isStale, ended.hasSwept || isRepeated else { return isStale }
    // Those whose rows others had locked.
    let late = plan.chosen.map(\.0).filter { job in
      if case .ended = job.source { false } else { job.mayExpire }
    }
    guard !late.isEmpty, ended.passes < EndedJobs.mostPasses else { return false }
    ended.passes += 1
    let (jobs, _) = try expire(late, rowsStay: true)
    ended.expired += jobs
    return !jobs.isEmpty
  }

  /// Ends the jobs of expired leases that were lost, or are marked as cancelled.
  ///
  /// - Returns: Whether final failures enqueued other jobs.
  private func end(leasesOf plan: ClaimPlan, _ ended: inout EndedJobs, _ counts: inout RunningCounts)
    throws(QudoError) -> Bool
  {
    let leases = (plan.lost + plan.cancelled).sorted {
      ($0.row.ends, $0.row.id) < ($1.row.ends, $1.row.id)
    }
    let jobs = try ending(plan.lost.map(\.row.id))
    var targets: [Int64: Int64] = [:]
    for lease in plan.lost {
      guard let job = jobs[lease.row.id] else { continue }
      // Unknown, because the server was told to stop the statement.
      guard let target = job.target else { throw .short(0, 1) }
      if target != 0 { targets[job.id] = target }
    }
    let routed = try routed(targets)
    try lockKeys(ofEnding: leases.map { DeletedJob($0.row) })
    for rows in [try gone(plan.jobless), leases.map(\.row)] {
      leaveRunning(rows)
      counts.leave(rows)
    }
    var failed: [(job: RoutedJob, reason: FailureReason, message: String)] = []
    var ending: [DeletedJob] = []
    for lease in leases {
      let (reason, message) = lease.end
      let stopsKey = reason.stopsKeys && stopsKey(lease.row.id)
      if stopsKey {
        // What those before it admit is admitted.
        try enqueue(failed)
        try deleteJobs(ending)
        (failed, ending) = ([], [])
      }
      log(lease.row.id, reason, message: message, final: true, keyed: lease.row.isLoggedWithKeys)
      if stopsKey { stopKey(ofFailed: lease.row.id) }
      if reason == .lost, let job = routed[lease.row.id] { failed.append((job, reason, message)) }
      ending.append(DeletedJob(lease.row))
    }
    try enqueue(failed)
    try deleteJobs(ending)
    deleteMarks(of: plan.cancelled.map(\.row.id), areKnown: true)
    ended.lost += plan.lost.compactMap { lease in
      jobs[lease.row.id]?.givenUp(.lost, expiredLeases: lease.lost.clampedPlus(1))
    }
    return !routed.isEmpty
  }

  /// Makes jobs with an expired lease ready again in their old position.
  func takeBack(_ plan: ClaimPlan) {
    var again = plan.returned
    for case (let job, _) in plan.chosen {
      if case .ended(let row) = job.source { again.append(row) }
    }
    guard !again.isEmpty else { return }
    leaveRunning(again)
    for part in again.map(\.id).sorted().parts() {
      write("UPDATE qudo_job SET lost = lost + 1 WHERE \(ids: part)", count: part.count)
    }
    guard !plan.returned.isEmpty else { return }
    enter(ready: plan.returned)
    storeExpiries(of: plan.returned.filter(\.mayExpire).map(\.id))
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
}

/// The jobs that a claim ended.
struct EndedJobs {
  /// The maximum number of times that a claim reads again because of a job that others had locked.
  static let mostPasses = 10

  /// In the order in which their leases expired.
  var lost: [GivenUpJob] = []
  var expired: [GivenUpJob] = []
  /// The number of expired jobs that were recovered first.
  var recovered = 0
  /// Whether the claim has looked for expired jobs.
  var hasSwept = false
  var hasReadAgain = false
  /// Whether more jobs have expired. Then the claim takes none.
  var hasMore = false
  var passes = 0

  var hasExpired: Bool { hasSwept || !expired.isEmpty }
  var givenUp: [GivenUpJob] { lost + expired.sorted { $0.id < $1.id } }
}
#endif
