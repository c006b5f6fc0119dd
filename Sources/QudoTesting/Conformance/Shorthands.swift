internal import Qudo

func job(
  _ text: String = "", kind: Kind = "a", unique: UniqueKey? = nil, priority: Int = 0, due: Due = .now,
  expires: Expiry = .never, maxWaiting: MaxWaiting? = nil
) -> NewJob {
  NewJob(
    kind, payload: Payload(text), unique: unique, priority: priority, due: due, expires: expires,
    maxWaiting: maxWaiting)
}

func demand(
  _ limit: Int = 10, _ kinds: Kind..., leaseDuration: Duration = .seconds(60), maxExpiredLeases: Int = 5
) -> ClaimRequest {
  ClaimRequest(
    (kinds.isEmpty ? ["a"] : kinds).map {
      .init($0, leaseDuration: leaseDuration, maxExpiredLeases: maxExpiredLeases)
    }, limit: limit)
}

extension Payload {
  var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension Claim {
  var texts: [String] { jobs.map(\.payload.text) }
}

extension Driver {
  /// Claims the next jobs and returns their texts.
  func texts(_ request: ClaimRequest = demand()) async throws -> [String] { try await claim(request).texts }

  /// Claims a job, which must exist.
  func claimOne(
    _ request: ClaimRequest = demand(1), file: String = #fileID, line: Int = #line
  ) async throws -> ClaimedJob {
    try require(try await claim(request).jobs.first, "a job to claim", file: file, line: line)
  }

  /// Claims exactly `count` jobs.
  func claim(
    exactly count: Int, _ request: ClaimRequest = demand(), file: String = #fileID, line: Int = #line
  ) async throws -> [ClaimedJob] {
    let jobs = try await claim(request).jobs
    try check(jobs.count, is: count, "jobs claimed", file: file, line: line)
    return jobs
  }

  @discardableResult
  func settle(_ lease: Lease, _ outcome: Settlement.Outcome, recording: Duration? = nil) async throws
    -> SettleResult
  {
    try require(
      try await settle([Settlement(lease, outcome, recording: recording)], claiming: nil).results.first,
      "a result of the settle")
  }

  func complete(_ jobs: [ClaimedJob]) async throws {
    let results = try await settle(jobs.map { Settlement($0.lease, .completed()) }, claiming: nil).results
    try check(results, is: jobs.map { _ in .settled() })
  }

  @discardableResult
  func insert(_ job: NewJob) async throws -> InsertResult {
    try require(try await insert([job]).first, "a result of the insert")
  }

  /// Inserts a job without a conflict and returns its id.
  @discardableResult
  func insertNew(_ job: NewJob, file: String = #fileID, line: Int = #line) async throws -> Int64 {
    let result = try await insert(job)
    guard case .inserted(let id) = result else {
      throw ConformanceFailure(file: file, line: line, message: "expected a new job, found \(result)")
    }
    return id
  }

  /// Inserts jobs and checks that there is a result for each.
  func results(of jobs: [NewJob], file: String = #fileID, line: Int = #line) async throws -> [InsertResult] {
    let results = try await insert(jobs)
    try check(results.count, is: jobs.count, "results of the insert", file: file, line: line)
    return results
  }

  /// Finds exactly `count` jobs.
  func find(exactly count: Int, file: String = #fileID, line: Int = #line) async throws -> [StoredJob] {
    let found = try await jobs(matching: JobQuery(limit: 1000))
    try check(found.count, is: count, "jobs found", file: file, line: line)
    return found
  }

  /// Finds exactly one job.
  func findOne(_ query: JobQuery = JobQuery(), file: String = #fileID, line: Int = #line) async throws
    -> StoredJob
  {
    let found = try await jobs(matching: query)
    try check(found.count, is: 1, "jobs found", file: file, line: line)
    return try require(found.first, "a job", file: file, line: line)
  }
}

extension LogDriver {
  func failures() async throws -> [FailureRecord] { try await failures(LogQuery(oldestFirst: true)) }
  func statuses() async throws -> [StatusRecord] { try await statuses(LogQuery(oldestFirst: true)) }
}
