internal import Qudo

extension ConformanceSuite {
  static let ids: [ConformanceCase] = [
    ConformanceCase("idsGrowInTheOrderOfEnqueueing", .idsAreNeverReused) { subject in
      let (one, other) = try await subject.openTwo()
      var last: Int64 = 0
      for driver in [one, other, one, other] {
        for result in try await driver.insert([job(), job(kind: "b"), job()]) {
          try check(result.id, isAbove: last)
          last = result.id
        }
      }
    },
    ConformanceCase("theHighestIdIsNotReusedHoweverItsJobWent", .idsAreNeverReused) { subject in
      let driver = try await subject.open()
      var last: Int64 = 0
      for outcome in [
        .completed(), .failed(message: ""), .aborted(message: ""), .completed(replacements: []),
      ] as [Settlement.Outcome] {
        let id = try await driver.insertNew(job())
        try check(id, isAbove: last)
        last = id
        try await driver.settle(try await driver.claimOne().lease, outcome)
      }
      last = try await driver.insertNew(job())
      _ = try await driver.claim(demand(maxExpiredLeases: 1))
      subject.clock.advance(by: .seconds(60))
      try check(try await driver.texts(), is: [])
      let id = try await driver.insertNew(job())
      try check(id, isAbove: last)
    },
    ConformanceCase("idsAreNotReusedAfterTheHighestBatch", .idsAreNeverReused) { subject in
      let driver = try await subject.open()
      let ids = try await driver.results(of: (0..<10).map { _ in job() }).map(\.id)
      let jobs = try await driver.claim(exactly: 10)
      // Complete the highest id first, then the next highest.
      try await driver.complete(jobs.sorted { $0.id > $1.id }.dropLast(2))
      let id = try await driver.insertNew(job())
      try check(id, isAbove: ids[9])
    },
    ConformanceCase("idsAreNotReusedAfterReopening", .idsAreNeverReused, requires: .durable) { subject in
      var last: Int64 = 0
      for _ in 0..<3 {
        let driver = try await subject.open()
        for _ in 0..<2 {
          let id = try await driver.insertNew(job())
          try check(id, isAbove: last)
          last = id
          try await driver.complete([try await driver.claimOne()])
        }
        await driver.close()
      }
    },
    ConformanceCase("idsOfTheLogsAreNotReusedAfterPruning", .idsAreNeverReused) { subject in
      let driver = try await subject.open()
      var last: (failure: Int64, status: Int64) = (0, 0)
      for _ in 0..<3 {
        try await driver.insertNew(job())
        try await driver.settle(try await driver.claimOne().lease, .failed(message: ""), recording: .zero)
        let failure = try require(try await driver.failures().first, "a failure").id
        let status = try require(try await driver.statuses().first, "a status").id
        try check(failure, isAbove: last.failure)
        try check(status, isAbove: last.status)
        last = (failure, status)
        try check(try await driver.prune(PruneOptions()), is: 2)
      }
    },
  ]
}
