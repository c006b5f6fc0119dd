internal import Qudo

extension ConformanceSuite {
  static let outcomes: [ConformanceCase] = [
    ConformanceCase("eachJobHasItsOutcome", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      /// Runs a job with this outcome and returns its id.
      func run(_ outcome: Settlement.Outcome, recording: Duration? = nil) async throws -> Int64 {
        let id = try await driver.insertNew(job("\(outcome)", priority: 1))
        try await driver.settle(try await driver.claimOne().lease, outcome, recording: recording)
        return id
      }
      let ready = try await driver.insertNew(job("ready"))
      let delayed = try await driver.insertNew(job("delayed", due: .after(.seconds(90))))
      let completed = try await run(.completed())
      let recorded = try await run(.completed(), recording: .seconds(1))
      let replaced = try await run(.completed(replacements: [job("next", kind: "b")]), recording: .seconds(1))
      let failed = try await run(.failed(message: "broke"), recording: .seconds(1))
      let aborted = try await run(.aborted(message: "no"))
      let retried = try await run(.retry(after: .seconds(80), message: "again"), recording: .seconds(1))
      let last = try await driver.insertNew(job("running", priority: 1))
      _ = try await driver.claimOne(demand(1, leaseDuration: .seconds(30)))

      let asked = [
        last, ready, .max, delayed, completed, recorded, ready, replaced, failed, aborted, retried, 0, -1,
      ]
      let found = try await driver.outcomes(of: asked)
      let words = found.map { outcome in
        switch outcome {
        case .unfinished(let job): "\(job.id) \(job.state)"
        case .completed(let row): "\(row.job) \(row.status)"
        case .failed(let row):
          "\(row.job) \(row.reason) \(row.message) \(row.payload?.bytes.isEmpty == false)"
        case .unrecorded: "unrecorded"
        case .neverExisted: "never"
        }
      }
      try check(
        words,
        is: [
          "\(last) running", "\(ready) ready", "never", "\(delayed) delayed", "unrecorded",
          "\(recorded) completed",
          "\(ready) ready", "\(replaced) replaced", "\(failed) failed broke true",
          "\(aborted) aborted no true",
          "\(retried) delayed", "never", "never",
        ])
      try check(try await driver.outcomes(of: []), is: [])
      // The same rows as in the listings.
      let jobs = try await driver.jobs(matching: JobQuery(ids: [last]))
      try check(found[0], is: .unfinished(try require(jobs.first, "the running job")))

      // What is pruned is no longer known, but that it existed.
      while try await driver.prune(PruneOptions()) > 0 {}
      try check(
        try await driver.outcomes(of: [recorded, failed, replaced, aborted]),
        is: Array(repeating: .unrecorded, count: 4))
      try check(try await driver.outcomes(of: [last])[0].isUnfinished, is: true)
    },
    ConformanceCase("outcomesTellOfExpiredLeasesAndCancelledJobs", .listingsAreTrue, requires: .control) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job("lost"))
      for count in 1...2 {
        let start = subject.clock.now().wall
        let claimed = try await driver.claimOne(demand(1, maxExpiredLeases: 3))
        let running = try await driver.findOne()
        try check([running.expiredLeases, claimed.attempt], is: [count - 1, 1])
        if driver.capabilities.contains(.recoversDeadHolders) {
          try check(running.startedAt, is: start)
          // A later expiry is the same run.
          subject.clock.advance(by: .seconds(1))
          _ = try await driver.renew([claimed.lease], for: .seconds(60))
          try check(try await driver.findOne().startedAt, is: start)
        }
        subject.clock.advance(by: .seconds(61))
        let expired = try await driver.findOne()
        try check(expired.state, is: .ready)
        try check(expired.startedAt, is: nil)
        try check(expired.processID, is: nil)
      }
      _ = try await driver.claimOne(demand(1, maxExpiredLeases: 3))
      subject.clock.advance(by: .seconds(61))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [id])
      let cancelled = try await driver.insertNew(job("cancelled"))
      _ = try await control.cancel([cancelled], reason: nil)
      let reasons = try await driver.outcomes(of: [id, cancelled]).map { outcome in
        if case .failed(let failure) = outcome { failure.reason } else { nil as FailureReason? }
      }
      try check(reasons, is: [.lost, .cancelled])
    },
    ConformanceCase("aJobIsFoundByItsUniqueKey", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      func found(_ key: String, _ kind: Kind = "a") async throws -> Int64? {
        try await driver.job(withUniqueKey: key, kind: kind)
      }
      try check(try await found("k"), is: nil)
      let first = try await driver.insertNew(job("1", unique: UniqueKey("k")))
      try check(try await found("k"), is: first)
      try check(
        [try await found("k", "b"), try await found("K"), try await found("k\u{301}")], is: [nil, nil, nil])
      try await driver.settle(try await driver.claimOne().lease, .failed(message: ""))
      try check(try await found("k"), is: first)
      let second = try await driver.insertNew(job("2", unique: UniqueKey("k")))
      try check(try await found("k"), is: second)
      try await driver.settle(try await driver.claimOne().lease, .completed(), recording: .zero)
      try check(try await found("k"), is: second)
      let third = try await driver.insertNew(job("3", unique: UniqueKey("k")))
      try await driver.settle(try await driver.claimOne().lease, .aborted(message: ""))
      try check(try await found("k"), is: third)
      // Completed without a record.
      try await driver.insertNew(job("4", unique: UniqueKey("k")))
      try await driver.settle(try await driver.claimOne().lease, .completed())
      try check(try await found("k"), is: third)
      try check(try await found("é"), is: nil)
    },
    ConformanceCase("theLogsAreListedByJob", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: [job("1"), job("2", kind: "b")]).map(\.id)
      for round in 1...3 {
        for claimed in try await driver.claim(exactly: 2, demand(2, "a", "b")) {
          let outcome: Settlement.Outcome =
            round == 3 ? .failed(message: "3") : .retry(after: .zero, message: "\(round)")
          try await driver.settle(claimed.lease, outcome, recording: .zero)
        }
      }
      let all = try await driver.failures().filter { $0.job == ids[1] }
      try check(all.map(\.message), is: ["1", "2", "3"])
      try check(try await driver.failures(LogQuery(oldestFirst: true, job: ids[1])), is: all)
      try check(try await driver.failures(LogQuery(limit: 1, job: ids[1])), is: [all[2]])
      try check(try await driver.failures(LogQuery(limit: 1, offset: 1, job: ids[1])), is: [all[1]])
      try check(try await driver.failures(LogQuery(limit: 5, job: ids[1], after: all[1].id)), is: [all[0]])
      try check(try await driver.failures(LogQuery(kinds: ["a"], job: ids[1])), is: [])
      let some = try await driver.failures().prefix(4).map(\.id)
      try check(
        try await driver.failures(LogQuery(oldestFirst: true, ids: some, job: ids[1])),
        is: Array(all.prefix(2)))
      try check(
        try await driver.statuses(LogQuery(job: ids[0])).map(\.job), is: Array(repeating: ids[0], count: 3))
      try check(try await driver.statuses(LogQuery(job: .max)), is: [])
    },
  ]
}
