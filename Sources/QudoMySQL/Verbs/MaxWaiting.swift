#if MySQL
internal import Qudo

/// Enqueues with a maximum of waiting jobs. All others never come here.
///
/// Such an enqueue locks the rows of its kinds in `qudo_kind` until its commit, so that those of one kind come one after the
/// other. Then it counts, as far as it must: each statement that counts sees what was committed when it began.
extension Transaction {
  /// Locks kinds, in the order of their numbers.
  func lock(_ bounds: [(kind: Kind, bound: MaxWaiting)]) throws(QudoError) {
    guard !bounds.isEmpty else { return }
    let numbers = try requireNumbers(of: bounds.lazy.map(\.kind))
    let rows = try read(KindCache.lock(numbers))
    guard rows.count == numbers.count else { throw .short(rows.count, numbers.count) }
  }

  /// - Throws: The refusal if new jobs would exceed the maximum of their kind.
  func refuse(_ new: [NewRow], of kind: Kind, beyond bound: MaxWaiting) throws(QudoError) {
    guard case .refuse(let limit) = bound else { return }
    let number = try requireNumber(of: kind)
    let added = new.count { $0.kind == number }
    guard added > 0 else { return }
    let room = limit - added
    guard room >= 0, try waiting(number, atMost: room + 1) <= room else { throw bound.refusal(kind) }
  }

  /// Moves the oldest waiting jobs of a kind to the failure log, now that new ones were inserted.
  func drop(for new: [NewRow], of kind: Kind, beyond bound: MaxWaiting) throws(QudoError) {
    guard case .dropOldest(let limit) = bound else { return }
    let number = try requireNumber(of: kind)
    let added = new.count { $0.kind == number }
    guard added > 0 else { return }
    var most = added + MaxWaiting.surplus
    // Repeat this, because a job may have been claimed between the look and the lock.
    for _ in 0..<10 {
      let excess = try waiting(number, atMost: limit + most) - limit
      guard excess > 0 else { return }
      let dropped = try drop(excess, of: number, bound)
      most -= dropped
      guard dropped < excess else { return }
    }
    throw QudoError(.busy, "other sessions kept taking the oldest jobs: try again later")
  }

  /// - Returns: How many of the jobs still waited.
  private func drop(_ count: Int, of kind: Int64, _ bound: MaxWaiting) throws(QudoError) -> Int {
    let ids = try read(
      """
      (SELECT id FROM qudo_ready WHERE kind = \(kind) ORDER BY id LIMIT \(count)) UNION ALL
      (SELECT id FROM qudo_delayed WHERE kind = \(kind) ORDER BY id LIMIT \(count)) UNION ALL
      (SELECT id FROM qudo_held WHERE kind = \(kind) ORDER BY id LIMIT \(count)) ORDER BY id LIMIT \(count)
      """
    ).map { $0.integer(0) }
    var dropped = 0
    try lock(Set(ids).sorted(), fitting: nil) { locked throws(QudoError) in
      let jobs = locked.compactMap { job -> Candidate? in if case .waiting(let job) = job { job } else { nil }
      }
      .sorted { $0.id < $1.id }
      dropped += jobs.count
      log(
        jobs.map(\.id), .dropped, message: bound.message, final: true,
        keyed: jobs.contains(where: \.isLoggedWithKeys))
      leaveWaiting(jobs)
      try deleteJobs(jobs.map { DeletedJob($0) })
    }
    return dropped
  }

  private func counts(_ selects: [SQL]) throws(QudoError) -> [Int] {
    try read(selects).map { rows throws(QudoError) in
      // It may also return no rows.
      guard let row = rows.next() else { throw .short(0, 1) }
      return Int(row.integer(0))
    }
  }

  /// Counts the waiting jobs of a kind, and stops at `most`.
  private func waiting(_ kind: Int64, atMost most: Int) throws(QudoError) -> Int {
    var count = 0
    for tables in [["qudo_ready"], ["qudo_delayed", "qudo_held"]] as [[SQL]] where count < most {
      let selects = tables.map { table -> SQL in
        "SELECT COUNT(*) FROM (SELECT 1 FROM \(table) WHERE kind = \(kind) LIMIT \(most - count)) AS waiting"
      }
      var found = try counts(selects)
      // A SELECT that the server was told to stop may find nothing. Then it is repeated, so that this exceeds no maximum.
      if found.contains(0) { found = zip(found, try counts(selects)).map { max($0, $1) } }
      count += found.reduce(0, +)
    }
    return min(count, most)
  }
}
#endif
