internal import Qudo

/// A script on its way through a driver and the model. The names of jobs, leases and log rows may differ between the two:
/// the model's are translated.
final class ModelRun {
  let subject: ConformanceSubject
  /// The model as the connection of this step has it.
  var model: MemoryDriver { models[models.indices.contains(current) ? current : 0] }
  let clock: ManualClock
  /// The connections, of which some are not open.
  private var drivers: [any LogDriver]
  /// For each of them, one that shares its jobs with the others.
  private var models: [MemoryDriver]
  private var current = 0
  private var slots: [String: Int] = ["first": 0]
  private let capabilities: Capabilities

  /// The driver's ids of the model's jobs; and the model's, in the order in which they came.
  var ids: [Int64: Int64] = [:]
  var known: [Int64] = []
  /// Of claims whose outcome is not written, and some that are stale. The newest is the last.
  var leases: [(driver: Lease, model: Lease)] = []
  // What the next verb is to be given.
  var jobs: [NewJob] = []
  var wants: [ClaimRequest.KindDemand] = []
  var outcomes: [(driver: Settlement, model: Settlement)] = []
  /// How many payloads were numbered.
  var numbered = 0
  /// Of claims without a `want` before them.
  var demands: [String: [ClaimRequest.KindDemand]] = [:]
  /// Of idempotency keys.
  var keys = ModelKeys()
  private var boots = 1
  private(set) var step = ModelScript.Step(verb: .count, operands: [])
  private(set) var place = 0
  /// How many verbs were asked of the driver.
  private(set) var verbs = 0

  init(_ subject: ConformanceSubject) async throws {
    self.subject = subject
    clock = subject.clock
    let driver = try await subject.open()
    drivers = [driver]
    capabilities = driver.capabilities
    // Without steady leases they go by the wall clock.
    let isSteady = capabilities.contains(.monotonicLeases)
    models = [
      isSteady
        ? MemoryDriver(limits: driver.limits, clock: subject.clock)
        : .server(limits: driver.limits, clock: ServerClock(wall: subject.clock))
    ]
    models[0] = MemoryDriver(sharing: models[0])
  }

  /// - Parameter interval: after how many verbs all that can be seen is compared.
  func run(_ script: ModelScript, comparingEvery interval: Int) async throws {
    for (index, step) in script.steps.enumerated() {
      (self.step, place) = (step, index + 1)
      let before = verbs
      try await perform(step.verb)
      if verbs > before, verbs % interval == 0 { try await compare() }
    }
    try await compare()
  }

  /// The value of an operand of this step.
  subscript(_ name: String) -> String {
    guard let index = step.verb.operands.firstIndex(where: { $0.name == name }) else { return "" }
    return step.verb.operands[index].values[Int(step.operands[index])]
  }

  func number(_ name: String) -> Int { Int(self[name]) ?? 0 }

  /// For a failure: where it is.
  var here: String { "step \(place), \(step)" }

  private func perform(_ verb: ModelVerb) async throws {
    switch verb {
    case .job: jobs.append(job())
    case .crowd: addCrowd()
    case .flawed: jobs.append(flawedJob())
    case .want: addWant()
    case .outcome: addOutcome()
    case .advance: clock.advance(by: duration(self["by"]))
    case .jump: jump()
    case .reboot: try await reboot()
    case .reopen: try await reopen()
    default:
      verbs += 1
      try await performVerb(verb, on: try await driver())
    }
  }

  private func performVerb(_ verb: ModelVerb, on driver: any LogDriver) async throws {
    switch verb {
    case .insert: try await insert(driver)
    case .claim: try await claim(driver)
    case .settle: try await settle(driver)
    case .finish: try await finish(driver)
    case .extend: try await extend(driver)
    case .promote: try await promote(driver)
    case .find: try await find(driver)
    case .count: try await count(driver)
    case .failures: try await failures(driver)
    case .statuses: try await statuses(driver)
    case .replay: try await replay(driver)
    default: try await prune(driver)
    }
  }

  // MARK: Connections

  /// The one that this step names.
  private func driver() async throws -> any LogDriver {
    guard capabilities.contains(.multiProcess) else { return drivers[0] }
    if let slot = slots[self["driver"]] {
      current = slot
      return drivers[slot]
    }
    current = drivers.count
    slots[self["driver"]] = current
    drivers.append(try await subject.open())
    // A database that does not know who holds a lease knows of one holder.
    models.append(capabilities.contains(.recoversDeadHolders) ? MemoryDriver(sharing: models[0]) : models[0])
    return drivers[current]
  }

  /// One that is open, to look at what is there.
  var anyDriver: any LogDriver { drivers[verbs % drivers.count] }

  private func reopen() async throws {
    guard capabilities.contains(.durable), let slot = slots[self["driver"]] else { return }
    await close(slot)
    drivers[slot] = try await subject.open()
  }

  /// The machine of all the processes starts anew; that of a server does not.
  private func reboot() async throws {
    guard capabilities.contains(.durable) else { return }
    for slot in drivers.indices { await close(slot) }
    boots += 1
    clock.reboot(as: "boot-\(boots)")
    for slot in drivers.indices { drivers[slot] = try await subject.open() }
  }

  /// What it holds is free, if the database knows who holds what.
  private func close(_ slot: Int) async {
    await drivers[slot].close()
    guard capabilities.contains(.recoversDeadHolders) else { return }
    await models[slot].close()
    models[slot] = MemoryDriver(sharing: models[slot])
  }

  /// Somebody sets the wall clock.
  private func jump() {
    let before = clock.now().wall
    clock.jump(by: duration(self["by"]))
    guard keys.jump(from: before, to: clock.now().wall) else { return }
    for index in jobs.indices { jobs[index].idempotencyKey = nil }
    outcomes = []
  }

  // MARK: Both

  /// Asks both the same, in the same words.
  func both<Value>(
    _ driver: any LogDriver, _ verb: (any LogDriver) async throws -> Value
  ) async throws -> (driver: Value, model: Value)? {
    try await both({ try await verb(driver) }, { try await verb(model) })
  }

  /// Asks both the same.
  ///
  /// - Returns: nil if both threw the same.
  func both<Value>(
    _ driver: () async throws -> Value, _ model: () async throws -> Value
  ) async throws -> (driver: Value, model: Value)? {
    let (found, expected) = (try await answer(driver), try await answer(model))
    switch (found, expected) {
    case (.success(let found), .success(let expected)): return (found, expected)
    case (.failure(let found), .failure(let expected)):
      try check(found.code, is: expected.code, here)
      return nil
    case (.failure(let error), .success):
      throw ConformanceFailure(file: #fileID, line: #line, message: "\(here): \(error)")
    case (.success(let found), .failure(let error)):
      throw ConformanceFailure(
        file: #fileID, line: #line, message: "\(here): expected the error \(error.code), found \(found)")
    }
  }

  private func answer<Value>(_ body: () async throws -> Value) async throws -> Result<Value, QudoError> {
    do {
      return .success(try await body())
    } catch let error as QudoError {
      return .failure(error)
    }
  }
}

/// That of a server, by whose wall clock leases go.
private struct ServerClock: QueueClock {
  let wall: ManualClock

  func now() -> ClockReading {
    let now = wall.now().wall
    return ClockReading(wall: now, sinceBoot: now.microseconds, boot: "server")
  }

  func sinceBoot() -> Int64 { now().sinceBoot }
  func sleep(untilSinceBoot time: Int64) async throws {}
}

extension ModelScript {
  /// Does all steps on a driver and on a new model.
  ///
  /// - Parameters:
  ///   - subject: a fresh one, with nothing in its database. Its receipts are kept for 24 hours. What it opened is closed
  ///     in the end.
  ///   - interval: after how many verbs all that is in the database is compared, besides their answers. Default 10.
  /// - Returns: how many verbs of the driver were compared.
  /// - Throws: ``ConformanceFailure`` that names the first step at which the two differ.
  @discardableResult
  public func run(on subject: ConformanceSubject, comparingEvery interval: Int = 10) async throws -> Int {
    do {
      let run = try await ModelRun(subject)
      try await run.run(self, comparingEvery: max(1, interval))
      await subject.closeAll()
      return run.verbs
    } catch {
      await subject.closeAll()
      throw error
    }
  }
}
