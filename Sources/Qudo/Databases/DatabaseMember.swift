internal import Logging

/// One of several databases: its driver, how to open it, and its health.
final class DatabaseMember: Sendable {
  typealias Opener = @Sendable () async throws(QudoError) -> any Driver
  typealias Answer<Value: Sendable> = Swift.Result<Value, QudoError>

  private struct Shared {
    var health: DatabaseHealth
    var driver: (any Driver)?
    /// The task that opens or probes the database, shared by all callers that wait for it.
    var probe: Task<Answer<any Driver>, Never>?
    /// The last logged reason for unavailability, and when it was logged.
    var told: (code: QudoError.Code, time: Int64)?
  }
  let index: Int
  let options: DatabaseOptions
  private let givenName: String
  private let opener: Opener
  /// Whether another database has this name; names identify jobs.
  private let isTaken: @Sendable (_ name: String, _ by: Int) -> Bool
  private let shared: Locked<Shared>
  /// The thread for probes.
  private let thread = SerialThread("qudo.probe")

  init(
    _ index: Int, _ source: Databases.Source, _ options: DatabaseOptions,
    isTaken: @escaping @Sendable (_ name: String, _ by: Int) -> Bool
  ) {
    self.index = index
    self.options = options
    self.isTaken = isTaken
    givenName = source.name
    opener = source.open
    let health = DatabaseHealth(isOpen: source.driver != nil, retry: options.probeInterval.wholeMicroseconds)
    shared = Locked(Shared(health: health, driver: source.driver))
  }

  /// The driver's name once it is open.
  var name: String { driver?.name ?? givenName }
  var driver: (any Driver)? { shared.withLock { $0.driver } }
  var health: DatabaseHealth { shared.withLock { $0.health } }
  private var clock: any QueueClock { options.clock }

  // MARK: Availability

  /// Starts a probe in the background if one is due.
  func probeIfDue() {
    if health.isDue(clock.sinceBoot()) { _ = probe() }
  }

  /// Opens the database in the background if that has not been tried.
  func prepare() {
    if health.state == .unopened { _ = probe() }
  }

  /// Returns the driver, after it was opened or probed if necessary.
  ///
  /// - Throws: The reason why the database is unavailable, or `unreachable` if there was no answer by then.
  func ready(until time: Int64) async throws(QudoError) -> any Driver {
    let (driver, health) = shared.withLock { ($0.driver, $0.health) }
    if let driver, health.state == .live { return driver }
    if health.state == .closed { throw QudoError(.closed, "the database was closed") }
    let probe = probe()
    guard let answer = await withDeadline(until: time, clock, on: thread, { await probe.value }) else {
      throw health.failure
        ?? QudoError(.unreachable, "the database could not be opened in time: try again later")
    }
    return try answer.get()
  }

  private func probe() -> Task<Answer<any Driver>, Never> {
    shared.withLock { shared in
      if let probe = shared.probe { return probe }
      _ = shared.health.beginProbe()
      let task = Task(executorPreference: thread) { await self.findOut() }
      shared.probe = task
      return task
    }
  }

  /// Probes within the call timeout. A later answer still updates the health.
  private func findOut() async -> Answer<any Driver> {
    await Interleaving.pause()
    let end = clock.sinceBoot().clampedPlus(options.callTimeout.wholeMicroseconds)
    // Opening can block its thread long after the timeout, so each attempt has its own thread.
    let answer = await withDeadline(
      until: end, clock, on: SerialThread("qudo.opening"), late: { self.ended($0) }
    ) { await self.open() }
    let result =
      answer
      ?? .failure(
        QudoError(.unreachable, "the database did not answer within \(options.callTimeout): try again later"))
    ended(result)
    await Interleaving.pause()
    shared.withLock { $0.probe = nil }
    return result
  }

  /// Opens the database, or probes it with a verb that writes but changes nothing that a claim would not.
  private func open() async -> Answer<any Driver> {
    do throws(QudoError) {
      if let driver {
        _ = try await driver.promote(limit: 1)
        return .success(driver)
      }
      let driver = try await opener()
      guard !isTaken(driver.name, index) else {
        await driver.close()
        throw QudoError(
          .invalidArgument, "two databases have the name \(driver.name): rename one, names identify jobs")
      }
      let (stored, isClosed) = shared.withLock { shared in
        let isClosed = shared.health.state == .closed
        if shared.driver == nil, !isClosed { shared.driver = driver }
        return (shared.driver, isClosed)
      }
      // Another attempt was faster, or the database was closed meanwhile.
      if stored?.doorbell !== driver.doorbell { await driver.close() }
      guard let stored, !isClosed else { throw QudoError(.closed, "the database was closed") }
      return .success(stored)
    } catch {
      // Any error here makes this database unavailable.
      return .failure(error.setsAside ? error : QudoError(.cannotOpen, error.message, cause: error.cause))
    }
  }

  private func ended(_ result: Answer<any Driver>) {
    switch result {
    case .success: noteSuccess(isProbe: true)
    case .failure(let error): noteFailure(error)
    }
  }

  func close() async {
    let (driver, probe) = shared.withLock { shared in
      shared.health.close()
      return (shared.driver, shared.probe)
    }
    probe?.cancel()
    await Interleaving.pause()
    await driver?.close()
  }

  // MARK: Calls

  /// Calls a verb and updates the health by its result.
  ///
  /// - Parameters:
  ///   - time: The deadline of the call.
  ///   - executor: Where the verb runs; nil for Swift's pool.
  ///   - isRead: Whether the verb may read for long; a timeout then leaves the database live.
  ///   - late: Called with an answer that comes after the deadline.
  /// - Throws: The verb's error, or ``QudoError/Code/outcomeUnknown`` if there is no answer by the deadline.
  func call<Value: Sendable>(
    until time: Int64, on executor: (any TaskExecutor)? = nil, isRead: Bool = false,
    late: (@Sendable (any Driver, Value) async -> Void)? = nil,
    _ verb: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    guard let driver else { throw QudoError(.unreachable, "the database is not open: try again later") }
    let asked = clock.sinceBoot()
    shared.withLock { $0.health.asked(asked) }
    let answer: Answer<Value>? = await withDeadline(
      until: time, clock, on: executor,
      late: { answer in
        guard let late, case .success(let value) = answer else { return }
        Task(executorPreference: executor) { await late(driver, value) }
      }
    ) {
      do throws(QudoError) {
        let value = try await verb(driver)
        self.noteAnswer()
        self.noteSuccess()
        return .success(value)
      } catch {
        self.noteAnswer()
        self.noteFailure(error)
        return .failure(error)
      }
    }
    if let answer { return try answer.get() }
    let waited = Duration.microseconds(clock.sinceBoot() - asked)
    guard !isRead else {
      throw QudoError(.unreachable, "\(name) did not answer within \(waited): try again later")
    }
    let error = QudoError(
      .outcomeUnknown, "\(name) did not answer within \(waited): check whether the call took effect")
    noteFailure(error)
    throw error
  }

  private func noteAnswer() {
    let now = clock.sinceBoot()
    shared.withLock { $0.health.answered(now) }
  }

  private func noteSuccess(isProbe: Bool = false) {
    guard shared.withLock({ $0.health.succeeded(isProbe: isProbe) }) else { return }
    options.logger.notice("database recovered", metadata: ["database": "\(name)"])
  }

  private func noteFailure(_ error: QudoError) {
    let now = clock.sinceBoot()
    let level = shared.withLock { shared -> Logger.Level? in
      guard shared.health.failed(error, now: now) else { return nil }
      // A database that answers but cannot write fails again with each waiting enqueue: log it once.
      if let told = shared.told, told.code == error.code,
        now - told.time < options.probeInterval.wholeMicroseconds
      {
        return .info
      }
      shared.told = (error.code, now)
      return .warning
    }
    if let level { report(error, level) }
  }

  private func report(_ error: QudoError, _ level: Logger.Level) {
    options.logger.log(
      level: level, "database unavailable",
      metadata: [
        "database": "\(name)", "for": "\(options.probeInterval)", "error": "\(error)",
        "code": "\(error.code)",
      ])
  }
}
