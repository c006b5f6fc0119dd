internal import Qudo

extension ControlDriver {
  fileprivate func keys(_ query: ConcurrencyKeyQuery = ConcurrencyKeyQuery()) async throws
    -> [ConcurrencyKeyStatus]
  {
    try await concurrencyKeys(query)
  }
}

extension ConformanceSuite {
  static let keyListings: [ConformanceCase] = [
    ConformanceCase("keysInUseAreListed", .listingsAreTrue, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      try check(try await control.keys(), is: [])
      _ = try await driver.results(
        of: (1...5).map { keyed("\($0)", ConcurrencyKey("k", limit: 3)) } + [keyed("6", "o"), job("7")])
      func status(_ key: ConcurrencyKey, _ admitted: Int, _ held: Int) -> ConcurrencyKeyStatus {
        ConcurrencyKeyStatus("a", key, admitted: admitted, held: held)
      }
      let (three, one) = (ConcurrencyKey("k", limit: 3), ConcurrencyKey("o"))
      try check(try await control.keys(), is: [status(three, 3, 2), status(one, 1, 0)])
      // A running job, and one that waits again, keep their places.
      let jobs = try await driver.claim(exactly: 2, demand(2))
      try await driver.settle(jobs[0].lease, .retry(after: .seconds(60), message: ""))
      try check(try await control.keys(), is: [status(three, 3, 2), status(one, 1, 0)])
      try await driver.complete([jobs[1]])
      try check(try await control.keys(), is: [status(three, 3, 1), status(one, 1, 0)])
      // The rule is that of the newest enqueue.
      try await driver.insertNew(keyed("8", ConcurrencyKey("k", limit: 1)))
      try check(try await control.keys(), is: [status("k", 3, 2), status(one, 1, 0)])
      _ = try await control.cancel(matching: JobQuery(), reason: nil)
      try check(try await control.keys(), is: [])
    },
    ConformanceCase("keysAreListedInPages", .listingsAreTrue, requires: [.concurrencyKeys, .control]) {
      subject in
      let driver = try await subject.open()
      let control = try driver.control()
      // Two texts that look alike, and a prefix of others.
      let keys = ["", "1", "10", "2", "e\u{301}", "z", "\u{e9}"].map { "k\($0)" }
      _ = try await driver.results(
        of: ["b", "a"].flatMap { kind in (keys + keys).map { keyed($0, ConcurrencyKey($0), kind: kind) } })
      let all = try await control.keys()
      try check(all.count, is: 2 * keys.count)
      for half in [all.prefix(keys.count), all.suffix(keys.count)] {
        try check(Set(half.map(\.kind)).count, is: 1)
        try check(half.map { Array($0.key.utf8) }, is: keys.map { Array($0.utf8) })
        try check(half.allSatisfy { $0.admitted == 1 && $0.held == 1 && $0.limit == 1 }, is: true)
      }
      var pages: [ConcurrencyKeyStatus] = []
      while true {
        let page = try await control.keys(ConcurrencyKeyQuery(after: pages.last, limit: 4))
        guard !page.isEmpty else { break }
        pages += page
        try check(pages.count <= all.count, is: true)
      }
      try check(pages, is: all)
      let ofA = all.filter { $0.kind == "a" }
      try check(try await control.keys(ConcurrencyKeyQuery(kinds: ["a", "unknown"])), is: ofA)
      try check(
        try await control.keys(ConcurrencyKeyQuery(kinds: ["a"], after: ofA[2], limit: 2)),
        is: Array(ofA[3..<5]))
      try check(try await control.keys(ConcurrencyKeyQuery(kinds: ["unknown"])), is: [])
      try check(try await control.keys(ConcurrencyKeyQuery(kinds: [])), is: [])
      for kinds in [["a", "b"], ["b", "a"]] as [[Kind]] {
        try check(try await control.keys(ConcurrencyKeyQuery(kinds: kinds)), is: all)
      }
      let some = ["k\u{e9}", "k1", "unknown", "k1"]
      let ofSome = all.filter { status in some.contains { $0.utf8.elementsEqual(status.key.utf8) } }
      try check(try await control.keys(ConcurrencyKeyQuery(keys: some)), is: ofSome)
      try check(
        try await control.keys(ConcurrencyKeyQuery(keys: some, after: ofSome[0], limit: 2)),
        is: Array(ofSome[1..<3]))
      try check(try await control.keys(ConcurrencyKeyQuery(keys: [])), is: [])
      for limit in [0, -1] { try check(try await control.keys(ConcurrencyKeyQuery(limit: limit)), is: []) }
      // A page begins behind a key that is gone, too.
      _ = try await control.cancel(
        matching: JobQuery(JobFilter(concurrencyKey: ofA[2].key), limit: 100), reason: nil)
      try check(
        try await control.keys(ConcurrencyKeyQuery(kinds: ["a"], after: ofA[2], limit: 1)), is: [ofA[3]])
    },
    ConformanceCase(
      "theListingOfKeysTellsTheirRates", .listingsAreTrue, requires: [.concurrencyKeys, .keyRates, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let key = ConcurrencyKey("k", limit: 3, rate: RateLimit(2, per: .seconds(60), burst: 1))
      func status(_ admitted: Int, next: Duration?) -> ConcurrencyKeyStatus {
        ConcurrencyKeyStatus(
          "a", key, admitted: admitted, held: 0,
          nextTokenAt: next.map { subject.clock.now().wall.advanced(by: $0) })
      }
      _ = try await driver.results(of: (1...3).map { keyed("\($0)", key) })
      try check(try await control.keys(), is: [status(3, next: nil)])
      let jobs = try await driver.claim(exactly: 1, demand(9))
      try check(try await control.keys(), is: [status(3, next: .seconds(30))])
      subject.clock.advance(by: .seconds(10))
      try await driver.complete(jobs)
      try check(try await control.keys(), is: [status(2, next: .seconds(20))])
      subject.clock.advance(by: .seconds(20))
      try check(try await control.keys(), is: [status(2, next: nil)])
    },
    ConformanceCase(
      "stoppedKeysAreListed", .listingsAreTrue, requires: [.concurrencyKeys, .keyStops, .control]
    ) { subject in
      let driver = try await subject.open()
      let control = try driver.control()
      let key = ConcurrencyKey("k", limit: 2, afterFailure: .stop)
      _ = try await driver.results(of: (1...4).map { keyed("\($0)", key) })
      for job in try await driver.claim(exactly: 2, demand(2)) {
        try await driver.settle(job.lease, .failed(message: ""))
      }
      try check(
        try await control.keys(), is: [ConcurrencyKeyStatus("a", key, admitted: 0, held: 2, stops: 2)])
      // It is stopped without any job, too; then it has no rule.
      _ = try await control.cancel(matching: JobQuery(), reason: nil)
      let stopped = [ConcurrencyKeyStatus("a", "k", admitted: 0, held: 0, stops: 2)]
      try check(try await control.keys(), is: stopped)
      try check(try await control.keys(ConcurrencyKeyQuery(keys: ["k"])), is: stopped)
      _ = try await control.resume(keys: ["k"], of: "a")
      try check(try await control.keys(), is: [])
    },
  ]
}
