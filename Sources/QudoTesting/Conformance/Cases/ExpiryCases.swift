internal import Qudo

extension ConformanceSuite {
  static let expiring: [ConformanceCase] = [
    ConformanceCase("aJobThatStillWaitsAtItsExpiryNeverRuns", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let start = subject.clock.now().wall
      let ids = try await driver.results(of: [
        job("2nd", unique: "k", priority: 3, expires: .after(.seconds(5))), job("stays"),
        job("3rd", due: .after(.seconds(3)), expires: .after(.seconds(5))),
        job("1st", due: .after(.seconds(1)), expires: .at(start.advanced(by: .seconds(4)))),
        job("later", expires: .after(.seconds(6))),
      ]).map(\.id)
      subject.clock.advance(by: .seconds(5))
      // Also those of kinds that the claim does not ask for.
      let claim = try await driver.claim(demand(10, "b"))
      let expected = [(0, "k"), (2, nil), (3, nil)].map { place, key in
        GivenUpJob(
          id: ids[place], kind: "a", reason: .expired, attempt: 1, expiredLeases: 0, uniqueKey: key)
      }
      try check(claim.givenUp, is: expected)
      try check(claim.recovered, is: 0)
      let failures = try await driver.failures()
      try check(Set(failures.map(\.job)), is: Set(expected.map(\.id)))
      let failure = try require(failures.first { $0.job == ids[0] }, "a failure")
      try check(
        failure,
        is: FailureRecord(
          id: failure.id, job: ids[0], kind: "a", reason: .expired,
          message: "the job still waited at its expiry", payload: Payload("2nd"), uniqueKey: "k", priority: 3,
          attempt: 1, failedAt: subject.clock.now().wall, isFinal: true, replayedAs: nil))
      let next = try await driver.claim(demand())
      try check(next.texts, is: ["stays", "later"])
      try check(next.givenUp, is: [], "told once")
      try await driver.insertNew(job("again", unique: "k"))
    },
    ConformanceCase("aRunThatBeganBeforeTheExpiryGoesOn", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      for _ in 0..<3 { try await driver.insertNew(job(expires: .after(.seconds(5)))) }
      subject.clock.advance(by: .microseconds(4_999_999))
      let claimed = try await driver.claim(exactly: 3)
      subject.clock.advance(by: .seconds(30))
      try check(try await driver.claim(demand()).givenUp, is: [])
      let renewed = try require(
        try await driver.renew([claimed[0].lease], for: .seconds(60)).first ?? nil, "a lease")
      subject.clock.advance(by: .seconds(20))
      try check(try await driver.settle(renewed, .completed()), is: .settled())
      try await driver.complete(Array(claimed.dropFirst()))
      try check(try await driver.failures(), is: [])
    },
    ConformanceCase("noRunFollowsPastTheExpiry", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let outcomes: [Settlement.Outcome?] = [
        .retry(after: .zero, message: ""), .retry(after: .seconds(1), message: ""), .snoozed(.zero),
        .released, nil,
      ]
      for outcome in outcomes {
        let id = try await driver.insertNew(job(expires: .after(.seconds(5))))
        let claimed = try await driver.claimOne()
        subject.clock.advance(by: .seconds(5))
        // The run is seen past its expiry, and is let be.
        try check(try await driver.claim(demand()).givenUp, is: [])
        if let outcome {
          try check(try await driver.settle(claimed.lease, outcome), is: .settled())
        } else {
          try check(try await control.recover([id]), is: [.recovered])
        }
        let claim = try await driver.claim(demand())
        try check(claim.jobs.map(\.id), is: [])
        try check(claim.givenUp.map(\.id), is: [id])
        try check(claim.givenUp.map(\.reason), is: [.expired])
      }
      try check(try await driver.count(), is: [])
    },
    ConformanceCase("aJobWhoseLeaseAndTimeExpiredNeverRunsAgain", .jobsAreControlled, requires: .control) {
      subject in
      let driver = try await subject.open()
      let id = try await driver.insertNew(job(expires: .after(.seconds(5))))
      _ = try await driver.claimOne()
      subject.clock.advance(by: .seconds(61))
      let claim = try await driver.claim(demand())
      try check(claim.jobs.map(\.id), is: [])
      try check(claim.recovered, is: 1)
      try check(
        claim.givenUp,
        is: [GivenUpJob(id: id, kind: "a", reason: .expired, attempt: 1, expiredLeases: 1)])
    },
    ConformanceCase("aClaimTellsWhenTheNextJobExpires", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([
        job(due: .after(.seconds(9))), job(kind: "b", expires: .after(.seconds(7))),
        job(kind: "b", expires: .after(.seconds(8))),
      ])
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(7))
      subject.clock.advance(by: .seconds(7))
      let claim = try await driver.claim(demand())
      try check([claim.givenUp.count], is: [1])
      try check(claim.timeUntilNextDue, is: .seconds(1))
      let claimed = try await driver.claimOne(demand(1, "b"))
      subject.clock.advance(by: .seconds(1))
      // An expiry that has passed while the job runs does not count.
      try check(try await driver.claim(demand()).timeUntilNextDue, is: .seconds(1))
      try await driver.complete([claimed])
    },
    ConformanceCase("jobsOfAPausedKindExpire", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      try await driver.control().pause(["a"], until: nil, reason: nil)
      let id = try await driver.insertNew(job(expires: .after(.seconds(5))))
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [id])
    },
    ConformanceCase("veryManyJobsExpire", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let jobs = (0..<2100).map { index in
        job("\(index)", priority: index % 3, expires: .after(.seconds(index % 7 + 1)))
      }
      var waiting = Set(try await driver.results(of: jobs).map(\.id))
      // Some that run, and were there first.
      let running = try await driver.claim(exactly: 50, demand(50))
      waiting.subtract(running.map(\.id))
      let other = try await driver.insertNew(job("other"))
      subject.clock.advance(by: .seconds(8))
      var (expired, claimed): ([Int64], [Int64]) = ([], [])
      for _ in 0..<100 where claimed.isEmpty {
        let claim = try await driver.claim(demand(10, "a"))
        expired += claim.givenUp.map(\.id)
        claimed += claim.jobs.map(\.id)
        if claimed.isEmpty { try check(claim.timeUntilNextDue, is: .zero) }
      }
      try check(claimed, is: [other])
      try check(expired.count, is: waiting.count)
      try check(Set(expired), is: waiting)
      try check(
        Set(try await driver.failures(LogQuery(limit: 5000)).map(\.job)), is: waiting)
      try await driver.complete(running)
    },
    ConformanceCase("anExpiryIsListedChangedAndRemoved", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let start = subject.clock.now().wall
      let after = { (seconds: Int) in start.advanced(by: .seconds(seconds)) }
      let ids = try await driver.results(of: [
        job(expires: .after(.seconds(5))), job(expires: .at(after(6))), job(due: .after(.seconds(1))),
        job(kind: "b"), job(expires: .at(after(-5))),
      ]).map(\.id)
      try check(
        try await driver.find(exactly: 5).map(\.expiresAt), is: [after(5), after(6), nil, nil, after(-5)])
      try check(try await control.change([ids[0]], JobChange(expires: .never)), is: [.changed])
      try check(
        try await control.change([ids[1], ids[2]], JobChange(expires: .after(.seconds(2)))),
        is: [.changed, .changed])
      try check(
        try await control.change(
          matching: JobQuery(kinds: ["b"]), JobChange(expires: .at(after(3)))
        ).map(\.id), is: [ids[3]])
      try check(
        try await driver.find(exactly: 5).map(\.expiresAt),
        is: [nil, after(2), after(2), after(3), after(-5)])
      // One that is past its expiry from the first waits until a claim looks.
      try check(try await driver.claim(ClaimRequest([], limit: 0)).givenUp.map(\.id), is: [ids[4]])
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [ids[1], ids[2]])
      subject.clock.advance(by: .seconds(3600))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [ids[3]])
      try check(try await driver.find(exactly: 1).map(\.id), is: [ids[0]])
    },
    ConformanceCase("anOverwriteBringsItsOwnExpiry", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let key = UniqueKey("k", onConflict: .overwrite)
      let id = try await driver.insertNew(job("1", unique: key, expires: .after(.seconds(5))))
      try check(try await driver.insert(job("2", unique: key)), is: .overwritten(id))
      try check(try await driver.findOne().expiresAt, is: nil)
      subject.clock.advance(by: .seconds(5))
      try check(
        try await driver.insert(job("3", unique: key, expires: .after(.seconds(2)))), is: .overwritten(id))
      subject.clock.advance(by: .seconds(2))
      try check(try await driver.claim(demand()).givenUp.map(\.id), is: [id])
    },
    ConformanceCase("anExpiredJobIsReplayed", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      for _ in 0..<2 { try await driver.insertNew(job("x", expires: .after(.seconds(5)))) }
      subject.clock.advance(by: .seconds(5))
      _ = try await driver.claim(demand())
      let rows = try await driver.failures().map(\.id)
      try check(rows.count, is: 2)
      _ = try await driver.replay([rows[0]])
      _ = try await driver.replay([rows[1]], changing: JobChange(expires: .after(.seconds(5))))
      try check(
        try await driver.find(exactly: 2).map(\.expiresAt),
        is: [nil, subject.clock.now().wall.advanced(by: .seconds(5))])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(), is: ["x"])
    },
    ConformanceCase("anExpiryIsChecked", .jobsAreControlled, requires: .control) { subject in
      let driver = try await subject.open()
      let now = subject.clock.now().wall
      let wrong: [NewJob] = [
        job(expires: .after(.zero)), job(expires: .after(.seconds(-1))),
        job(expires: .at(Timestamp(microseconds: .max))), job(expires: .at(Timestamp(microseconds: .min))),
        job(due: .after(.seconds(5)), expires: .after(.seconds(5))),
        job(due: .at(now.advanced(by: .seconds(5))), expires: .at(now.advanced(by: .seconds(4)))),
      ]
      for job in wrong {
        try await checkNothingChanges(in: driver) {
          try await check(throws: .invalidArgument) { _ = try await driver.insert([NewJob("a"), job]) }
        }
      }
      let id = try await driver.insertNew(job(expires: .after(.seconds(Int64.max))))
      try check(try await driver.findOne().expiresAt, is: .latest)
      for expiry in [Expiry.after(.zero), .at(Timestamp(microseconds: .max))] {
        try await check(throws: .invalidArgument) {
          _ = try await driver.control().change([id], JobChange(expires: expiry))
        }
      }
    },
  ]
}
