import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What the live jobs look like from outside.
@Suite struct FindTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  /// 1 and 2 run, 3 and 5 are ready, 4 and 6 are delayed; the odd ones are of kind a.
  private func someJobs() async throws {
    _ = try await driver.insert([
      job("1", unique: UniqueKey("k"), priority: 9), job("2", kind: "b", priority: 8), job("3", priority: -7),
      job("4", kind: "b", due: .after(.seconds(10))), job("5"),
      job("6", kind: "b", due: .after(.seconds(20))),
    ])
    #expect(try await driver.claim(demand(2, "a", "b")).jobs.map(\.id) == [1, 2])
  }

  private func ids(_ query: JobQuery) async throws -> [Int64] {
    try await driver.jobs(matching: query).map(\.id)
  }

  @Test func aJobIsFoundAsItStands() async throws {
    _ = try await driver.insert([
      NewJob(
        "a", payload: Payload([0, 255], codec: .json), unique: UniqueKey("k"), priority: 3,
        metadata: JobMetadata(bytes: [7]))
    ])
    let now = clock.now().wall
    var expected = StoredJob(
      id: 1, kind: "a", state: .ready, payload: Payload([0, 255], codec: .json), uniqueKey: "k", priority: 3,
      attempt: 1, enqueuedAt: now,
      dueAt: now, leaseExpiresAt: nil, metadata: JobMetadata(bytes: [7]))
    #expect(try await driver.jobs(matching: JobQuery()) == [expected])
    let lease = try await driver.claim(demand()).jobs[0].lease
    (expected.state, expected.leaseExpiresAt) = (.running, now.advanced(by: .seconds(60)))
    (expected.startedAt, expected.processID) = (now, Int64(ProcessInfo.processInfo.processIdentifier))
    #expect(try await driver.jobs(matching: JobQuery()) == [expected])
    _ = try await driver.settle([Settlement(lease, .retry(after: .seconds(9), message: ""))], claiming: nil)
    (expected.state, expected.leaseExpiresAt, expected.dueAt, expected.attempt) = (
      .delayed, nil, now.advanced(by: .seconds(9)), 2
    )
    (expected.startedAt, expected.processID) = (nil, nil)
    #expect(try await driver.jobs(matching: JobQuery()) == [expected])
  }

  @Test func whatIsAskedForIsFoundInTheOrderOfIds() async throws {
    try await someJobs()
    for query in [
      (JobQuery(), [1, 2, 3, 4, 5, 6]), (JobQuery(kinds: ["a"]), [1, 3, 5]),
      (JobQuery(kinds: ["a", "none"], after: 1), [3, 5]),
      (JobQuery(states: [.running]), [1, 2]), (JobQuery(states: [.ready]), [3, 5]),
      (JobQuery(states: [.delayed]), [4, 6]),
      (JobQuery(states: [.delayed, .running], after: 1), [2, 4, 6]),
      (JobQuery(kinds: ["b"], states: [.delayed, .ready]), [4, 6]),
      (JobQuery(ids: [6, 2, 2, 99, -1]), [2, 6]),
      (JobQuery(ids: [6, 2, 1], kinds: ["b"], states: [.running]), [2]),
      (JobQuery(after: 2, limit: 2), [3, 4]),
      (JobQuery(states: [.ready, .running, .delayed], limit: 1), [1]),
      (JobQuery(states: [.running, .delayed], limit: 3), [1, 2, 4]),
    ] as [(JobQuery, [Int64])] {
      #expect(try await ids(query.0) == query.1, "\(query.0)")
    }
  }

  @Test("pages of many jobs are those of few", .timeLimit(.minutes(3))) func many() async throws {
    // Every kind and state, in rows of their own: more than a page reads from the state tables.
    let jobs = (0..<12_000).map { index in
      job(
        "\(index)", kind: index % 3 == 0 ? "b" : "a", priority: index % 7,
        due: index % 5 == 0 ? .after(.seconds(100)) : .now)
    }
    for start in stride(from: 0, to: jobs.count, by: 1000) {
      _ = try await driver.insert(Array(jobs[start..<start + 1000]))
    }
    let running = Set(try await driver.claim(demand(500, "a", "b")).jobs.map(\.id))
    for states in [nil, [.ready], [.delayed], [.running], [.ready, .running], [.delayed, .running]]
      as [Set<JobState>?]
    {
      for kinds in [nil, ["a"], ["b"], ["a", "b"]] as [[Kind]?] {
        let expected = jobs.indices.filter { index in
          let id = Int64(index + 1)
          let state: JobState = running.contains(id) ? .running : index % 5 == 0 ? .delayed : .ready
          return kinds?.contains(jobs[index].kind) ?? true && states?.contains(state) ?? true
        }.map { Int64($0 + 1) }
        var (found, query) = ([Int64](), JobQuery(kinds: kinds, states: states, limit: 700))
        while true {
          let page = try await ids(query)
          found += page
          guard page.count == 700, let last = page.last else { break }
          query.after = last
        }
        #expect(found == expected, "\(String(describing: kinds)) \(String(describing: states))")
      }
    }
  }

  @Test func absurdQueriesFindWhatTheySay() async throws {
    try await someJobs()
    for query in [
      JobQuery(ids: []), JobQuery(kinds: []), JobQuery(states: []), JobQuery(limit: 0), JobQuery(limit: -1),
      JobQuery(limit: .min),
      JobQuery(after: .max), JobQuery(kinds: ["", "a\0"]),
    ] { #expect(try await ids(query) == [], "\(query)") }
    #expect(try await ids(JobQuery(after: .min, limit: .max)).count == 6)
    #expect(try await ids(JobQuery(states: [.ready], limit: .max)) == [3, 5])
    #expect(try await ids(JobQuery(ids: Array(0...2000), limit: .max)).count == 6)
    #expect(try await ids(JobQuery(kinds: (0..<1000).map { Kind("\($0)") } + ["a"])) == [1, 3, 5])
  }

  @Test func aDelayedJobThatIsDueIsReady() async throws {
    try await someJobs()
    clock.advance(by: .seconds(10))
    #expect(try await ids(JobQuery(states: [.ready])) == [3, 4, 5])
    #expect(try await ids(JobQuery(states: [.delayed])) == [6])
    #expect(try await driver.jobs(matching: JobQuery(ids: [4])).map(\.state) == [.ready])
    #expect(
      try await driver.count() == [
        JobCount("a", ready: 2, running: 1), JobCount("b", ready: 1, delayed: 1, running: 1),
      ])
  }

  @Test func aJobWhoseLeaseEndedOrIsOfAnotherBootIsReady() async throws {
    try await someJobs()
    clock.advance(by: .seconds(60))
    #expect(try await ids(JobQuery(states: [.ready])) == [1, 2, 3, 4, 5, 6])
    #expect(try await driver.jobs(matching: JobQuery(ids: [1])).map(\.leaseExpiresAt) == [nil])
    #expect(try await driver.count(["b"]) == [JobCount("b", ready: 3)])
    clock.reboot(as: "boot-2")
    let later = try file.open(clock: clock)
    #expect(try await later.jobs(matching: JobQuery(states: [.running])).isEmpty)
    #expect(try await later.count(["a"]) == [JobCount("a", ready: 3)])
  }

  @Test func onlyTheKindsAskedForAreCounted() async throws {
    try await someJobs()
    #expect(try await driver.count(["b", "b", "none"]) == [JobCount("b", delayed: 2, running: 1)])
    #expect(try await driver.count([]) == [])
    #expect(try await driver.count(["none"]) == [])
    #expect(
      try await driver.count() == [
        JobCount("a", ready: 2, running: 1), JobCount("b", delayed: 2, running: 1),
      ])
  }

  @Test func whatIsAskedAfterClosingIsRefused() async throws {
    #expect(try await driver.count() == [])
    await driver.close()
    await #expect { try await driver.count() } throws: { ($0 as? QudoError)?.code == .closed }
    await #expect { try await driver.jobs(matching: JobQuery()) } throws: {
      ($0 as? QudoError)?.code == .closed
    }
  }
}
