#if MySQL
internal import Qudo

/// A job that is to be written.
struct NewRow {
  let kind: Int64
  let unique: UniqueKey?
  var ranking: Int64
  var due: Due
  var payload: Payload
  var meta: Meta
  /// Those that are to lead to this job.
  var keys: [IdempotencyKey] = []

  init(_ job: NewJob, kind: Int64) {
    self.kind = kind
    unique = job.unique
    (ranking, due, payload, meta) = (job.ranking, job.due, job.payload, job.meta)
  }

  /// What overwriting does.
  mutating func overwrite(_ job: NewJob) { (ranking, due, payload, meta) = (job.ranking, job.due, job.payload, job.meta) }

  /// "(columns) VALUES(...),(...)". Columns that have their defaults in all of the rows are left out: each costs to read and check.
  static func insertion(of rows: some Collection<NewRow>) -> SQL {
    let hasKeys = rows.contains { $0.unique != nil }
    let hasMeta = rows.contains { !$0.meta.isEmpty }
    let values = rows.map { $0.values(keys: hasKeys, meta: hasMeta) }.joined(",")
    return """
      (kind,ranking,due,enqueued,codec\(hasKeys ? ",unique_key,unique_scope" : "" as SQL)\(hasMeta ? ",meta" : "" as SQL),payload) \
      VALUES\(values)
      """
  }

  private func values(keys: Bool, meta hasMeta: Bool) -> SQL {
    var besides = SQL()
    if keys { besides += ",\(unique.map { Array($0.key.utf8) }),\(unique?.scope.rawValue)" }
    if hasMeta { besides += ",\(meta.isEmpty ? nil : meta.bytes)" }
    return "(\(kind),\(ranking),\(due.sql),@n,\(payload.codec.number)\(besides),\(payload.bytes))"
  }

  /// About how long its values are.
  var textLength: Int { (payload.bytes.count + meta.bytes.count) * 2 + 256 + (unique.map { $0.key.utf8.count * 4 } ?? 0) }
}

extension NewJob {
  /// Sorts before others when the priority is higher.
  var ranking: Int64 { 0 &- Int64(priority) }
}

extension Due {
  /// With `@n` for the time of the transaction.
  var sql: SQL {
    switch self {
    case .now: "@n"
    case .after(let delay): delay == .zero ? "@n" : "LEAST(@n + \(Due.bounded(delay)), \(Timestamp.latest.microseconds))"
    case .at(let time): "\(time.microseconds)"
    }
  }

  /// For a job that is ready at once, whatever the time is.
  var readySQL: SQL? { mayWait ? nil : sql }

  func moment(_ now: Timestamp) -> Timestamp {
    switch self {
    case .now: now
    case .after(let delay): now.advanced(by: delay)
    case .at(let time): time
    }
  }

  /// No sum with a time can be out of range.
  private static func bounded(_ delay: Duration) -> Int64 {
    min(delay.wholeMicroseconds, Timestamp.latest.microseconds - Timestamp.earliest.microseconds)
  }

  /// Whether it may be later than now.
  var mayWait: Bool {
    switch self {
    case .now: false
    case .after(let delay): delay > .zero
    case .at: true
    }
  }

  /// Whether it may be now or in the past.
  var mayBeReady: Bool {
    switch self {
    case .now, .at: true
    case .after(let delay): delay.wholeMicroseconds == 0
    }
  }
}
#endif
