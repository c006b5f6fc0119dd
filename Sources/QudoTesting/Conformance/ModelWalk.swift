internal import Qudo

/// A walk of random verbs through a driver and the model. The names of jobs and log rows may differ between the two:
/// the model's are translated.
final class ModelWalk {
  private let clock: ManualClock
  let driver: any LogDriver
  let model: MemoryDriver
  private var random: Seeded
  var ids: [Int64: Int64] = [:]
  var leases: [(driver: Lease, model: Lease)] = []
  private(set) var count = 0

  init(_ subject: ConformanceSubject, seed: UInt64) async throws {
    clock = subject.clock
    driver = try await subject.open()
    model = MemoryDriver(limits: driver.limits, clock: subject.clock)
    random = Seeded(seed: seed)
  }

  func step() async throws {
    count += 1
    switch roll(12) {
    case 0...2: try await insert()
    case 3...4: try await claim()
    case 5...7: try await settle()
    case 8: try await extend()
    case 9: try await replay()
    case 10: try await prune()
    default: try await passTime()
    }
    if count % 10 == 0 { try await compare("after step \(count)") }
  }

  private func roll(_ sides: Int) -> Int { Int.random(in: 0..<sides, using: &random) }

  // MARK: Verbs

  private func newJobs(_ most: Int) -> [NewJob] {
    (0..<roll(most + 1)).map { _ in
      let unique: UniqueKey? = roll(2) == 0 ? nil : UniqueKey(
        "\(roll(4))", scope: roll(2) == 0 ? .untilFinished : .untilStarted, onConflict: [.reject, .keep, .overwrite][roll(3)])
      let due: Due = [.now, .after(.seconds(roll(20))), .at(clock.now().wall.advanced(by: .seconds(roll(9) - 5)))][roll(3)]
      count += 1
      return NewJob(
        ["a", "b", "c"][roll(3)], payload: Payload("\(count)"), unique: unique, priority: roll(3) - 1, due: due,
        meta: Meta(bytes: roll(3) == 0 ? [UInt8(roll(256))] : []))
    }
  }

  private func insert() async throws {
    let jobs = newJobs(4)
    try match(try await driver.insert(jobs), try await model.insert(jobs))
  }

  private func request() -> ClaimRequest {
    let kinds: [Kind] = [["a"], ["b", "a"], ["a", "b", "c"], ["c"]][roll(4)]
    let abilities = kinds.map { kind in
      ClaimRequest.Ability(kind, lease: .seconds(1 + roll(20)), lostLimit: 1 + roll(4), limit: roll(2) == 0 ? nil : roll(4))
    }
    return ClaimRequest(abilities, limit: roll(6))
  }

  private func claim() async throws {
    let request = request()
    try match(try await driver.claim(request), try await model.claim(request))
  }

  private func settle() async throws {
    var batch: [(driver: Settlement, model: Settlement)] = []
    for _ in 0..<roll(4) where !leases.isEmpty {
      // A lease is sometimes kept, to be stale when it is used again.
      let index = roll(leases.count)
      let lease = leases[index]
      if roll(5) > 0 { leases.remove(at: index) }
      let outcome = outcome()
      let recording: Duration? = roll(2) == 0 ? nil : .milliseconds(roll(5000))
      let settlement = Settlement(lease.driver, outcome, recording: recording)
      batch.append((settlement, Settlement(lease.model, outcome, recording: recording)))
    }
    let next = roll(3) == 0 ? request() : nil
    let found = try await driver.settle(batch.map(\.driver), claiming: next)
    let expected = try await model.settle(batch.map(\.model), claiming: next)
    for (found, expected) in zip(found.results, expected.results) {
      if case .settled(let found) = found, case .settled(let expected) = expected {
        try match(found, expected)
      } else {
        try check(found, is: expected, "step \(count), settle")
      }
    }
    if let found = found.claim, let expected = expected.claim { try match(found, expected) }
  }

  private func outcome() -> Settlement.Outcome {
    switch roll(8) {
    case 0: .retry(after: .seconds(roll(5)), message: "\(count)")
    case 1: .snoozed(.seconds(roll(5)), countsAttempt: roll(2) == 0)
    case 2: .failed(message: "\(count)")
    case 3: .aborted(message: "\(count)")
    case 4: .released
    case 5: .completed(replacements: newJobs(3))
    default: .completed()
    }
  }

  private func extend() async throws {
    let some = leases.filter { _ in roll(2) == 0 }
    let duration = Duration.seconds(roll(30))
    let found = try await driver.extend(some.map(\.driver), by: duration)
    let expected = try await model.extend(some.map(\.model), by: duration)
    try check(found.map { $0 == nil }, is: expected.map { $0 == nil }, "step \(count), extend")
    // Sometimes the old values are kept: they are as good.
    for (found, expected) in zip(found, expected) where roll(2) == 0 {
      guard let found, let expected else { continue }
      guard let index = leases.firstIndex(where: { $0.model.token == expected.token && $0.model.job == expected.job }) else { continue }
      leases[index] = (found, expected)
    }
  }

  private func replay() async throws {
    let found = try await driver.failures(LogQuery(oldestFirst: true, limit: 1000)).map(\.id)
    let expected = try await model.failures(LogQuery(oldestFirst: true, limit: 1000)).map(\.id)
    try check(found.count, is: expected.count, "step \(count), failures")
    let chosen = found.indices.filter { _ in roll(4) == 0 }
    let results = try await driver.replay(chosen.map { found[$0] })
    for (found, expected) in zip(results, try await model.replay(chosen.map { expected[$0] })) {
      switch (found, expected) {
      case (.replayed(let found), .replayed(let new)): ids[new] = found
      case (.conflict(let found), .conflict(let holder)): try check(found, is: try id(holder), "step \(count), replay")
      case (.alreadyReplayed(let found), .alreadyReplayed(let new)): try check(found, is: try id(new), "step \(count), replay")
      default: try check(found, is: expected, "step \(count), replay")
      }
    }
  }

  private func prune() async throws {
    let prune = Prune(
      before: roll(2) == 0 ? nil : clock.now().wall.advanced(by: .seconds(-roll(30))), keep: roll(20), limit: roll(5))
    try check(try await driver.prune(prune), is: try await model.prune(prune), "step \(count), prune")
  }

  private func passTime() async throws {
    switch roll(4) {
    case 0 where driver.capabilities.contains(.steadyLeases): clock.jump(by: .seconds(roll(21) - 10))
    case 1: try check(try await driver.promote(limit: 2), is: try await model.promote(limit: 2), "step \(count), promote")
    default: clock.advance(by: .milliseconds(roll(8000)))
    }
  }
}
