#if MySQL
internal import Qudo

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
  /// When the rate of a kind lets its next job begin, if it held up jobs that the claim wanted.
  var nextToken: Int64?
  /// Whether there are marks of cancelled jobs.
  var looksForMarks = false
  /// Whether more jobs have expired than one claim ends.
  var hasMore = false

  /// The token tells the settlement what it need not look up: most jobs hold no key, have no expiry, and no
  /// concurrency key.
  ///
  /// - Parameters:
  ///   - holdingKeys: Whether one of the jobs may hold a unique key until it ends.
  ///   - expiring: Whether one of the jobs may have an expiry.
  ///   - keyed: Whether one of the jobs may have a concurrency key.
  ///   - throttled: Whether the unique key of one of the jobs may have a throttle.
  ///   - grouped: Whether one of the jobs may have a group.
  init(holdingKeys: Bool, expiring: Bool, keyed: Bool, throttled: Bool, grouped: Bool) {
    let bits =
      (holdingKeys ? Self.keyBit : 0) | (expiring ? Self.expiryBit : 0) | (keyed ? Self.concurrencyBit : 0)
      | (throttled ? Self.restBit : 0) | (grouped ? Self.groupBit : 0)
    token =
      Int64.random(in: 32...Int64.max)
      & ~(Self.keyBit | Self.expiryBit | Self.concurrencyBit | Self.restBit | Self.groupBit) | bits
  }

  private static let keyBit: Int64 = 1
  /// In leases of schema 7 this bit is random.
  static let expiryBit: Int64 = 2
  /// In leases of schema 10 this bit is random.
  private static let concurrencyBit: Int64 = 4

  /// In leases of schema 10 this bit is random.
  private static let restBit: Int64 = 8

  /// In leases of schema 12 this bit is random.
  private static let groupBit: Int64 = 16

  static func mayBeGrouped(_ token: Int64) -> Bool { token & groupBit != 0 }
  /// Whether one of the jobs may have a group.
  var areGrouped: Bool { Self.mayBeGrouped(token) }

  static func mayHoldKeys(_ token: Int64) -> Bool { token & keyBit != 0 }
  static func mayExpire(_ token: Int64) -> Bool { token & expiryBit != 0 }
  static func mayBeKeyed(_ token: Int64) -> Bool { token & concurrencyBit != 0 }
  static func mayRest(_ token: Int64) -> Bool { token & restBit != 0 }

  /// The time at which the first of the leases expires.
  var firstEnd: Int64? { jobs.lazy.map(\.ends).min() }

  var reads: [SQL] {
    jobs.map(\.id).sorted().idParts().map { part in
      """
      SELECT id, payload, codec, unique_key, attempt, enqueued, meta\(areGrouped ? Self.trueDue : "") FROM qudo_job WHERE \(ids: part)
      """
    }
  }

  /// The due time of a job that is at a place among the groups; NULL for others.
  private static let trueDue: SQL = ", (SELECT g.due FROM qudo_group AS g WHERE g.job = qudo_job.id)"

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
      dueAt: Timestamp(microseconds: areGrouped ? row.integerIfAny(7) ?? job.due : job.due),
      metadata: JobMetadata(bytes: row.bytes(6)))
  }
}
#endif
