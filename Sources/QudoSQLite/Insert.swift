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
      // It may be one of these.
      try insertCollectedReady()
      return try conflict(job, with: holder, unique: unique, Delay(job.due, now.wall), kind: kind)
    }
    let id = try store(job, kind: kind, due: due)
    try insertWaiting(id, ReadyRange.SortKey(kind: kind, rank: job.rank, due: due), job.due)
    return .inserted(id)
  }

  /// Of a job that was just stored; ready ones are put where they belong later, with others.
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
      job.unique.map { .integer($0.scope.rawValue) } ?? .null, job.metadata.isEmpty ? .null : .blob(job.metadata.bytes),
      .blob(job.payload.bytes))
    return id
  }

  /// Puts what was stored with the ready, of however many callers: a row for those that stand at one place.
  func insertCollectedReady() throws(QudoError) {
    guard let (others, last) = effects.ready.take() else { return }
    effects.wakes = true
    // Jobs that stand at places of their own are put there by one statement.
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
      "INSERT INTO qudo_ready(kind, rank, due, last, first) VALUES(?, ?, ?, ?, ?)", .integer(place.kind), .integer(place.rank),
      .integer(place.due), .integer(ids.upperBound), .integer(ids.lowerBound))
  }

  /// Deletes a job for good.
  func deleteJob(_ id: Int64) throws(QudoError) {
    try willDelete(highest: id)
    try connection.run("DELETE FROM qudo_job WHERE id = ?", .integer(id))
  }

  /// Puts a job where the waiting are: with the ready if it is due, else with the delayed.
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
      // Another payload is another piece of work: what came of the old one is not held against it.
      try connection.run(
        "UPDATE qudo_job SET payload = ?, codec = ?, meta = ?, rank = ?, due = ?, attempt = 1, lost = 0 WHERE id = ?", .blob(job.payload.bytes),
        .integer(job.payload.codec.number), job.metadata.isEmpty ? .null : .blob(job.metadata.bytes), .integer(job.rank), .integer(delay.due), .integer(holder))
      try insertWaiting(holder, delay, kind: kind, rank: job.rank)
      return .overwritten(holder)
    }
  }

  /// Puts a job with the ready where its row says that it belongs.
  func reinsertReady(_ id: Int64) throws(QudoError) {
    try connection.run(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id = ?", .integer(id))
    try forgetReady(of: id)
  }

  /// What is known of the ready jobs of a job's kind is so no more.
  private func forgetReady(of id: Int64) throws(QudoError) {
    guard !connection.ready.isEmpty, let kind = try connection.integer("SELECT kind FROM qudo_job WHERE id = ?", .integer(id)) else { return }
    connection.ready.invalidate(kind)
  }

  /// Takes a job out of the waiting. False if it does not wait, and then nothing has changed.
  private func removeFromWaiting(_ id: Int64) throws(QudoError) -> Bool {
    try forgetReady(of: id)
    if try removeFromReady(id) { return true }
    connection.hints.invalidateDue()
    try connection.run("DELETE FROM qudo_delayed WHERE (due, id) = (SELECT due, id FROM qudo_job WHERE id = ?)", .integer(id))
    return connection.changes > 0
  }
}

extension Connection {
  /// The live job that has a unique key.
  func holder(of key: String, kind: Int64) throws(QudoError) -> Int64? {
    try integer("SELECT id FROM qudo_job WHERE kind = ? AND unique_key = ? AND unique_scope IS NOT NULL", .integer(kind), .text(key))
  }
}
