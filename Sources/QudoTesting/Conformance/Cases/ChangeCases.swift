internal import Qudo

extension ConformanceSuite {
  static let changing: [ConformanceCase] = [
    ConformanceCase("aWaitingJobIsChanged", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let start = subject.clock.now().wall
      let changes: [(JobChange, (inout StoredJob) -> Void)] = [
        (JobChange(priority: -7), { $0.priority = -7 }),
        (
          JobChange(payload: Payload([0, 255], codec: .json)),
          { $0.payload = Payload([0, 255], codec: .json) }
        ),
        (JobChange(payload: Payload([])), { $0.payload = Payload([]) }),
        (JobChange(metadata: JobMetadata(bytes: [1, 2])), { $0.metadata = JobMetadata(bytes: [1, 2]) }),
        (JobChange(metadata: JobMetadata()), { $0.metadata = JobMetadata() }),
        (
          JobChange(due: .after(.seconds(9))),
          { ($0.dueAt, $0.state) = (start.advanced(by: .seconds(9)), .delayed) }
        ),
        (
          JobChange(due: .at(start.advanced(by: .seconds(3)))),
          { ($0.dueAt, $0.state) = (start.advanced(by: .seconds(3)), .delayed) }
        ),
        (JobChange(due: .now), { ($0.dueAt, $0.state) = (start, .ready) }),
        (
          JobChange(
            priority: 4, due: .at(.earliest), payload: Payload("x"), metadata: JobMetadata(bytes: [3])),
          {
            ($0.priority, $0.dueAt, $0.state) = (4, .earliest, .ready)
            ($0.payload, $0.metadata) = (Payload("x"), JobMetadata(bytes: [3]))
          }
        ),
      ]
      for due in [Due.now, .after(.seconds(20))] {
        let id = try await driver.insertNew(job("old", unique: UniqueKey("k"), priority: 1, due: due))
        var expected = try await driver.findOne()
        for (change, apply) in changes {
          try check(try await control.change([id], change), is: [.changed], "\(change)")
          apply(&expected)
          try check(try await driver.findOne(), is: expected, "\(change)")
        }
        try check(try await driver.insert(job(unique: UniqueKey("k"))), is: .conflict(id))
        let claimed = try await driver.claimOne()
        try check([claimed.id, Int64(claimed.priority), Int64(claimed.attempt)], is: [id, 4, 1])
        try check(claimed.payload.text, is: "x")
        try check(claimed.metadata, is: JobMetadata(bytes: [3]))
        try check(claimed.dueAt, is: .earliest)
        try await driver.complete([claimed])
        try check(try await driver.count(), is: [])
      }
    },
    ConformanceCase("aChangedJobHasItsNewPlace", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(of: (0..<8).map { job("\($0)") }).map(\.id)
      let later = try await driver.insertNew(job("later", due: .after(.seconds(5))))
      subject.clock.advance(by: .seconds(1))
      _ = try await control.change([ids[4]], JobChange(priority: 1))
      _ = try await control.change([ids[0], ids[2]], JobChange(due: .now))
      _ = try await control.change([ids[1]], JobChange(payload: Payload("one")))
      _ = try await control.change([ids[6]], JobChange(due: .after(.seconds(2))))
      _ = try await control.change([later], JobChange(priority: 2, due: .now))
      try check(try await driver.count(), is: [JobCount("a", ready: 8, delayed: 1)])
      let claim = try await driver.claim(demand(100))
      try check(claim.texts, is: ["later", "4", "one", "3", "5", "7", "0", "2"])
      try check(claim.timeUntilNextDue, is: .seconds(2))
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.texts(), is: ["6"])
    },
    ConformanceCase("aChangedJobKeepsItsAttemptsAndItsKey", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job("1", unique: UniqueKey("k", scope: .untilStarted)))
      let first = try await driver.claimOne()
      try await driver.settle(first.lease, .retry(after: .seconds(1), message: ""))
      let other = try await driver.insertNew(job("2", unique: UniqueKey("k", scope: .untilStarted)))
      try check(
        try await control.change([id, other], JobChange(priority: 1, payload: Payload("new"))),
        is: [.changed, .changed])
      let jobs = try await driver.find(exactly: 2)
      try check(jobs.map(\.attempt), is: [2, 1])
      try check(jobs.map(\.uniqueKey), is: ["k", "k"])
      // The first one's key is free since its start, the second one holds it.
      try check(try await driver.insert(job(unique: UniqueKey("k"))), is: .conflict(other))
      try await driver.complete([try await driver.claimOne()])
      try await driver.insertNew(job(unique: UniqueKey("k")))
    },
    ConformanceCase("eachChangeHasItsAnswer", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let done = try await driver.insertNew(job("done"))
      try await driver.complete([try await driver.claimOne()])
      let running = try await driver.insertNew(job("running"))
      let lease = try await driver.claimOne().lease
      let ready = try await driver.insertNew(job("ready"))
      let change = JobChange(priority: 9, payload: Payload("new"))
      let before = try await driver.findOne(JobQuery(ids: [running]))
      try check(
        try await control.change([ready, .max, running, done, -1, ready], change),
        is: [.changed, .notFound, .running, .notFound, .notFound, .changed])
      try check(try await control.change([], change), is: [])
      try check(try await driver.findOne(JobQuery(ids: [running])), is: before)
      try check(try await driver.settle(lease, .completed()), is: .settled())
      try check(try await driver.texts(), is: ["new"])
    },
    ConformanceCase("aJobWhoseLeaseExpiredIsChanged", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job("old"))
      let marked = try await driver.insertNew(job("marked"))
      let claimed = try await driver.claim(exactly: 2)
      _ = try await control.cancel([marked], reason: "stop")
      subject.clock.advance(by: .seconds(61))
      try check(
        try await control.change([id, marked], JobChange(payload: Payload("new"))), is: [.changed, .notFound])
      try check(try await driver.failures().map(\.message), is: ["stop"])
      let found = try await driver.findOne()
      try check([found.id, Int64(found.attempt), Int64(found.expiredLeases)], is: [id, 1, 0])
      try check(try await driver.settle(claimed[0].lease, .completed()), is: .leaseLost)
      try check(try await driver.texts(), is: ["new"])
    },
    ConformanceCase("aChangeIsChecked", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let most = driver.limits.payloadBytes
      let large = Payload(Array(repeating: 1, count: most / 2 + 1))
      let ids = try await driver.results(of: [job("1"), NewJob("a", payload: large), job("3")]).map(\.id)
      let metadata = JobMetadata(bytes: Array(repeating: 2, count: most / 2 + 1))
      let changes: [JobChange] = [
        JobChange(), JobChange(priority: Int(Int32.min)), JobChange(priority: Int(Int32.max) + 1),
        JobChange(due: .after(.seconds(-1))),
        JobChange(payload: Payload(Array(repeating: 1, count: most + 1))),
        JobChange(payload: large, metadata: metadata),
        // The second job's payload leaves no room for it.
        JobChange(priority: 3, metadata: metadata),
      ]
      for change in changes {
        try await checkNothingChanges(in: driver) {
          try await check(throws: .invalidArgument) { _ = try await control.change(ids, change) }
          try await check(throws: .invalidArgument) {
            _ = try await control.change(matching: JobQuery(), change)
          }
        }
      }
      try check(try await control.change([ids[0]], JobChange(metadata: metadata)), is: [.changed])
      try await check(throws: .invalidArgument) {
        _ = try await control.change([ids[0]], JobChange(payload: large))
      }
      try check(try await driver.texts(demand(1)), is: ["1"])
    },
    ConformanceCase("aQueryIsChangedInPages", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(of: (0..<9).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b") }).map(
        \.id)
      let running = try await driver.claimOne()
      var query = JobQuery(kinds: ["a"], limit: 2)
      let change = JobChange(due: .after(.seconds(5)))
      try check(
        try await control.change(matching: query, change),
        is: [ChangedJob(id: running.id, result: .running), ChangedJob(id: ids[2], result: .changed)])
      query.after = ids[2]
      query.limit = 9
      try check(
        try await control.change(matching: query, change).map(\.id), is: [ids[4], ids[6], ids[8]])
      try check(
        try await driver.count(), is: [JobCount("a", delayed: 4, running: 1), JobCount("b", ready: 4)])
      query = JobQuery(states: [.delayed])
      try check(try await control.change(matching: query, JobChange(due: .now)).count, is: 4)
      try check(try await driver.count(), is: [JobCount("a", ready: 4, running: 1), JobCount("b", ready: 4)])
      try check(try await control.change(matching: JobQuery(kinds: ["c"]), change), is: [])
    },
    ConformanceCase("aChangeSurvives", .jobsAreControlled, requires: [.control, .durable]) { subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job("old", due: .after(.seconds(5))))
      _ = try await driver.control().change([id], JobChange(priority: 2, due: .now, payload: Payload("new")))
      await driver.close()
      let again = try await subject.open()
      let claimed = try await again.claimOne()
      try check([claimed.payload.text, "\(claimed.priority)"], is: ["new", "2"])
    },
    ConformanceCase("aJobThatMayRunNowRings", .waitersAreWoken, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let id = try await driver.insertNew(job("1", due: .after(.seconds(100))))
      try await checkRings(driver, "a changed job") {
        _ = try await control.change([id], JobChange(due: .now))
      }
      _ = try await driver.claimOne()
      try await checkRings(driver, "a recovered job") { _ = try await control.recover([id]) }
    },
  ]

  static let recovering: [ConformanceCase] = [
    ConformanceCase("aRunningJobIsRecoveredByForce", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(
        of: (0..<5).map { job("\($0)", unique: UniqueKey("\($0)", scope: .untilStarted)) }
      )
      .map(\.id)
      let claimed = try await driver.claim(exactly: 5)
      try check(
        try await control.recover([ids[1], ids[3], ids[1]]), is: [.recovered, .recovered, .recovered])
      try check(try await driver.count(), is: [JobCount("a", ready: 2, running: 3)])
      let lost = [claimed[1], claimed[3]].map { Settlement($0.lease, .failed(message: "late")) }
      try check(try await driver.settle(lost, claiming: nil).results, is: [.leaseLost, .leaseLost])
      let renewed = try await driver.renew(claimed.map(\.lease), for: .seconds(60))
      try check(renewed.map { $0 == nil }, is: [false, true, false, true, false])
      let found = try await driver.findOne(JobQuery(ids: [ids[1]]))
      try check([found.attempt, found.expiredLeases], is: [1, 0])
      // The key stays free.
      try await driver.insertNew(job("new", unique: UniqueKey("1")))
      try check(try await driver.texts(), is: ["1", "3", "new"])
      try check(try await driver.failures(), is: [])
    },
    ConformanceCase("eachRecoveryHasItsAnswer", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let done = try await driver.insertNew(job("done"))
      try await driver.complete([try await driver.claimOne()])
      let expired = try await driver.insertNew(job("expired"))
      _ = try await driver.claimOne()
      subject.clock.advance(by: .seconds(61))
      let marked = try await driver.insertNew(job("marked", kind: "b"))
      _ = try await driver.claimOne(demand(1, "b"))
      _ = try await control.cancel([marked], reason: "stop")
      // The claim for another kind recovered the expired job as one with an expired lease; it waits now.
      let ready = try await driver.insertNew(job("ready"))
      let delayed = try await driver.insertNew(job("delayed", due: .after(.seconds(1))))
      let answers = try await control.recover([ready, marked, .max, delayed, done, -1, expired])
      try check(
        answers, is: [.notRunning, .cancelled, .notFound, .notRunning, .notFound, .notFound, .notRunning])
      try check(try await driver.failures().map(\.message), is: ["stop"])
      try check(try await driver.claim(demand(0)).cancelling, is: [])
      try check(try await control.recover([]), is: [])
      try check(try await driver.findOne(JobQuery(ids: [expired])).expiredLeases, is: 1)
      // Now before any claim sees it.
      let lease = try await driver.claimOne().lease
      subject.clock.advance(by: .seconds(61))
      try check(try await control.recover([expired]), is: [.recovered])
      try check(try await driver.findOne(JobQuery(ids: [expired])).expiredLeases, is: 1)
      try check(try await driver.settle(lease, .completed()), is: .leaseLost)
    },
    ConformanceCase("aQueryIsRecoveredInPages", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let ids = try await driver.results(
        of: (0..<9).map { job("\($0)", kind: $0 % 2 == 0 ? "a" : "b", priority: $0 == 8 ? -1 : 0) }
      ).map(\.id)
      _ = try await driver.claim(demand(4))
      _ = try await driver.claim(demand(1, "b"))
      _ = try await control.cancel([ids[2]], reason: "stop")
      var query = JobQuery(kinds: ["a"], limit: 2)
      try check(
        try await control.recover(matching: query),
        is: [RecoveredJob(id: ids[0], result: .recovered), RecoveredJob(id: ids[2], result: .cancelled)])
      query.after = ids[2]
      query.limit = 9
      try check(try await control.recover(matching: query).map(\.id), is: [ids[4], ids[6]])
      try check(try await control.recover(matching: query), is: [], "jobs that wait")
      try check(try await control.recover(matching: JobQuery(states: [.ready, .delayed])), is: [])
      try check(try await driver.count(), is: [JobCount("a", ready: 4), JobCount("b", ready: 3, running: 1)])
      try check(try await driver.failures().map(\.message), is: ["stop"])
      try check(
        try await control.recover(matching: JobQuery(JobFilter(payloadContains: Array("1".utf8)))),
        is: [RecoveredJob(id: ids[1], result: .recovered)])
      try check(try await driver.count(), is: [JobCount("a", ready: 4), JobCount("b", ready: 4)])
      try await check(throws: .invalidArgument) {
        _ = try await control.recover(
          matching: JobQuery(JobFilter(uniqueKeyPrefix: String(repeating: "k", count: 256))))
      }
    },
    ConformanceCase(
      "aJobOfAnotherProcessIsRecoveredByForce", .jobsAreControlled, requires: [.control, .multiProcess]
    ) { subject in
      let (driver, other) = try await subject.openTwo()
      let id = try await driver.insertNew(job("1"))
      let lease = try await driver.claimOne().lease
      try check(try await other.control().recover([id]), is: [.recovered])
      try check(try await other.texts(), is: ["1"])
      try check(try await driver.settle(lease, .completed()), is: .leaseLost)
      try check(try await driver.claim(demand()).jobs.count, is: 0)
    },
  ]
}
