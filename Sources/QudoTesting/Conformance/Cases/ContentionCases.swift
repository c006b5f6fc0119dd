internal import Qudo

extension ConformanceSuite {
  static let contention: [ConformanceCase] = [
    ConformanceCase("manyCallersEnqueueAndEachIsAnswered", .contentionIsHidden) { subject in
      let (one, other) = try await subject.openTwo()
      let ids = try await withThrowingTaskGroup(of: Int64.self) { group in
        for number in 0..<400 {
          let driver = number % 2 == 0 ? one : other
          group.addTask { try await driver.insertNew(job("\(number)")) }
        }
        return try await group.reduce(into: Set()) { $0.insert($1) }
      }
      try check(ids.count, is: 400)
      try check(Set(try await other.jobs(matching: JobQuery(limit: 1000)).map(\.id)), is: ids)
    },
    ConformanceCase("manyWorkersRunEachJobOnce", .contentionIsHidden) { subject in
      let (one, other) = try await subject.openTwo()
      _ = try await one.insert((0..<400).map { job("\($0)") })
      let runs = try await withThrowingTaskGroup(of: [Int64].self) { group in
        for number in 0..<8 {
          let driver = number % 2 == 0 ? one : other
          group.addTask { try await workAll(driver) }
        }
        return try await group.reduce(into: []) { $0 += $1 }
      }
      try check(runs.count, is: 400)
      try check(Set(runs).count, is: 400, "different jobs")
      try check(try await one.count(), is: [])
    },
    ConformanceCase("aKeyIsWonByOne", .contentionIsHidden) { subject in
      let (one, other) = try await subject.openTwo()
      let results = try await withThrowingTaskGroup(of: InsertResult.self) { group in
        for number in 0..<100 {
          let driver = number % 2 == 0 ? one : other
          group.addTask { try await driver.insert(job("\(number)", unique: UniqueKey("k"))) }
        }
        return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
      }
      let id = try await one.findOne().id
      try check(results, is: [.inserted(id): 1, .conflict(id): 99])
    },
    ConformanceCase("aLeaseIsSettledByOne", .contentionIsHidden) { subject in
      let (one, other) = try await subject.openTwo()
      try await one.insertNew(job())
      let lease = try await one.claimOne().lease
      let results = try await withThrowingTaskGroup(of: SettleResult.self) { group in
        for number in 0..<50 {
          let driver = number % 2 == 0 ? one : other
          group.addTask { try await driver.settle(lease, .failed(message: "\(number)")) }
        }
        return try await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
      }
      try check(results, is: [.settled(): 1, .leaseLost: 49])
      try check(try await one.failures().count, is: 1)
    },
    ConformanceCase("aCallThatIsCancelledIsDoneOrRefused", .contentionIsHidden) { subject in
      let driver = try await subject.open()
      for number in 0..<50 {
        let call = Task { try await driver.insertNew(job("\(number)")) }
        if number % 2 == 0 { call.cancel() } else { Task { call.cancel() } }
        let found: [Int64]
        do {
          found = [try await call.value]
        } catch let error as QudoError {
          try check(error.code, is: .cancelled)
          found = []
        }
        try check(try await driver.jobs(matching: JobQuery()).map(\.id), is: found)
        try await driver.complete(try await driver.claim(demand()).jobs)
      }
    },
  ]

  /// - Returns: the ids of the settled jobs, one entry per settle.
  private static func workAll(_ driver: any LogDriver) async throws -> [Int64] {
    var done: [Int64] = []
    var jobs = try await driver.claim(demand(3)).jobs
    while !jobs.isEmpty, done.count <= 400 {
      let answer = try await driver.settle(
        jobs.map { Settlement($0.lease, .completed()) }, claiming: demand(3))
      try check(answer.results, is: jobs.map { _ in .settled() })
      done += jobs.map(\.id)
      jobs = answer.claim?.jobs ?? []
      _ = try await driver.count()
    }
    return done
  }
}
