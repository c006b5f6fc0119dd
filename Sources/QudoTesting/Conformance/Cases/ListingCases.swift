internal import Qudo

extension ConformanceSuite {
  static let listings: [ConformanceCase] = [
    ConformanceCase("aListedJobShowsItsCurrentState", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let now = subject.clock.now().wall
      var new = job("x", unique: UniqueKey("k"), priority: 5, due: .after(.seconds(3)))
      new.metadata = JobMetadata(bytes: [1])
      let id = try await driver.insertNew(new)
      var expected = StoredJob(
        id: id, kind: "a", state: .delayed, payload: Payload("x"), uniqueKey: "k", priority: 5, attempt: 1,
        enqueuedAt: now,
        dueAt: now.advanced(by: .seconds(3)), leaseExpiresAt: nil, metadata: JobMetadata(bytes: [1]))
      func found() async throws -> StoredJob {
        try await driver.findOne().compared(recordsRuns: driver.capabilities.contains(.recoversDeadHolders))
      }
      try check(try await found(), is: expected)
      subject.clock.advance(by: .seconds(3))
      expected.state = .ready
      try check(try await found(), is: expected, "due, not yet promoted")
      let lease = try await driver.claimOne(demand(1, leaseDuration: .seconds(60))).lease
      (expected.state, expected.leaseExpiresAt) = (.running, now.advanced(by: .seconds(63)))
      if driver.capabilities.contains(.recoversDeadHolders) {
        expected.startedAt = now.advanced(by: .seconds(3))
      }
      try check(try await found(), is: expected)
      subject.clock.advance(by: .seconds(10))
      try check(try await found(), is: expected)
      _ = try await driver.renew([lease], for: .seconds(60))
      expected.leaseExpiresAt = now.advanced(by: .seconds(73))
      try check(try await found(), is: expected, "extended")
      subject.clock.advance(by: .seconds(60))
      (expected.state, expected.leaseExpiresAt, expected.startedAt) = (.ready, nil, nil)
      try check(try await found(), is: expected, "its lease expired")
    },
    ConformanceCase("jobsAreFoundByIdKindAndState", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      try await oneOfEachState(driver, subject.clock)
      func found(_ query: JobQuery) async throws -> [String] {
        try await driver.jobs(matching: query).map(\.payload.text)
      }
      let ids = try await driver.find(exactly: 6).map(\.id)
      try check(ids, is: ids.sorted())
      try check(try await found(JobQuery()), is: ["running", "ended", "due", "delayed", "ready", "other"])
      try check(try await found(JobQuery(states: [.ready])), is: ["ended", "due", "ready", "other"])
      try check(try await found(JobQuery(states: [.delayed])), is: ["delayed"])
      try check(try await found(JobQuery(states: [.running])), is: ["running"])
      try check(try await found(JobQuery(states: [.running, .delayed])), is: ["running", "delayed"])
      try check(try await found(JobQuery(states: [])), is: [])
      try check(try await found(JobQuery(kinds: ["b"])), is: ["other"])
      try check(try await found(JobQuery(kinds: ["b", "never seen", "a"])).count, is: 6)
      try check(try await found(JobQuery(kinds: [])), is: [])
      try check(try await found(JobQuery(kinds: ["never seen"])), is: [])
      try check(try await found(JobQuery(ids: [ids[4], 9999, ids[0], -1])), is: ["running", "ready"])
      try check(try await found(JobQuery(ids: [])), is: [])
      try check(
        try await found(JobQuery(ids: ids, kinds: ["a"], states: [.ready], after: ids[1], limit: 1)),
        is: ["due"])
    },
    ConformanceCase("jobsAreListedInPages", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let ids = try await driver.insert(
        (0..<250).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b", priority: $0 % 7) }
      ).map(\.id)
      try check(
        try await driver.jobs(matching: JobQuery()).map(\.id), is: Array(ids.prefix(100)), "the first page")
      try check(try await driver.jobs(matching: JobQuery(limit: 0)), is: [])
      var paged: [Int64] = []
      for _ in 0..<10 {
        let page = try await driver.jobs(
          matching: JobQuery(kinds: ["a"], states: [.ready], after: paged.last ?? 0, limit: 30)
        ).map(\.id)
        paged += page
        if page.count < 30 { break }
      }
      try check(paged, is: ids.enumerated().filter { $0.offset % 2 == 0 }.map(\.element))
    },
  ]

  static let counts: [ConformanceCase] = [
    ConformanceCase("leavingOutPayloadsChangesNothingElse", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      let payloads = ["", "a", "abcdef", String(repeating: "é", count: 3000)]
      _ = try await driver.insert(payloads.map { job($0) })
      let all = try await driver.jobs(matching: JobQuery())
      let queries = [
        JobQuery(), JobQuery(ids: all.map(\.id)), JobQuery(kinds: ["a"], states: [.ready]),
        JobQuery(JobFilter(payloadContains: []), limit: 4),
      ]
      for most in [0, 1, 5, 1000] {
        for query in queries {
          let found = try await driver.jobs(matching: query.withPayloads(upTo: most))
          // A driver that does not know of it reads them whole.
          try check(
            found.map { Array($0.payload.bytes.prefix(most)) },
            is: all.map { Array($0.payload.bytes.prefix(most)) })
          try check(
            zip(found, all).map { found, job in
              var found = found
              found.payload.bytes = job.payload.bytes
              return found
            }, is: all)
        }
      }
      for failing in try await driver.claim(demand()).jobs {
        try await driver.settle(failing.lease, .failed(message: failing.payload.text))
      }
      let rows = try await driver.failures()
      try check(
        try await driver.failures(LogQuery(oldestFirst: true).withoutPayloads).map { row in
          var row = row
          row.payload = rows.first { $0.id == row.id }?.payload
          return row
        }, is: rows)
    },
    ConformanceCase("aNegativeLimitMeansZero", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      try await fail(2, driver)
      _ = try await driver.insert([job(), job(due: .after(.seconds(1)))])
      subject.clock.advance(by: .seconds(1))
      try await checkNothingChanges(in: driver) {
        for limit in [-1, .min] {
          try check(try await driver.jobs(matching: JobQuery(limit: limit)), is: [])
          try check(try await driver.failures(LogQuery(limit: limit)), is: [])
          try check(try await driver.statuses(LogQuery(limit: limit)), is: [])
          try check(try await driver.failures(LogQuery(offset: limit)).count, is: 2)
          try check(try await driver.prune(PruneOptions(limit: limit)), is: 0)
          try check(try await driver.promote(limit: limit), is: 0)
          try check(try await driver.texts(demand(limit)), is: [])
          try check(try await driver.texts(ClaimRequest([.init("a", limit: limit)], limit: 9)), is: [])
        }
      }
      try check(try await driver.prune(PruneOptions(keep: -1)), is: 4)
    },
    ConformanceCase("countsAreByKindAndState", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      try check(try await driver.count(), is: [])
      try await oneOfEachState(driver, subject.clock)
      let a = JobCount("a", ready: 3, delayed: 1, running: 1)
      try check(try await driver.count().sorted { $0.kind < $1.kind }, is: [a, JobCount("b", ready: 1)])
      try check(try await driver.count(["a", "never seen"]), is: [a])
      try check(try await driver.count(["never seen"]), is: [])
      try check(try await driver.count([]), is: [])
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.count(["a"]), is: [JobCount("a", ready: 5)])
    },
    ConformanceCase("aKindWithoutJobsIsNotCounted", .listingsAreTrue) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      try await driver.complete([try await driver.claimOne()])
      try check(try await driver.count(), is: [])
    },
  ]

  private static func oneOfEachState(_ driver: any LogDriver, _ clock: ManualClock) async throws {
    _ = try await driver.insert([job("running"), job("ended")])
    _ = try await driver.claim(demand(1, leaseDuration: .seconds(600)))
    _ = try await driver.claim(demand(1, leaseDuration: .seconds(5)))
    _ = try await driver.insert([
      job("due", due: .after(.seconds(5))), job("delayed", due: .after(.seconds(600))), job("ready"),
      job("other", kind: "b"),
    ])
    clock.advance(by: .seconds(5))
  }
}
