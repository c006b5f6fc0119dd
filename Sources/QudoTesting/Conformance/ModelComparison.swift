internal import Qudo

extension ModelWalk {
  /// The driver's id of a job of the model.
  func id(_ model: Int64) throws -> Int64 { try require(ids[model], "a job of the model's id \(model)") }

  func match(_ found: [InsertResult], _ expected: [InsertResult]) throws {
    try check(found.count, is: expected.count, "step \(count)")
    for (found, expected) in zip(found, expected) {
      if case .inserted(let id) = found, case .inserted(let model) = expected { ids[model] = id }
      let translated: InsertResult = switch expected {
      case .inserted(let model): .inserted(try id(model))
      case .existing(let model): .existing(try id(model))
      case .overwritten(let model): .overwritten(try id(model))
      case .conflict(let model): .conflict(try id(model))
      }
      try check(found, is: translated, "step \(count)")
    }
  }

  func match(_ found: Claim, _ expected: Claim) throws {
    try check(found.jobs.map(\.id), is: try expected.jobs.map { try id($0.id) }, "step \(count), claim")
    try check(found.nextDue, is: expected.nextDue, "step \(count), next due")
    try check(found.nextLeaseEnd, is: expected.nextLeaseEnd, "step \(count), next lease end")
    for (found, expected) in zip(found.jobs, expected.jobs) {
      func seen(_ job: ClaimedJob) -> [String] {
        ["\(job.kind)", job.payload.text, "\(job.priority)", "\(job.attempt)", "\(job.enqueued)", "\(job.due)"]
          + ["\(job.uniqueKey ?? "-")", "\(job.meta.bytes)"]
      }
      try check(seen(found), is: seen(expected), "step \(count), claimed job \(found.id)")
      leases.append((found.lease, expected.lease))
    }
  }

  /// All that can be seen of both.
  func compare(_ what: String) async throws {
    var expected = try await Snapshot(model)
    let found = try await Snapshot(driver)
    for index in expected.jobs.indices { expected.jobs[index].id = try id(expected.jobs[index].id) }
    expected.jobs.sort { $0.id < $1.id }
    for (index, row) in expected.failures.enumerated() where index < found.failures.count {
      expected.failures[index].id = found.failures[index].id
      expected.failures[index].job = try id(row.job)
      expected.failures[index].replayedAs = try row.replayedAs.map { try id($0) }
      if row.reason == .lost { expected.failures[index].message = found.failures[index].message }
    }
    for (index, row) in expected.statuses.enumerated() where index < found.statuses.count {
      expected.statuses[index].id = found.statuses[index].id
      expected.statuses[index].job = try id(row.job)
    }
    try found.check(is: expected, what)
  }
}
