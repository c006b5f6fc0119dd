internal import Qudo

extension ConformanceSuite {
  static let attempts: [ConformanceCase] = [
    ConformanceCase("aRetryCountsAnAttemptAndASnoozeOnlyOnRequest", .attemptsAreCounted) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job())
      for (outcome, attempt) in [
        (.snoozed(.zero), 1), (.released, 1), (.retry(after: .zero, message: ""), 1), (.released, 2),
        (.snoozed(.zero), 2),
        (.snoozed(.zero, countsAttempt: true), 2), (.retry(after: .zero, message: ""), 3),
        (.failed(message: ""), 4),
      ] as [(Settlement.Outcome, Int)] {
        try check(try await driver.findOne().attempt, is: attempt, "before \(outcome)")
        let claimed = try await driver.claimOne()
        try check(claimed.attempt, is: attempt, "attempt before \(outcome)")
        try await driver.settle(claimed.lease, outcome)
      }
      try check(try await driver.count(), is: [])
      try check(try await driver.failures().map(\.attempt), is: [1, 3, 4])
    },
    ConformanceCase("aSnoozedJobIsNotLogged", .attemptsAreCounted) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("x"))
      let claimed = try await driver.claimOne()
      let due = subject.clock.now().wall.advanced(by: .seconds(5))
      try await driver.settle(claimed.lease, .snoozed(.seconds(5)), recording: .seconds(1))
      try check(try await driver.findOne().dueAt, is: due)
      try check(try await driver.failures(), is: [])
      try check(try await driver.statuses(), is: [])
      try check(try await driver.texts(), is: [])
      subject.clock.advance(by: .seconds(5))
      try check(try await driver.texts(), is: ["x"])
    },
  ]
}
