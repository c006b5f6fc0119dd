internal import Qudo

// A batch of plain jobs.
extension Transaction {
  /// How many plain jobs are stored by one statement: a fifth less for SQLite to do than with one each; fifty would be another
  /// twentieth.
  static let batchSize = 16

  func store(_ jobs: ArraySlice<NewJob>) throws(QudoError) -> [Int64] {
    var stored: [(id: Int64, place: ReadyRange.SortKey)] = []
    stored.reserveCapacity(Self.batchSize)
    for job in jobs {
      let place = ReadyRange.SortKey(kind: try connection.kindID(creating: job.kind), rank: job.rank, due: job.due.moment(now.wall).microseconds)
      stored.append((try nextID(), place))
    }
    let statement = try connection.statement(
      """
      INSERT INTO qudo_job(enqueued, id, kind, rank, due, codec, meta, payload, attempt, lost, state) VALUES
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0),
        (?1, ?, ?, ?, ?, ?, ?, ?, 1, 0, 0)
      """ as StaticString)
    defer { statement.reset() }
    try statement.bind(.integer(now.wall.microseconds), at: 1)
    // One by one, since a list of so many values is more to do than to bind them.
    var position: Int32 = 2
    for (job, (id, place)) in zip(jobs, stored) {
      try statement.bind(.integer(id), at: position)
      try statement.bind(.integer(place.kind), at: position + 1)
      try statement.bind(.integer(place.rank), at: position + 2)
      try statement.bind(.integer(place.due), at: position + 3)
      try statement.bind(.integer(job.payload.codec.number), at: position + 4)
      try statement.bind(job.metadata.isEmpty ? .null : .blob(job.metadata.bytes), at: position + 5)
      try statement.bind(.blob(job.payload.bytes), at: position + 6)
      position += 7
    }
    while try statement.step() {}
    for (job, (id, place)) in zip(jobs, stored) { try insertWaiting(id, place, job.due) }
    return stored.map(\.id)
  }
}

extension NewJob {
  /// Whether it can be stored without a look at what is there, and may be held in memory twice, with others.
  var isPlain: Bool { unique == nil && idempotencyKey == nil && payload.bytes.count + metadata.bytes.count <= 4096 }
}
