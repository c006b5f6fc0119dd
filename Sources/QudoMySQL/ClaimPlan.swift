#if MySQL
internal import Qudo

/// One of a worker's kinds that the database knows.
struct ClaimableKind {
  let demand: ClaimRequest.KindDemand
  /// Its number in the database.
  let number: Int64

  /// How many of it may be claimed.
  func most(_ limit: Int) -> Int { max(0, min(limit, demand.limit ?? limit)) }
}

/// A job that may be claimed, and where it was found.
struct Candidate {
  enum Source {
    case ready, delayed
    /// Its lease has ended.
    case ended(RunningRow)
  }
  let kind: Int64
  let ranking: Int64
  let due: Int64
  let id: Int64
  /// What is kept of its unique key.
  let hold: KeyHold
  let source: Source

  var turn: (Int64, Int64, Int64) { (ranking, due, id) }
}

/// What a claim does with the jobs that it found and locked, decided without a database.
struct ClaimPlan {
  /// In the order in which they should run, each with its demand.
  private(set) var chosen: [(Candidate, ClaimRequest.KindDemand)] = []
  /// Due, and ready from now on.
  private(set) var promoted: [Candidate] = []
  /// Their leases ended, and they wait again.
  private(set) var returned: [RunningRow] = []
  /// Their leases ended too often.
  private(set) var lost: [EndedLease] = []
  /// Their leases ended, and the jobs are not there: somebody else has deleted them.
  private(set) var jobless: [RunningRow] = []

  /// How many jobs of expired leases go on.
  var recovered: Int {
    returned.count
      + chosen.reduce(0) { count, one in if case .ended = one.0.source { count + 1 } else { count } }
  }

  /// For each kind the last one of the ready that is claimed.
  var last: [Int64: ScanCursors.Key] {
    var last: [Int64: ScanCursors.Key] = [:]
    var found: Candidate?
    for (job, _) in chosen {
      guard case .ready = job.source else { continue }
      if let found, found.kind != job.kind { last[found.kind] = ScanCursors.Key(found) }
      found = job
    }
    if let found { last[found.kind] = ScanCursors.Key(found) }
    return last
  }

  /// - Parameters:
  ///   - ready: of the kinds, in whatever order.
  ///   - delayed: that are due, of whatever kind.
  ///   - ended: leases that have ended, of whatever kind.
  init(_ kinds: [ClaimableKind], limit: Int, ready: [Candidate], delayed: [Candidate], ended: [EndedLease]) {
    jobless = ended.filter(\.isJobless).map(\.row)
    let ended = jobless.isEmpty ? ended : ended.filter { !$0.isJobless }
    lost = ended.filter(\.isTheLast)
    let waiting = ended.filter { !$0.isTheLast }.map(\.row)
    let back = waiting.map { row in
      Candidate(
        kind: row.kind, ranking: row.ranking, due: row.due, id: row.id, hold: row.hold, source: .ended(row))
    }
    var left: [Int64: (Int, ClaimRequest.KindDemand)] = [:]
    for kind in kinds where kind.most(limit) > 0 { left[kind.number] = (kind.most(limit), kind.demand) }
    var candidates = ready
    if !delayed.isEmpty || !back.isEmpty { candidates += delayed + back }
    // Most often they are in order already.
    if !zip(candidates, candidates.dropFirst()).allSatisfy({ $0.turn < $1.turn }) {
      candidates.sort { $0.turn < $1.turn }
    }
    chosen.reserveCapacity(min(candidates.count, limit))
    var taken: Set<Int64> = []
    // Of the kind of the one before.
    var (kind, count, demand) = (Int64?.none, 0, ClaimRequest.KindDemand?.none)
    for candidate in candidates {
      guard chosen.count < limit else { break }
      if candidate.kind != kind {
        if let kind { left[kind]?.0 = count }
        (kind, count, demand) = (candidate.kind, left[candidate.kind]?.0 ?? 0, left[candidate.kind]?.1)
      }
      guard count > 0, let demand else { continue }
      count -= 1
      chosen.append((candidate, demand))
      if case .ready = candidate.source { continue }
      taken.insert(candidate.id)
    }
    promoted = delayed.filter { !taken.contains($0.id) }
    returned = waiting.filter { !taken.contains($0.id) }
  }
}
#endif
