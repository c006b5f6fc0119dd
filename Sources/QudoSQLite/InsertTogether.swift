internal import Qudo

// A batch of plain jobs.
extension Transaction {
  /// How many plain jobs are stored by one statement: a tenth less to do than with one each, and with more it is not less.
  static let together = 16

  func store(_ jobs: ArraySlice<NewJob>) throws(QudoError) -> [Int64] {
    var stored: [(id: Int64, place: ReadyRange.Place)] = []
    var values: [Value] = [.integer(now.wall.microseconds)]
    stored.reserveCapacity(Self.together)
    values.reserveCapacity(1 + 7 * Self.together)
    for job in jobs {
      let place = ReadyRange.Place(kind: try connection.kindID(creating: job.kind), rank: job.rank, due: due(job.due))
      let id = try nextID()
      stored.append((id, place))
      values += [
        .integer(id), .integer(place.kind), .integer(place.rank), .integer(place.due), .integer(job.payload.codec.number),
        job.meta.isEmpty ? .null : .blob(job.meta.bytes), .blob(job.payload.bytes),
      ]
    }
    try connection.each(
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
      """, values
    ) { _ in }
    for (id, place) in stored { try wait(id, place) }
    return stored.map(\.id)
  }
}

extension NewJob {
  /// Whether it can be stored without a look at what is there, and may be held in memory twice, with others.
  var isPlain: Bool { unique == nil && idempotencyKey == nil && payload.bytes.count + meta.bytes.count <= 4096 }
}
