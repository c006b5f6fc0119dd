internal import Qudo

/// - Throws: ``ConformanceFailure`` unless both values are equal.
func check<Value: Equatable>(
  _ found: Value, is expected: Value, _ what: String = "", file: String = #fileID, line: Int = #line
) throws(ConformanceFailure) {
  guard found != expected else { return }
  let about = what.isEmpty ? "" : "\(what): "
  throw ConformanceFailure(file: file, line: line, message: "\(about)expected \(expected), found \(found)")
}

/// - Throws: ``ConformanceFailure`` unless the condition holds.
func check(_ holds: Bool, _ what: String, file: String = #fileID, line: Int = #line)
  throws(ConformanceFailure)
{
  guard !holds else { return }
  throw ConformanceFailure(file: file, line: line, message: "expected \(what)")
}

/// - Throws: ``ConformanceFailure`` unless the id is above the last one.
func check(_ id: Int64, isAbove last: Int64, file: String = #fileID, line: Int = #line)
  throws(ConformanceFailure)
{
  guard id <= last else { return }
  throw ConformanceFailure(file: file, line: line, message: "expected an id above \(last), found \(id)")
}

/// Returns the value, which must not be nil.
///
/// - Throws: ``ConformanceFailure`` if it is nil.
func require<Value>(_ value: Value?, _ what: String, file: String = #fileID, line: Int = #line)
  throws(ConformanceFailure) -> Value
{
  guard let value else {
    throw ConformanceFailure(file: file, line: line, message: "expected \(what), found none")
  }
  return value
}

/// - Throws: ``ConformanceFailure`` unless `body` throws a ``QudoError`` with this code.
func check(
  throws code: QudoError.Code, _ what: String = "", file: String = #fileID, line: Int = #line,
  _ body: () async throws -> Void
) async throws {
  let about = what.isEmpty ? "" : "\(what): "
  do {
    try await body()
  } catch let error as QudoError {
    return try check(error.code, is: code, what, file: file, line: line)
  } catch {
    throw ConformanceFailure(
      file: file, line: line, message: "\(about)expected the error \(code), found \(error)")
  }
  throw ConformanceFailure(file: file, line: line, message: "\(about)expected the error \(code), found none")
}

/// Everything that a driver's verbs show of a database.
struct Snapshot: Equatable {
  var jobs: [StoredJob]
  var counts: [JobCount]
  var failures: [FailureRecord]
  var statuses: [StatusRecord]

  /// - Parameter recordsRuns: As in ``/Qudo/StoredJob/compared(recordsRuns:)``.
  init(_ driver: any LogDriver, recordsRuns: Bool = true) async throws {
    jobs = try await driver.jobs(matching: JobQuery(limit: 100_000)).map {
      $0.compared(recordsRuns: recordsRuns)
    }
    counts = try await driver.count().sorted { $0.kind < $1.kind }
    failures = try await driver.failures(LogQuery(oldestFirst: true, limit: 100_000))
    statuses = try await driver.statuses(LogQuery(oldestFirst: true, limit: 100_000))
  }

  private var rows: [String] {
    jobs.map { "\($0)" } + counts.map { "\($0)" } + failures.map { "\($0)" } + statuses.map { "\($0)" }
  }

  /// - Throws: ``ConformanceFailure`` with the rows that differ.
  func check(is expected: Snapshot, _ what: String, file: String = #fileID, line: Int = #line)
    throws(ConformanceFailure)
  {
    guard self != expected else { return }
    let (rows, others) = (rows, expected.rows)
    let missing = others.filter { !rows.contains($0) }.map { "\n  expected \($0)" }
    let surplus = rows.filter { !others.contains($0) }.map { "\n  found \($0)" }
    let order = missing.isEmpty && surplus.isEmpty ? ["another order, or other bytes"] : []
    throw ConformanceFailure(
      file: file, line: line, message: "\(what): " + (missing + surplus + order).joined())
  }
}

extension StoredJob {
  /// Returns the job as the model has it, which knows no processes.
  ///
  /// - Parameter recordsRuns: Whether the driver records when a job was claimed.
  func compared(recordsRuns: Bool) -> StoredJob {
    var job = self
    job.processID = nil
    if !recordsRuns { job.startedAt = nil }
    return job
  }
}

/// - Throws: ``ConformanceFailure`` if `body` changed anything that the driver shows.
func checkNothingChanges(
  in driver: any LogDriver, _ what: String = "expected no change", file: String = #fileID, line: Int = #line,
  _ body: () async throws -> Void
) async throws {
  let before = try await Snapshot(driver)
  try await body()
  try await Snapshot(driver).check(is: before, what, file: file, line: line)
}
