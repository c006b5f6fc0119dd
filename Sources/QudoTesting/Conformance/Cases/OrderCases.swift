internal import Qudo

extension ConformanceSuite {
  static let order: [ConformanceCase] = [
    ConformanceCase("priorityThenDueTimeThenAge", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      let earlier = Due.at(subject.clock.now().wall.advanced(by: .seconds(-1)))
      _ = try await driver.insert([
        job("4"), job("3", kind: "b", due: earlier), job("5", kind: "b"), job("2", priority: 1),
        job("other", kind: "c", priority: 9), job("7", priority: -1),
        job("1", kind: "b", priority: 1, due: earlier), job("6"),
      ])
      try check(try await driver.texts(demand(10, "a", "b")), is: ["1", "2", "3", "4", "5", "6", "7"])
      try check(
        try await driver.count().sorted { $0.kind < $1.kind },
        is: [JobCount("a", running: 4), JobCount("b", running: 3), JobCount("c", ready: 1)])
    },
    ConformanceCase("theOrderHoldsOverManyClaims", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      var random = Seeded(seed: 1)
      let now = subject.clock.now().wall
      let jobs = (0..<300).map { number in
        let due = Due.at(now.advanced(by: .seconds(-Int.random(in: 0..<5, using: &random))))
        return job(
          "\(number)", kind: ["a", "b", "c"][number % 3], priority: Int.random(in: -2...2, using: &random),
          due: due)
      }
      let ids = try await driver.insert(jobs).map(\.id)
      let expected = try await driver.jobs(matching: JobQuery(limit: 300)).sorted {
        ($1.priority, $0.dueAt, $0.id) < ($0.priority, $1.dueAt, $1.id)
      }
      var found: [Int64] = []
      for _ in 0..<ids.count where found.count < ids.count {
        found += try await driver.claim(demand(Int.random(in: 1...20, using: &random), "c", "b", "a")).jobs
          .map(\.id)
      }
      try check(found, is: expected.map(\.id))
    },
    ConformanceCase("aClaimTakesNoMoreThanItsLimits", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert(
        (0..<9).map { job("a\($0)", priority: 1) } + (0..<9).map { job("b\($0)", kind: "b") })
      func claim(a: Int?, b: Int?, limit: Int) async throws -> [String] {
        try await driver.texts(ClaimRequest([.init("a", limit: a), .init("b", limit: b)], limit: limit))
      }
      try check(try await claim(a: 1, b: nil, limit: 3), is: ["a0", "b0", "b1"])
      try check(try await claim(a: nil, b: 5, limit: 2), is: ["a1", "a2"])
      try check(try await claim(a: 2, b: 1, limit: 9), is: ["a3", "a4", "b2"])
      try check(try await claim(a: 0, b: 99, limit: 1), is: ["b3"])
    },
    ConformanceCase("extremePrioritiesAndDueTimesAreOrdered", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      let range = Limits.priorities
      _ = try await driver.insert([
        job("last", priority: range.lowerBound), job("second", priority: range.upperBound),
        job("first", priority: range.upperBound, due: .at(.earliest)), job("third"),
        job("never", due: .at(.latest)),
        job("never either", due: .after(.seconds(Int64.max))),
      ])
      let claim = try await driver.claim(demand())
      try check(claim.texts, is: ["first", "second", "third", "last"])
      try check(claim.jobs.map(\.priority), is: [range.upperBound, range.upperBound, 0, range.lowerBound])
      try check(claim.jobs.first?.dueAt, is: .earliest)
      let never = try await driver.jobs(matching: JobQuery(states: [.delayed]))
      try check(never.map(\.dueAt), is: [.latest, .latest])
    },
    ConformanceCase("aRetriedJobIsOrderedByItsNewDueTime", .jobsComeInOrder) { subject in
      let driver = try await subject.open()
      _ = try await driver.insert([job("1"), job("2")])
      let first = try await driver.claimOne()
      subject.clock.advance(by: .seconds(1))
      try await driver.insertNew(job("3", due: .at(subject.clock.now().wall.advanced(by: .milliseconds(-1)))))
      try await driver.settle(first.lease, .retry(after: .zero, message: ""))
      try check(try await driver.texts(), is: ["2", "3", "1"])
    },
  ]
}
