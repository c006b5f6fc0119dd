internal import Qudo

extension ConformanceSuite {
  static let payloads: [ConformanceCase] = [
    ConformanceCase("payloadsComeBackAsTheyWere", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      let all = [[], [0], [1], [255], [0, 0], Array("a\0b".utf8), Array(0...255)] as [[UInt8]]
      _ = try await driver.insert(all.map { NewJob("a", payload: Payload($0)) })
      try check(try await driver.jobs(matching: JobQuery()).map(\.payload.bytes), is: all)
      try check(try await driver.claim(demand()).jobs.map(\.payload.bytes), is: all)
    },
    ConformanceCase("aPayloadMayBeAsLongAsTheLimitAndNoLonger", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      let limit = driver.limits.payloadBytes
      let bytes = (0..<limit).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      try await driver.insertNew(NewJob("a", payload: Payload(bytes)))
      try await driver.insertNew(
        NewJob("a", payload: Payload(bytes.dropLast(2)), metadata: JobMetadata(bytes: [1, 2])))
      try check(try await driver.claimOne().payload.bytes == bytes, "the same \(limit) bytes")
      try await checkNothingChanges(in: driver) {
        try await check(throws: .invalidArgument) {
          _ = try await driver.insert([job(), NewJob("a", payload: Payload(bytes + [0]))])
        }
        try await check(throws: .invalidArgument, "meta counts") {
          _ = try await driver.insert([
            job(), NewJob("a", payload: Payload(bytes), metadata: JobMetadata(bytes: [0])),
          ])
        }
      }
    },
    ConformanceCase("codecsAndMetadataComeBackUnchanged", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      let codecs = [0, 1, 7, .max, .min].map { CodecID($0) }
      let metas = [[], [1], [0], Array(0...255), []].map { JobMetadata(bytes: $0) }
      _ = try await driver.insert(
        zip(codecs, metas).map { NewJob("a", payload: Payload([], codec: $0), metadata: $1) })
      for _ in 0..<2 {
        try check(try await driver.jobs(matching: JobQuery()).map(\.metadata), is: metas)
        let jobs = try await driver.claim(demand()).jobs
        try check(jobs.map(\.payload.codec), is: codecs)
        try check(jobs.map(\.metadata), is: metas)
        _ = try await driver.settle(
          jobs.map { Settlement($0.lease, .retry(after: .zero, message: "")) }, claiming: nil)
      }
    },
    ConformanceCase("aClaimedJobIsWhatWasEnqueued", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      let enqueued = subject.clock.now().wall
      let due = enqueued.advanced(by: .seconds(-9))
      let id = try await driver.insertNew(job("x", unique: UniqueKey("k"), priority: 5, due: .at(due)))
      subject.clock.advance(by: .seconds(2))
      let claimed = try await driver.claimOne()
      try check(claimed.id, is: id)
      try check(claimed.kind, is: "a")
      try check(claimed.uniqueKey, is: "k")
      try check(claimed.priority, is: 5)
      try check(claimed.attempt, is: 1)
      try check(claimed.enqueuedAt, is: enqueued)
      try check(claimed.dueAt, is: due)
      try check(claimed.metadata, is: JobMetadata())
      try await driver.settle(claimed.lease, .retry(after: .zero, message: ""))
      let again = try await driver.claimOne()
      try check(again.enqueuedAt, is: enqueued, "enqueue time after a retry")
      try check(again.dueAt, is: subject.clock.now().wall, "due time after a retry")
    },
    ConformanceCase("aBatchStoresWhatSingleEnqueuesStore", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      // Drivers write many jobs of a batch at once if nothing about them is special. Each of these has one thing that might be.
      var templates: [(NewJob, special: @Sendable (inout NewJob, Int) -> Void)] = []
      func add(_ new: NewJob, _ special: @escaping @Sendable (inout NewJob, Int) -> Void = { _, _ in }) {
        templates.append((new, special))
      }
      add(job("plain"))
      add(NewJob("a", payload: Payload([0, 255], codec: .json)))
      add(NewJob("a", metadata: ["tenant": "7"]))
      add(job(priority: 3))
      add(job(due: .after(.seconds(5))))
      add(job(due: .at(.earliest)))
      add(job(expires: .after(.seconds(9))))
      add(job(maxWaiting: .refuse(1000)))
      add(job()) { new, index in new.unique = UniqueKey("u\(index)") }
      add(job()) { new, index in new.idempotencyKey = IdempotencyKey("\(new.kind.name) \(index)") }
      if driver.capabilities.contains(.concurrencyKeys) {
        add(NewJob("a", concurrencyKey: "k"))
        add(job()) { new, index in new.concurrencyKey = ConcurrencyKey("k\(index)") }
      }
      if driver.capabilities.contains(.groups) { add(NewJob("a", group: "g")) }
      for (place, template) in templates.enumerated() {
        func jobs(_ kind: Kind) -> [NewJob] {
          (0..<20).map { index in
            var new = template.0
            new.kind = kind
            template.special(&new, index)
            return new
          }
        }
        func stored(_ kind: Kind) async throws -> [StoredJob] {
          try await driver.jobs(matching: JobQuery(kinds: [kind])).map { found in
            var job = found
            (job.id, job.kind) = (0, "a")
            return job
          }
        }
        for new in jobs(Kind("single \(place)")) { try await driver.insertNew(new) }
        _ = try await driver.insert(jobs(Kind("batch \(place)")))
        let expected = try await stored(Kind("single \(place)"))
        try check(expected.count, is: 20)
        try check(try await stored(Kind("batch \(place)")), is: expected, "\(template.0)")
      }
    },
    ConformanceCase("theLongestKindsAndKeysComeBackUnchanged", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      for text in [
        String(repeating: "é", count: 127) + "x", String(repeating: "🦩", count: 63), "'; --",
        "\u{FEFF}\u{202E}",
      ] {
        try await driver.insertNew(job(kind: Kind(text), unique: UniqueKey(text)))
        let claimed = try await driver.claimOne(demand(1, Kind(text)))
        try check(Array(claimed.kind.name.utf8), is: Array(text.utf8))
        try check(claimed.uniqueKey.map { Array($0.utf8) }, is: Array(text.utf8))
      }
    },
  ]

  static let refusals: [ConformanceCase] = [
    ConformanceCase("oneRefusedJobRefusesTheWholeCall", .payloadsAreExact) { subject in
      let driver = try await subject.open()
      try await driver.insertNew(job("there", unique: UniqueKey("k")))
      try await checkNothingChanges(in: driver) {
        for (what, refused) in refused {
          try await check(throws: .invalidArgument, what) {
            _ = try await driver.insert([
              job(), job("over", unique: UniqueKey("k", onConflict: .overwrite)), refused,
            ])
          }
        }
      }
      try check(try await driver.texts(), is: ["there"])
    }
  ]

  private static let refused: [(String, NewJob)] = [
    ("an empty kind", job(kind: "")),
    ("a kind of 256 bytes", job(kind: Kind(String(repeating: "é", count: 128)))),
    ("NUL in the kind", job(kind: "a\0b")), ("an empty key", job(unique: UniqueKey(""))),
    ("a key of 256 bytes", job(unique: UniqueKey(String(repeating: "k", count: 256)))),
    ("NUL in the key", job(unique: UniqueKey("\0"))),
    ("a negative delay", job(due: .after(.microseconds(-1)))),
    ("too high a priority", job(priority: Limits.priorities.upperBound + 1)),
    ("the lowest integer", job(priority: .min)),
    ("after the year 9999", job(due: .at(Timestamp(microseconds: Timestamp.latest.microseconds + 1)))),
    ("before the year 1", job(due: .at(Timestamp(microseconds: .min)))),
  ]
}
