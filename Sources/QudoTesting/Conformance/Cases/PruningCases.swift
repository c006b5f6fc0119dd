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
