#if MySQL
internal import Qudo

/// A job to insert.
struct NewRow {
  let kind: Int64
  let unique: UniqueKey?
  var ranking: Int64
  var due: Due
  /// How long from now the job is due at the latest; nil for any time.
  private(set) var maxDelay: Duration?
  var payload: Payload
  var meta: JobMetadata
  var expires: Expiry
  var concurrencyKey: NumberedKey?
  var group: [UInt8]?
  /// Its place among the groups, if it is ready at once.
  var place: GroupPlace?
  /// Whether the job waits for others of its concurrency key.
  var isHeld = false
  /// The idempotency keys that lead to this job.
  var keys: [IdempotencyKey] = []

  init(_ job: NewJob, kind: Int64) {
    self.kind = kind
    unique = job.unique
    (ranking, due, payload, meta) = (job.ranking, job.due, job.payload, job.metadata)
    expires = job.expires
    concurrencyKey = NumberedKey(job, kind: kind)
    group = job.group.map { Array($0.utf8) }
  }

  /// Whether the job gets a row in `qudo_group`.
  var isGrouped: Bool { group != nil || place != nil }

  /// When the job is due, as far as its maximum delay lets it be.
  func due(_ now: Timestamp) -> Timestamp {
    let asked = due.moment(now)
    return maxDelay.map { min(asked, now.advanced(by: $0)) } ?? asked
  }

  /// The values of its row in `qudo_group`.
  func groupRow(_ offset: Int) -> SQL? {
    guard isGrouped else { return nil }
    return
      "(LAST_INSERT_ID() + \(offset),\(kind),\(ranking),\(place?.group ?? group),\(place?.place),\(place?.due))"
  }

  var hasExpiry: Bool { expires != .never }

  /// The column `flags` of the new job.
  var flags: Int64 {
    KeyHold(unique).rawValue | (hasExpiry ? ExpiryRows.bit : 0)
      | (concurrencyKey == nil ? 0 : KeyRows.bit) | (isGrouped ? GroupRows.bit : 0)
  }

  /// Takes over the contents of another job of the same insert, which overwrites this one. `Insert.swift` overwrites a stored one.
  ///
  /// - Parameter maxDelay: ``/Qudo/UniqueKey/maxDelay`` of the other job.
  mutating func overwrite(_ job: NewJob, atMost maxDelay: Duration?) {
    self.maxDelay = maxDelay
    (ranking, due, payload, meta) = (job.ranking, job.due, job.payload, job.metadata)
    expires = job.expires
    concurrencyKey = NumberedKey(job, kind: kind)
    group = job.group.map { Array($0.utf8) }
  }

  /// Returns the "INSERT ..." statement for the rows. It leaves out columns that have their defaults in all
  /// rows, because each column costs time to read and check.
  ///
  /// - Parameter time: The expression for the time, if `@n` is not set yet and this statement must set it.
  ///   For one row only.
  static func insertion(of rows: some Collection<NewRow>, taking time: SQL? = nil) -> SQL {
    let hasKeys = rows.contains { $0.unique != nil }
    let hasMeta = rows.contains { !$0.meta.isEmpty }
    let hasExpiries = rows.contains { $0.hasExpiry }
    let areKeyed = rows.contains { $0.concurrencyKey != nil }
    var text = SQL.Interpolation(
      literalCapacity: rows.reduce(256) { $0 + $1.textLength }, interpolationCount: 0)
    text.appendLiteral("INSERT INTO qudo_job(kind,ranking,due,enqueued,codec")
    if hasKeys { text.appendLiteral(",unique_key,unique_scope") }
    if hasMeta { text.appendLiteral(",meta") }
    if hasExpiries { text.appendLiteral(",expires") }
    if areKeyed { text.appendLiteral(",concurrency_key") }
    text.appendLiteral(",payload) VALUES")
    for (index, row) in rows.enumerated() {
      if index > 0 { text.appendLiteral(",") }
      row.write(
        keys: hasKeys, meta: hasMeta, expires: hasExpiries, concurrencyKeys: areKeyed, taking: time, to: &text
      )
    }
    return SQL(stringInterpolation: text)
  }

  /// Appends the row piece by piece: assembling each row separately costs more than its bytes do.
  private func write(
    keys: Bool, meta hasMeta: Bool, expires hasExpiries: Bool, concurrencyKeys areKeyed: Bool,
    taking time: SQL?,
    to text: inout SQL.Interpolation
  ) {
    text.appendLiteral("(")
    text.appendInterpolation(kind)
    text.appendLiteral(",")
    text.appendInterpolation(ranking)
    text.appendLiteral(",")
    if let time {
      // All expressions for the time have the same value within a statement, whichever column is written
      // first.
      text.appendInterpolation("\(dueSQL(time)),@n := \(time)," as SQL)
    } else {
      if place == nil, due.isNow { text.appendLiteral("@n") } else { text.appendInterpolation(dueSQL("@n")) }
      text.appendLiteral(",@n,")
    }
    text.appendInterpolation(payload.codec.number)
    if keys {
      text.appendInterpolation(",\(unique.map { Array($0.key.utf8) }),\(unique?.scope.rawValue)" as SQL)
    }
    if hasMeta { text.appendInterpolation(",\(meta.isEmpty ? nil : meta.bytes)" as SQL) }
    if hasExpiries { text.appendInterpolation(",\(expires.sql(time ?? "@n") ?? "NULL")" as SQL) }
    if areKeyed { text.appendInterpolation(",\(concurrencyKey?.name)" as SQL) }
    text.appendLiteral(",")
    text.appendInterpolation(payload.bytes)
    text.appendLiteral(")")
  }

  private func dueSQL(_ now: SQL) -> SQL {
    if let place { return "\(place.place)" }
    let asked = due.sql(now)
    guard let maxDelay else { return asked }
    return "LEAST(\(asked), \(Due.after(maxDelay).sql(now)))"
  }

  /// Whether the row is ready at once, like the other one, and differs from it in `qudo_ready` only by its
  /// id.
  func isReadyAtOnce(like other: NewRow) -> Bool {
    kind == other.kind && ranking == other.ranking && due.isNow && unique == nil
      && hasExpiry == other.hasExpiry && !isHeld && !isGrouped
      && (concurrencyKey == nil) == (other.concurrencyKey == nil)
  }

  /// Whether the row may be delayed.
  var mayWait: Bool { place == nil && due.mayWait }

  /// Whether the row may be ready.
  var mayBeReady: Bool { place != nil || due.mayBeReady }

  /// The approximate length of the row's values as text.
  var textLength: Int {
    (payload.bytes.count + meta.bytes.count) * 2 + 256 + (unique.map { $0.key.utf8.count * 4 } ?? 0)
      + (concurrencyKey.map { $0.name.count * 4 + 64 } ?? 0)
  }
}

extension NewJob {
  /// The negated priority: a job with a higher priority sorts before others.
  var ranking: Int64 { 0 &- Int64(priority) }
}

extension Due {
  /// - Parameter now: The time of the transaction.
  func sql(_ now: SQL) -> SQL {
    switch self {
    case .now: now
    case .after(let delay):
      delay == .zero ? now : "LEAST(\(now) + \(Due.bounded(delay)), \(Timestamp.latest.microseconds))"
    case .at(let time): "\(time.microseconds)"
    }
  }

  var isNow: Bool {
    switch self {
    case .now: true
    case .after(let delay): delay == .zero
    case .at: false
    }
  }

  /// The due time, if the job is ready at once whatever the time is; otherwise nil.
  var readySQL: SQL? { mayWait ? nil : sql("@n") }

  /// Limits a delay so that its sum with any time is in range.
  static func bounded(_ delay: Duration) -> Int64 {
    min(delay.wholeMicroseconds, Timestamp.latest.microseconds - Timestamp.earliest.microseconds)
  }

  /// Whether the due time may be in the future.
  var mayWait: Bool {
    switch self {
    case .now: false
    case .after(let delay): delay > .zero
    case .at: true
    }
  }

  /// Whether the due time may be now or in the past.
  var mayBeReady: Bool {
    switch self {
    case .now, .at: true
    case .after(let delay): delay.wholeMicroseconds == 0
    }
  }
}
#endif
