#if Dashboard
internal import Qudo

/// A page of jobs, or of rows of a log, of one database.
struct Found<Row: Sendable>: Sendable {
  var rows: [Row]
  /// After which id the next page begins; nil if there is no more.
  var next: Int64?
  /// Whether the search stopped because it had looked at as many rows as one request may.
  var isCutOff = false

  static var empty: Found { Found(rows: []) }
}

/// A live job in a list.
struct JobRow: Sendable {
  /// The bytes of a payload that are read: one more than are shown, to know whether there are more.
  static let payloadBytes = Excerpt.listBytes + 1

  /// The job, with the beginning of its payload.
  var job: StoredJob
  /// Whether the payload is longer.
  var isCut: Bool

  init(_ job: StoredJob) {
    self.job = job
    isCut = job.payload.bytes.count > Excerpt.listBytes
    self.job.payload.bytes = Array(job.payload.bytes.prefix(Excerpt.listBytes))
  }
}

/// Finds jobs at a bounded cost, whatever the filter and however many there are.
enum JobSearch {
  /// The number of rows of a page.
  static let pageRows = 50
  /// How many ids are looked at in one call, and in one request.
  static let (windowIDs, mostIDs): (Int64, Int64) = (2_000, 40_000)

  static func page(_ driver: any Driver, _ filter: JobFilter, after: Int64) async throws(QudoError) -> Found<
    JobRow
  > {
    guard filter.looksIntoJobs else {
      let jobs = try await driver.jobs(
        matching: JobQuery(filter, after: after, limit: pageRows + 1).withPayloads(upTo: JobRow.payloadBytes))
      let rows = jobs.prefix(pageRows).map { JobRow($0) }
      return Found(rows: rows, next: jobs.count > pageRows ? rows.last?.job.id : nil)
    }
    // Such a filter has no index. It goes through the ids, some thousand at a time, from one job that exists to the next.
    var rows: [JobRow] = []
    var (cursor, looked) = (after, Int64(0))
    while looked < mostIDs {
      let next = JobQuery(after: cursor, limit: 1).withPayloads(upTo: 0)
      guard let first = try await driver.jobs(matching: next).first?.id else {
        return Found(rows: rows)
      }
      let last = first.clampedPlus(windowIDs - 1)
      var part = filter
      part.ids = Array(first...last)
      let jobs = try await driver.jobs(
        matching: JobQuery(part, limit: pageRows + 1 - rows.count).withPayloads(upTo: JobRow.payloadBytes))
      rows += jobs.map { JobRow($0) }
      if rows.count > pageRows {
        rows.removeLast()
        return Found(rows: rows, next: rows.last?.job.id)
      }
      looked += windowIDs
      cursor = last
    }
    return Found(rows: rows, next: cursor, isCutOff: true)
  }
}

/// Finds rows of the failure log at a bounded cost, newest first.
enum FailureSearch {
  static func page(
    _ driver: any LogDriver, kinds: [Kind]?, _ filter: FailureFilter?, after: Int64?
  ) async throws(QudoError) -> Found<FailureRecord> {
    guard let filter else {
      let found = try await driver.failures(
        LogQuery(kinds: kinds, limit: JobSearch.pageRows + 1, after: after).withoutPayloads)
      let rows = Array(found.prefix(JobSearch.pageRows))
      return Found(rows: rows, next: found.count > JobSearch.pageRows ? rows.last?.id : nil)
    }
    var rows: [FailureRecord] = []
    var (cursor, looked) = (after, Int64(0))
    while looked < JobSearch.mostIDs {
      let next = LogQuery(limit: 1, after: cursor).withoutPayloads
      guard let first = try await driver.failures(next).first?.id else {
        return Found(rows: rows)
      }
      let last = max(1, first.clampedMinus(JobSearch.windowIDs - 1))
      guard last <= first else { return Found(rows: rows) }
      rows += try await driver.failures(
        LogQuery(
          kinds: kinds, limit: JobSearch.pageRows + 1 - rows.count, ids: Array(last...first), failures: filter
        ).withoutPayloads)
      if rows.count > JobSearch.pageRows {
        rows.removeLast()
        return Found(rows: rows, next: rows.last?.id)
      }
      looked += JobSearch.windowIDs
      cursor = last
    }
    return Found(rows: rows, next: cursor, isCutOff: true)
  }
}
#endif
