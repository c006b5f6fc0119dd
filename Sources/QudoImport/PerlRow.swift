internal import Qudo

/// A row of an old file, converted to Qudo's types. Times are in microseconds.
struct PerlRow {
  enum Content {
    case kind
    case job(PerlJob)
    case failure(PerlFailure)
    case status(PerlStatus)
  }
  let table: ImportReport.Table
  let id: Int64
  let kind: Kind
  let content: Content

  func report(_ outcome: ImportReport.Outcome) -> ImportReport.Row {
    ImportReport.Row(table: table, old: id, kind: kind, outcome: outcome)
  }
}

struct PerlJob {
  let payload: Payload
  let uniqueKey: String?
  let enqueued: Int64
  let runAfter: Int64
  let grabbedUntil: Int64
  /// One more than the number of retries.
  let attempt: Int64
  let priority: Int64
}

struct PerlFailure {
  let payload: Payload
  let uniqueKey: String?
  let failed: Int64
  /// The raw bytes: Perl's messages need not be UTF-8.
  let message: [UInt8]
  let isReplayed: Bool
}

struct PerlStatus {
  let payload: Payload
  let uniqueKey: String?
  let status: RunStatus
  let started: Int64
  let ended: Int64
}
