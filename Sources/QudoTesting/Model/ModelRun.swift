internal import Qudo

/// Runs a script on a driver and on the model. The ids of jobs, leases and log rows may differ between the
/// two, so the model's ids are translated.
final class ModelRun {
  let subject: ConformanceSubject
  /// The model's counterpart of the current connection.
  var model: MemoryDriver { models[models.indices.contains(current) ? current : 0] }
  let clock: ManualClock
  /// The open connections.
  private var drivers: [any LogDriver]
  /// The model's counterpart of each connection. All of them share their jobs.
  private var models: [MemoryDriver]
  private var current = 0
  private var slots: [String: Int] = ["first": 0]
  let capabilities: Capabilities
  /// Whether the driver records when a job was claimed.
  var recordsRuns: Bool { capabilities.contains(.recoversDeadHolders) }

  /// The driver's job ids by the model's ids, and the model's ids in the order of insertion.
  var ids: [Int64: Int64] = [:]
  var known: [Int64] = []
  /// Whether final failures may enqueue jobs.
  var hasRoutes = false
  /// The leases of unsettled claims, and some stale ones. The newest is the last.
  var leases: [(driver: Lease, model: Lease)] = []
  // The input prepared for the next verb.
  var jobs: [NewJob] = []
  var wants: [ClaimRequest.KindDemand] = []
  var outcomes: [(driver: Settlement, model: Settlement)] = []
  /// The number of numbered payloads so far.
  var numbered = 0
  /// The demands of claims without a `want` before them, by the names of the kinds.
  var demands: [String: [ClaimRequest.KindDemand]] = [:]
  /// The idempotency keys.
  var keys = ModelKeys()
  var rests = ModelRests()
  /// Whether jobs have concurrency keys, or groups: a script has one or the other, because drivers may admit the held jobs of several keys
  /// in any order.
  var areKeyed = false
  /// Whether concurrency keys have got rates.
  var areKeysRated = false
  var areGrouped = false
  private var boots = 1
  private(set) var step = ModelScript.Step(verb: .count, operands: [])
  private(set) var place = 0
  /// The text of the newest entry of metadata.
  var newestEntry = ""
  /// The number of verbs called on the driver.
  private(set) var verbs = 0

  init(_ subject: ConformanceSubject) async throws {
    self.subject = subject
    clock = subject.clock
    let driver = try await subject.open()
    drivers = [driver]
    capabilities = driver.capabilities
    // Without monotonic leases, lease times follow the wall clock.
    let isSteady = capabilities.contains(.monotonicLeases)
    models = [
      isSteady
        ? MemoryDriver(limits: driver.limits, clock: subject.clock)
        : .server(limits: driver.limits, clock: ServerClock(wall: subject.clock))
    ]
    models[0] = MemoryDriver(sharing: models[0])
  }

  /// - Parameter interval: the number of verbs between full comparisons.
  func run(_ script: ModelScript, comparingEvery interval: Int) async throws {
    for (index, step) in script.steps.enumerated() {
      (self.step, place) = (step, index + 1)
      let before = verbs
      try await perform(step.verb)
      if verbs > before, verbs % interval == 0 { try await compare() }
    }
    try await compare()
  }

  /// Returns the value of an operand of this step.
  subscript(_ name: String) -> String {
    guard let index = step.verb.operands.firstIndex(where: { $0.name == name }) else { return "" }
    return step.verb.operands[index].values[Int(step.operands[index])]
  }

  func number(_ name: String) -> Int { Int(self[name]) ?? 0 }

  /// The current step, for failure messages.
  var here: String { "step \(place), \(step)" }

  private func perform(_ verb: ModelVerb) async throws {
    switch verb {
    case .job: jobs.append(job())
    case .crowd: addCrowd()
    case .flawed: jobs.append(flawedJob())
    case .expires: if let last = jobs.indices.last { jobs[last].expires = expiry }
    case .bound: addBound()
    case .keyed: addConcurrencyKey()
    case .debounce: addMaxDelay()
    case .throttled: addThrottle()
    case .grouped: addGroup()
    case .stopping: stopAfterFailures()
    case .keyRate: addKeyRate()
    case .want: addWant()
    case .atMost: limitWants()
    case .rate: rateWants()
    case .throttle: try await throttle(driver())
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
    case .resolve: try await resolve(driver)
    case .cancel: try await cancel(driver)
    case .cancelMatching: try await cancelMatching(driver)
    case .change: try await change(driver)
    case .changeMatching: try await changeMatching(driver)
    case .recover: try await recover(driver)
    case .recoverMatching: try await recoverMatching(driver)
    case .outcomes: try await outcomes(driver)
    case .look: try await look(driver)
    case .changeExpiry: try await changeExpiry(driver)
    case .route: try await route(driver)
    case .schedule: try await storeSchedule(driver)
    case .tick: try await tick(driver)
    case .due: try await due(driver)
    case .unschedule: try await unschedule(driver)
    case .pause: try await pause(driver)
    case .resume: try await resume(driver)
    case .resumeKeys: try await resumeKeys(driver)
    default: try await prune(driver)
    }
  }

  // MARK: Connections

  /// Returns the connection that this step names, opening it if necessary.
  private func driver() async throws -> any LogDriver {
    guard capabilities.contains(.multiProcess), !keepsToOneDriver else {
      current = 0
      return drivers[0]
    }
    if let slot = slots[self["driver"]] {
      current = slot
      return drivers[slot]
    }
    current = drivers.count
    slots[self["driver"]] = current
    drivers.append(try await subject.open())
    // If the database does not record who holds a lease, the model has only one holder.
    models.append(capabilities.contains(.recoversDeadHolders) ? MemoryDriver(sharing: models[0]) : models[0])
    return drivers[current]
  }

  /// A driver of a server lets jobs without a group take turns if it has seen jobs of their kind with one.
  private var keepsToOneDriver: Bool { areGrouped && capabilities.contains(.remote) }

  /// An open connection for listings.
  var anyDriver: any LogDriver { drivers[verbs % drivers.count] }

  private func reopen() async throws {
    guard !keepsToOneDriver else { return }
    guard capabilities.contains(.durable), let slot = slots[self["driver"]] else { return }
    await close(slot)
    drivers[slot] = try await subject.open()
  }

  /// Reboots the machine of all processes. A server's machine keeps running.
  private func reboot() async throws {
    guard !keepsToOneDriver else { return }
    guard capabilities.contains(.durable) else { return }
    for slot in drivers.indices { await close(slot) }
    boots += 1
    clock.reboot(as: "boot-\(boots)")
    for slot in drivers.indices { drivers[slot] = try await subject.open() }
  }

  /// Closes a connection. If the database records who holds a lease, the connection's jobs become
  /// recoverable.
  private func close(_ slot: Int) async {
    await drivers[slot].close()
    guard capabilities.contains(.recoversDeadHolders) else { return }
    await models[slot].close()
    models[slot] = MemoryDriver(sharing: models[slot])
  }

  /// Sets the wall clock forward or back.
  private func jump() {
    let before = clock.now().wall
    let by = duration(self["by"])
    // A driver may forget a full bucket at once or much later. If the clock is then set back, it may or may not know it.
    guard !areKeysRated || by >= .zero else { return }
    guard rests.mayJump(from: before, to: before.advanced(by: by)) else { return }
    clock.jump(by: by)
    guard keys.jump(from: before, to: clock.now().wall) else { return }
    for index in jobs.indices { jobs[index].idempotencyKey = nil }
    outcomes = []
  }

  // MARK: Both

  /// Calls the same verb with the same input on both.
  func both<Value>(
    _ driver: any LogDriver, _ verb: (any LogDriver) async throws -> Value
  ) async throws -> (driver: Value, model: Value)? {
    try await both({ try await verb(driver) }, { try await verb(model) })
  }

  /// Calls a verb on the driver and on the model, which may need different input.
  ///
  /// - Returns: nil if both threw the same error.
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

/// The clock of a server, whose wall clock decides when leases expire.
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
  /// Runs all steps on a driver and on a new model.
  ///
  /// - Parameters:
  ///   - subject: a fresh subject with an empty database, which keeps receipts for 24 hours. The run closes
  ///     the connections that it opened.
  ///   - interval: the number of verbs between comparisons of the whole database, in addition to comparing
  ///     each answer. Default 10.
  /// - Returns: the number of verbs compared.
  /// - Throws: ``ConformanceFailure`` that names the first step at which driver and model differ.
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
