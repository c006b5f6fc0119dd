internal import Qudo

extension ConformanceSuite {
  static let pruning: [ConformanceCase] = [
    ConformanceCase("pruningDeletesTheOldestUpToTheLimit", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(10, driver)
      try check(try await driver.prune(PruneOptions(limit: 3)), is: 6, "three of each log")
      try check(try await driver.failures().map(\.message), is: (3..<10).map { "\($0)" })
      try check(try await driver.statuses().map(\.payload.text), is: (3..<10).map { "\($0)" })
      try check(try await driver.prune(PruneOptions(limit: 0)), is: 0)
      try check(try await driver.prune(PruneOptions()), is: 14)
      try check(try await driver.prune(PruneOptions()), is: 0)
    },
    ConformanceCase("pruningKeepsTheNewest", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(10, driver)
      try check(try await driver.prune(PruneOptions(keep: 4, limit: 5)), is: 10)
      try check(try await driver.prune(PruneOptions(keep: 4, limit: 5)), is: 2)
      try check(try await driver.prune(PruneOptions(keep: 4, limit: 5)), is: 0)
      try check(try await driver.failures().map(\.message), is: ["6", "7", "8", "9"])
      try check(try await driver.statuses().map(\.payload.text), is: ["6", "7", "8", "9"])
      try check(try await driver.prune(PruneOptions(keep: 99)), is: 0)
    },
    ConformanceCase("pruningKeepsLaterRows", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(2, driver)
      let moment = subject.clock.now().wall
      try check(try await driver.prune(PruneOptions(before: moment)), is: 0, "rows that ended just then")
      subject.clock.advance(by: .seconds(1))
      try await fail(2, driver)
      let both = PruneOptions(before: subject.clock.now().wall, keep: 3)
      try check(try await driver.prune(both), is: 2, "rows that are old enough and not among the newest")
      try check(try await driver.prune(PruneOptions(before: moment.advanced(by: .microseconds(1)))), is: 2)
      try check(try await driver.failures().count, is: 2)
    },
    ConformanceCase("pruningByAgeGoesByTheDatabasesClock", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(2, driver)
      subject.clock.advance(by: .seconds(10))
      try await fail(1, driver)
      let age = PruneOptions(olderThan: .seconds(10))
      try check(try await driver.prune(age), is: 0, "rows that are just as old")
      subject.clock.advance(by: .microseconds(1))
      let early = PruneOptions(
        before: subject.clock.now().wall.advanced(by: .seconds(-60)), olderThan: .seconds(10))
      try check(try await driver.prune(early), is: 0, "the earlier one of the two times decides")
      try check(try await driver.prune(age), is: 4)
      try check(try await driver.prune(age), is: 0)
      try check(try await driver.failures().count, is: 1)
    },
    ConformanceCase("pruningEndsAtTheFirstRowThatStays", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(1, driver)
      subject.clock.jump(by: .seconds(86_400))
      try await fail(1, driver)
      // The clock was wrong for a while.
      subject.clock.jump(by: .seconds(-86_400))
      try await fail(1, driver)
      subject.clock.advance(by: .seconds(60))
      let age = PruneOptions(olderThan: .seconds(30))
      try check(try await driver.prune(age), is: 2, "the row before the one with the wrong time")
      try check(
        try await driver.failures().count, is: 2, "the row behind the one with the wrong time stays with it")
      try check(try await driver.prune(PruneOptions(keep: 1)), is: 2, "by number, any row goes")
      try check(try await driver.prune(age), is: 2)
    },
    ConformanceCase("pruningKeepsTheNewestAlsoBesideOthers", .logsAreKept) { subject in
      let (one, other) = try await subject.openTwo()
      var count = 0
      for step in 0..<12 {
        try await fail(5, one)
        count += 5
        let keep = step % 5 == 4 ? 3 : 12
        let surplus = max(0, count - keep)
        try check(
          try await (step % 3 == 0 ? other : one).prune(PruneOptions(keep: keep)), is: 2 * surplus,
          "step \(step)")
        count -= surplus
        try check(try await one.prune(PruneOptions(keep: keep)), is: 0, "step \(step) again")
        let left = try await one.failures(LogQuery(limit: 100)).count
        try check(left, is: count, "step \(step)")
      }
    },
    ConformanceCase("pruningTouchesNoJob", .logsAreKept) { subject in
      let driver = try await subject.open()
      try await fail(1, driver)
      try await driver.insertNew(job("x"))
      try await driver.settle(
        try await driver.claimOne().lease, .retry(after: .zero, message: ""), recording: .zero)
      let id = try require(try await driver.failures().first, "a failure").id
      try check(try await driver.prune(PruneOptions()), is: 4)
      try check(try await driver.claim(demand()).jobs.map(\.attempt), is: [2])
      try check(try await driver.replay([id]), is: [.notFound])
    },
  ]
}
