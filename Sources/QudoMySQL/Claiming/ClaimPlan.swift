#if MySQL
internal import Qudo

/// A kind that a claim requests and the database knows.
struct ClaimableKind {
  let demand: ClaimRequest.KindDemand
  /// The kind's number in the database.
  let number: Int64

  /// Returns how many jobs of the kind the claim may take, at most `limit`.
  func most(_ limit: Int) -> Int { max(0, min(limit, demand.limit ?? limit)) }
}

/// A job that the claim may take, and the table that holds it.
struct Candidate {
  enum Source {
    case ready, delayed
    /// A running job whose lease has expired.
    case ended(RunningRow)
    /// A job that waits for others of its concurrency key. No claim takes it.
    case held(NumberedKey)
  }
  let kind: Int64
  let ranking: Int64
  let due: Int64
  let id: Int64
  /// The hold on the job's unique key.
  let hold: KeyHold
  /// Whether the job may have an expiry. If not, it has none.
  var mayExpire = false
  /// Whether the job may have a concurrency key. If not, it has none.
  var mayBeKeyed = false
  let source: Source
  /// Whether the job may have a row in `qudo_group`. If not, it has none.
  var mayBeGrouped = false
  /// The place that the job has got, which is not stored yet; ``due`` is the same.
  var place: GroupPlace?
  /// The due time at which the job was until it got its ``place``.
  var delayedUntil: Int64?

  /// The column `flags`: ``hold``, and bits for ``mayExpire``, ``mayBeKeyed`` and ``mayBeGrouped``.
  var flags: Int64 {
    hold.rawValue | (mayExpire ? ExpiryRows.bit : 0) | (mayBeKeyed ? KeyRows.bit : 0)
      | (mayBeGrouped ? GroupRows.bit : 0)
  }

  /// Whether a final failure keeps more than the columns that each job has: see ``Transaction/log(_:_:message:final:keyed:)``.
  var isLoggedWithKeys: Bool { mayBeKeyed || mayBeGrouped }

  var turn: (Int64, Int64, Int64) { (ranking, due, id) }
}

/// What a claim finds for a job that may have a concurrency key.
enum KeyToken {
  /// The job may begin.
  case taken
  /// There is no token: the job is late, and the next one takes its place.
  case none
  /// Another session has locked the bucket: the job stays where it is.
  case unknown
}

/// A claim's decision about the jobs that it found and locked, made without a database.
struct ClaimPlan {
  /// The claimed jobs in the order in which they should run, each with its demand.
  private(set) var chosen: [(Candidate, ClaimRequest.KindDemand)] = []
  /// Jobs for which their concurrency keys have no tokens, in their order: see ``choose(_:)``.
  private(set) var late: [Candidate] = []
  /// Due delayed jobs that become ready.
  private(set) var promoted: [Candidate] = []
  /// Running jobs whose lease has expired, and which become ready again.
  private(set) var returned: [RunningRow] = []
  /// Leases that expired once too often: the claim gives up their jobs.
  private(set) var lost: [EndedLease] = []
  /// Expired leases of jobs that are marked as cancelled: the claim ends these jobs.
  private(set) var cancelled: [EndedLease] = []
  /// Expired leases of jobs whose expiry has passed, too: the claim ends these jobs.
  private(set) var overdue: [EndedLease] = []
  /// Running rows with an expired lease whose job is missing: another program deleted it.
  private(set) var jobless: [RunningRow] = []
  /// All jobs that the claim may take, in the order in which they should run.
  let candidates: [Candidate]
  private let limit: Int
  /// How many jobs of each kind the claim may take.
  private let most: [Int64: (Int, ClaimRequest.KindDemand)]
  private let delayed: [Candidate]
  private let waiting: [RunningRow]

  /// Whether as many jobs are chosen as the claim wants.
  var isFull: Bool { chosen.count >= limit }

  /// Whether leases end without their jobs becoming ready.
  var endsJobs: Bool { !lost.isEmpty || !cancelled.isEmpty || !overdue.isEmpty || !jobless.isEmpty }

  /// The number of recovered jobs: those that become ready again, and those that the claim takes at once.
  var recovered: Int {
    returned.count
      + chosen.reduce(0) { count, one in if case .ended = one.0.source { count + 1 } else { count } }
  }

  /// Forgets the leases whose jobs have ended.
  mutating func forgetEnding() { (lost, cancelled, overdue, jobless) = ([], [], [], []) }

  /// The last ready job that the plan claims, for each kind.
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
  ///   - counts: The numbers of running jobs of the kinds with a maximum.
  ///   - ready: Ready jobs of the kinds, in any order.
  ///   - delayed: Due delayed jobs of any kind.
  ///   - ended: Expired leases of any kind.
  ///   - now: The time of the claim.
  init(
    _ kinds: [ClaimableKind], limit: Int, _ counts: RunningCounts = RunningCounts(), ready: [Candidate],
    delayed: [Candidate], ended: [EndedLease], now: Int64
  ) {
    var allowed: [Int64: (Int, ClaimRequest.KindDemand)] = [:]
    for kind in kinds {
      let most = counts.left(kind, kind.most(limit), ended)
      if most > 0 { allowed[kind.number] = (most, kind.demand) }
    }
    (self.limit, most, self.delayed) = (limit, allowed, delayed)
    jobless = ended.filter(\.isJobless).map(\.row)
    let ended = jobless.isEmpty ? ended : ended.filter { !$0.isJobless }
    cancelled = ended.filter { $0.cancelled != nil }
    lost = ended.filter { $0.isTheLast && $0.cancelled == nil }
    overdue = ended.filter { !$0.isTheLast && $0.cancelled == nil && $0.expires <= now }
    waiting = ended.filter { !$0.isTheLast && $0.cancelled == nil && $0.expires > now }.map(\.row)
    let back = waiting.map { row in
      Candidate(
        kind: row.kind, ranking: row.ranking, due: row.due, id: row.id, hold: row.hold,
        mayExpire: row.mayExpire, mayBeKeyed: row.mayBeKeyed, source: .ended(row),
        mayBeGrouped: row.mayBeGrouped)
    }
    var candidates = ready
    if !delayed.isEmpty || !back.isEmpty { candidates += delayed + back }
    // Usually the candidates are sorted already.
    if !zip(candidates, candidates.dropFirst()).allSatisfy({ $0.turn < $1.turn }) {
      candidates.sort { $0.turn < $1.turn }
    }
    self.candidates = candidates
    choose { _ in .taken }
  }

  /// Chooses the jobs to take.
  ///
  /// - Parameter token: Takes a token for a job that may have a concurrency key.
  mutating func choose(_ token: (Candidate) -> KeyToken) {
    (chosen, late) = ([], [])
    chosen.reserveCapacity(min(candidates.count, limit))
    var left = most
    var taken: Set<Int64> = []
    // The state of the previous candidate's kind.
    var (kind, count, demand) = (Int64?.none, 0, ClaimRequest.KindDemand?.none)
    for candidate in candidates {
      guard chosen.count < limit else { break }
      if candidate.kind != kind {
        if let kind { left[kind]?.0 = count }
        (kind, count, demand) = (candidate.kind, left[candidate.kind]?.0 ?? 0, left[candidate.kind]?.1)
      }
      guard count > 0, let demand else { continue }
      switch candidate.mayBeKeyed ? token(candidate) : .taken {
      case .taken: break
      case .none:
        late.append(candidate)
        taken.insert(candidate.id)
        continue
      case .unknown: continue
      }
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
