#if MySQL
internal import Qudo

extension Transaction {
  /// Delays jobs that a claim has locked: they are ready, due, or have an expired lease, which counts.
  func delay(_ jobs: [(Candidate, until: Int64)]) {
    let rows = jobs.compactMap(\.0.ended)
    leaveWaiting(jobs.lazy.map(\.0).filter { $0.ended == nil }.map(\.stored))
    leaveRunning(rows)
    for part in rows.map(\.id).sorted().parts() {
      write("UPDATE qudo_job SET lost = lost + 1 WHERE \(ids: part)", count: part.count)
    }
    var groups = Groups<Int64, Int64>()
    for (job, due) in jobs { groups.add(job.id, to: due) }
    for (due, ids) in groups.all {
      for part in ids.sorted().idParts() {
        write("UPDATE qudo_job SET due = \(due) WHERE \(ids: part)", count: part.count)
      }
    }
    clearPlaces(of: jobs.lazy.map(\.0).filter(\.mayBeGrouped).map(\.id))
    storeExpiries(of: rows.filter(\.mayExpire).map(\.id))
    insertWaiting(ready: [], delayed: jobs.map { $0.0.delayed(until: $0.until) })
  }
}

extension Candidate {
  /// The row of a running job whose lease has expired; nil for any other job.
  var ended: RunningRow? { if case .ended(let row) = source { row } else { nil } }

  /// The job where its row is.
  fileprivate var stored: Candidate { moved(to: delayedUntil ?? due) }

  /// The job as a delayed one.
  func delayed(until due: Int64) -> Candidate { moved(to: due) }

  private func moved(to due: Int64) -> Candidate {
    Candidate(
      kind: kind, ranking: ranking, due: due, id: id, hold: hold, mayExpire: mayExpire,
      mayBeKeyed: mayBeKeyed, source: source, mayBeGrouped: mayBeGrouped)
  }
}
#endif
