internal import Qudo

extension Transaction {
  func insert(_ jobs: [NewJob]) throws(QudoError) -> [InsertResult] {
    var results: [InsertResult] = []
    results.reserveCapacity(jobs.count)
    var rest = jobs[...]
    while let job = rest.first {
      let some = rest.prefix(Self.batchSize)
      if some.count == Self.batchSize, some.allSatisfy(\.isPlain) {
        for id in try store(some) { results.append(.inserted(id)) }
        rest = rest.dropFirst(Self.batchSize)
      } else {
        results.append(try job.idempotencyKey == nil ? insert(job) : insertOnce(job))
        rest = rest.dropFirst()
      }
    }
    return results
  }

  func insert(_ job: NewJob) throws(QudoError) -> InsertResult {
    let kind = try connection.kindID(creating: job.kind)
    let due = job.due.moment(now.wall).microseconds
    if let unique = job.unique, let holder = try connection.holder(of: unique.key, kind: kind) {
      // The holder may be a job of this same call, whose ready row is not written yet.
      try insertCollectedReady()
      return try conflict(job, with: holder, unique: unique, Delay(job.due, now.wall), kind: kind)
    }
    let id = try store(job, kind: kind, due: due)
    try insertWaiting(id, ReadyRange.SortKey(kind: kind, rank: job.rank, due: due), job.due)
    return .inserted(id)
  }

  /// Files a job that was just stored: as delayed now, or as ready later, in one row with its neighbors.
  func insertWaiting(_ id: Int64, _ place: ReadyRange.SortKey, _ due: Due) throws(QudoError) {
    connection.ready.invalidate(place.kind)
    guard place.due <= now.wall.microseconds else {
      effects.wakes = true
      return try insertDelayed(id, Delay(due, now.wall), kind: place.kind, rank: place.rank)
    }
    if !effects.ready.append(id, place) {
      try insertCollectedReady()
      _ = effects.ready.append(id, place)
    }
  }

  private func store(_ job: NewJob, kind: Int64, due: Int64) throws(QudoError) -> Int64 {
    let id = try nextID()
    try connection.run(
      """
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, meta, payload)
      VALUES(?, ?, ?, ?, ?, 1, 0, 0, ?, ?, ?, ?, ?)
      """,
      .integer(id), .integer(kind), .integer(job.rank), .integer(due), .integer(now.wall.microseconds),
      .integer(job.payload.codec.number), .text(job.unique?.key),
      job.unique.map { .integer($0.scope.rawValue) } ?? .null,
      job.metadata.isEmpty ? .null : .blob(job.metadata.bytes),
      .blob(job.payload.bytes))
    return id
  }

  /// Writes the collected ready jobs of all callers to `qudo_ready`, one row for each id range with one sort key.
  func insertCollectedReady() throws(QudoError) {
    guard let (others, last) = effects.ready.take() else { return }
    effects.wakes = true
    // If few neighbors share a sort key, one statement writes a row per job.
    if let first = others.first, Int64(others.count + 1) * 2 > last.ids.upperBound - first.ids.lowerBound {
      return try connection.run(
        "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id BETWEEN ? AND ?",
        .integer(first.ids.lowerBound), .integer(last.ids.upperBound))
    }
    for part in others { try insertReady(part.ids, part.place) }
    try insertReady(last.ids, last.place)
  }

  func insertReady(_ ids: ClosedRange<Int64>, _ place: ReadyRange.SortKey) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)", .integer(place.kind),
      .integer(place.rank),
      .integer(place.due), .integer(ids.upperBound), .integer(ids.lowerBound))
  }

  /// Deletes a job permanently.
  func deleteJob(_ id: Int64) throws(QudoError) {
    try willDelete(highest: id)
    try connection.run("DELETE FROM qudo_job WHERE id = ?", .integer(id))
  }

  /// Files a job as ready if it is due, else as delayed.
  func insertWaiting(_ id: Int64, _ delay: Delay, kind: Int64, rank: Int64) throws(QudoError) {
    effects.wakes = true
    if delay.due <= now.wall.microseconds {
      try insertReady(id...id, ReadyRange.SortKey(kind: kind, rank: rank, due: delay.due))
      connection.ready.invalidate(kind)
    } else {
      try insertDelayed(id, delay, kind: kind, rank: rank)
    }
  }

  private func conflict(
    _ job: NewJob, with holder: Int64, unique: UniqueKey, _ delay: Delay, kind: Int64
  ) throws(QudoError) -> InsertResult {
    switch unique.onConflict {
    case .reject:
      effects.tellsOfOthers = true
      return .conflict(holder)
    case .keep:
      effects.tellsOfOthers = true
      return .existing(holder)
    case .overwrite:
      guard try removeFromWaiting(holder) else {
        effects.tellsOfOthers = true
        return .conflict(holder)
      }
      // A new payload is new work: its attempts and expired leases start over.
      try connection.run(
        "UPDATE qudo_job SET payload = ?, codec = ?, meta = ?, rank = ?, due = ?, attempt = 1, lost = 0 WHERE id = ?",
        .blob(job.payload.bytes),
        .integer(job.payload.codec.number), job.metadata.isEmpty ? .null : .blob(job.metadata.bytes),
        .integer(job.rank), .integer(delay.due), .integer(holder))
      try insertWaiting(holder, delay, kind: kind, rank: job.rank)
      return .overwritten(holder)
    }
  }

  /// Files a job as ready, with the sort key from its row in `qudo_job`.
  func reinsertReady(_ id: Int64) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id = ?",
      .integer(id))
    try forgetReady(of: id)
  }

  /// Drops the cached ready jobs of a job's kind.
  private func forgetReady(of id: Int64) throws(QudoError) {
    guard !connection.ready.isEmpty,
      let kind = try connection.integer("SELECT kind FROM qudo_job WHERE id = ?", .integer(id))
    else { return }
    connection.ready.invalidate(kind)
  }

  /// Removes a job from the ready or delayed jobs.
  ///
  /// - Returns: False if the job is in neither; then nothing has changed.
  private func removeFromWaiting(_ id: Int64) throws(QudoError) -> Bool {
    try forgetReady(of: id)
    if try removeFromReady(id) { return true }
    connection.hints.invalidateDue()
    try connection.run(
      "DELETE FROM qudo_delayed WHERE (due, id) = (SELECT due, id FROM qudo_job WHERE id = ?)", .integer(id))
    return connection.changes > 0
  }
}

extension Connection {
  /// Returns the id of the live job with a unique key.
  func holder(of key: String, kind: Int64) throws(QudoError) -> Int64? {
    try integer(
      "SELECT id FROM qudo_job WHERE kind = ? AND unique_key = ? AND unique_scope IS NOT NULL",
      .integer(kind), .text(key))
  }
}
