internal import Qudo

extension ConformanceSuite {
  static let foreignKinds: [ConformanceCase] = [
    ConformanceCase("jobsOfKindsThatNobodyPerformsAreLeftAlone", .foreignKindsAreLeftAlone) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([
        job(kind: "b", priority: 9), job(kind: "B"), job(kind: "ab"), job(kind: "a "),
        job(kind: "b", unique: UniqueKey("k")),
      ])
      try await checkNothingChanges(in: driver) {
        for _ in 0..<20 {
          try check(try await driver.texts(demand(10, "a", "never seen")), is: [])
          subject.clock.advance(by: .seconds(3600))
        }
      }
    },
    ConformanceCase("jobsOfOtherKindsHoldNothingUp", .foreignKindsAreLeftAlone) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert((0..<50).map { _ in job(kind: "b", priority: 9) } + [job("x")])
      try check(try await driver.texts(demand(1)), is: ["x"])
    },
    ConformanceCase("aForeignExpiredJobWaitsForItsOwnWorker", .foreignKindsAreLeftAlone) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("theirs", kind: "b"))
      _ = try await driver.claim(demand(1, "b"))
      subject.clock.advance(by: .seconds(60))
      for _ in 0..<9 { try check(try await driver.texts(), is: []) }
      try check(try await driver.failures(), is: [])
      try check(try await driver.texts(demand(1, "b")), is: ["theirs"])
    },
  ]
}
