internal import Logging

/// The reports to the log and the hooks.
extension Pump {
  func report(_ settlements: [Settlement], _ results: [SettleResult]) {
    for (settlement, result) in zip(settlements, results) {
      if result == .cancelled {
        logger.notice("job cancelled", metadata: ["job": "\(driver.name)/\(settlement.lease.job)"])
      }
      guard result == .leaseLost, !settlement.mayBeCompletedExternally else { continue }
      logger.warning(
        "lease lost, outcome discarded", metadata: ["job": "\(driver.name)/\(settlement.lease.job)"])
    }
    tellHooks(settlements, results)
  }

  /// Has the hooks told of runs whose outcome the database has answered. It does not wait for them.
  func tellHooks(_ settlements: [Settlement], _ results: [SettleResult]) {
    guard hooks.didEnqueue != nil || hooks.didSettle != nil else { return }
    let entries = zip(settlements, results).filter { settlement, _ in
      if hooks.didSettle != nil, settlement.run != nil { return true }
      guard hooks.didEnqueue != nil, case .completed(let jobs) = settlement.outcome else { return false }
      return !jobs.isEmpty
    }
    hookQueue.add(entries.map { ($0, $1) }, tell: { await self.tellHooks($0) }, caughtUp: { self.signal() })
  }

  func tellHooks(_ entry: HookQueue.Entry) async {
    let (settlement, result) = entry
    if let didEnqueue = hooks.didEnqueue, case .completed(let jobs) = settlement.outcome,
      case .settled(let replaced) = result
    {
      for (job, result) in zip(jobs, replaced) {
        await didEnqueue(job, EnqueueResult(result, database: driver.name))
      }
    }
    if let didSettle = hooks.didSettle, let run = settlement.run {
      await didSettle(SettledRun(run, settlement, result, database: driver.name))
    }
  }

  /// Reports the jobs of workers that died or hung, and those that expired.
  func report(_ claim: Claim) {
    if claim.recovered > 0 {
      logger.info(
        "jobs of expired leases recovered",
        metadata: ["database": "\(driver.name)", "jobs": "\(claim.recovered)"])
    }
    let expired = claim.givenUp.count { $0.reason == .expired }
    if expired > 0 {
      logger.notice(
        "waiting jobs expired", metadata: ["database": "\(driver.name)", "jobs": "\(expired)"])
    }
    for job in claim.givenUp {
      hooks.didGiveUp?(job, driver.name)
      guard job.reason != .expired else { continue }
      logger.error(
        "job given up: its lease expired \(job.expiredLeases) times",
        metadata: ["job": "\(driver.name)/\(job.id)", "kind": "\(job.kind)", "attempt": "\(job.attempt)"])
    }
  }

  func reportStuck(_ count: Int) {
    logger.error(
      "slots stuck, worker ends",
      metadata: ["slots": "\(count)", "maximum": "\(engine.options.maxStuckSlots ?? 0)"])
  }

  func leaseLost(_ job: ClaimedJob) {
    logger.warning(
      "lease lost, job cancelled", metadata: ["job": "\(driver.name)/\(job.id)", "kind": "\(job.kind)"])
    hooks.leaseLost?(job)
  }
}
