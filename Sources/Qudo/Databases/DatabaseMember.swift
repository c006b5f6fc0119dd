internal import Logging

/// One of several databases: how to open it, its driver when it is open, and its health.
final class DatabaseMember: Sendable {
  typealias Opener = @Sendable () async throws(QudoError) -> any Driver
  typealias Answer<Value: Sendable> = Swift.Result<Value, QudoError>

  private struct Shared {
    var health: DatabaseHealth
    var driver: (any Driver)?
    /// Opens it, or finds out whether it is there again; all who need to know wait for the same one.
    var probe: Task<Answer<any Driver>, Never>?
    /// What it was last set aside for, as far as that was told, and when.
    var told: (code: QudoError.Code, time: Int64)?
  }
  let index: Int
  let options: DatabaseOptions
  private let givenName: String
  private let opener: Opener
  /// Whether another database has this name: jobs are named by it.
  private let isTaken: @Sendable (_ name: String, _ by: Int) -> Bool
  private let shared: Locked<Shared>
  /// Where it is found out whether it is there.
  private let thread = SerialThread("qudo.probe")

  init(
    _ index: Int, _ source: Databases.Source, _ options: DatabaseOptions, isTaken: @escaping @Sendable (_ name: String, _ by: Int) -> Bool
  ) {
    self.index = index
    self.options = options
    self.isTaken = isTaken
    givenName = source.name
    opener = source.open
    let health = DatabaseHealth(isOpen: source.driver != nil, retry: options.probeInterval.wholeMicroseconds)
    shared = Locked(Shared(health: health, driver: source.driver))
  }

  /// The driver's, once it is open.
  var name: String { driver?.name ?? givenName }
  var driver: (any Driver)? { shared.withLock { $0.driver } }
  var health: DatabaseHealth { shared.withLock { $0.health } }
  private var clock: any QueueClock { options.clock }

  // MARK: Being there

  /// Finds out in the background whether it is there again, if it is time.
  func probeIfDue() {
    if health.isDue(clock.sinceBoot()) { _ = probe() }
  }

  /// Opens it in the background if it was not needed yet, and soon may be.
  func prepare() {
    if health.state == .unopened { _ = probe() }
  }

  /// Its driver: opened, and if it was set aside, asked whether it is there.
  ///
  /// - Throws: what it is set aside for; `unreachable` when there was no answer until then.
  func ready(until time: Int64) async throws(QudoError) -> any Driver {
    let (driver, health) = shared.withLock { ($0.driver, $0.health) }
    if let driver, health.state == .live { return driver }
    if health.state == .closed { throw QudoError(.closed, "the database was closed") }
    let probe = probe()
    guard let answer = await withDeadline(until: time, clock, on: thread, { await probe.value }) else {
      throw health.failure ?? QudoError(.unreachable, "it could not be opened in time")
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

  /// Bounded by the deadline; what is answered later counts all the same.
  private func findOut() async -> Answer<any Driver> {
    await Interleaving.pause()
    let end = clock.sinceBoot().clampedPlus(options.callTimeout.wholeMicroseconds)
    // An opening may block its thread, until long after its time: so each has one of its own.
    let answer = await withDeadline(until: end, clock, on: SerialThread("qudo.opening"), late: { self.ended($0) }) { await self.open() }
    let result = answer ?? .failure(QudoError(.unreachable, "it did not answer within \(options.callTimeout)"))
    ended(result)
    await Interleaving.pause()
    shared.withLock { $0.probe = nil }
    return result
  }

  /// Opens it, or asks for something that has to write, as an enqueue does, and changes nothing that a claim would not.
  private func open() async -> Answer<any Driver> {
    do throws(QudoError) {
      if let driver {
        _ = try await driver.promote(limit: 1)
        return .success(driver)
      }
      let driver = try await opener()
      guard !isTaken(driver.name, index) else {
        await driver.close()
        throw QudoError(.invalidArgument, "two databases have the name \(driver.name), by which jobs are named: give one of them another")
      }
      let (stored, isClosed) = shared.withLock { shared in
        let isClosed = shared.health.state == .closed
        if shared.driver == nil, !isClosed { shared.driver = driver }
        return (shared.driver, isClosed)
      }
      // It came late, and another opening was faster, or nobody needs it any more.
      if stored?.doorbell !== driver.doorbell { await driver.close() }
      guard let stored, !isClosed else { throw QudoError(.closed, "the database was closed") }
      return .success(stored)
    } catch {
      // Whatever it is, here it is this database's trouble.
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

  /// Calls a verb, and notes what that says of the database.
  ///
  /// - Parameters:
  ///   - time: when the answer is no longer waited for.
  ///   - executor: where the verb is called; nil for Swift's pool.
  ///   - isRead: whether it may take long because there is much to read: then that alone does not set the database aside.
  ///   - late: called with an answer that came after that.
  /// - Throws: what the verb throws; ``QudoError/Code/outcomeUnknown`` when there was no answer.
  func call<Value: Sendable>(
    until time: Int64, on executor: (any TaskExecutor)? = nil, isRead: Bool = false, late: (@Sendable (any Driver, Value) async -> Void)? = nil,
    _ verb: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    guard let driver else { throw QudoError(.unreachable, "the database is not open") }
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
    guard !isRead else { throw QudoError(.unreachable, "\(name) did not answer within \(waited)") }
    let error = QudoError(.outcomeUnknown, "\(name) did not answer within \(waited): what was asked may be done or not")
    noteFailure(error)
    throw error
  }

  private func noteAnswer() {
    let now = clock.sinceBoot()
    shared.withLock { $0.health.answered(now) }
  }

  private func noteSuccess(isProbe: Bool = false) {
    if shared.withLock({ $0.health.succeeded(isProbe: isProbe) }) { options.logger.notice("a database is used again", metadata: ["database": "\(name)"]) }
  }

  private func noteFailure(_ error: QudoError) {
    let now = clock.sinceBoot()
    let level = shared.withLock { shared -> Logger.Level? in
      guard shared.health.failed(error, now: now) else { return nil }
      // One that answers, and cannot write, is set aside again with each enqueue that waits for it.
      if let told = shared.told, told.code == error.code, now - told.time < options.probeInterval.wholeMicroseconds { return .info }
      shared.told = (error.code, now)
      return .warning
    }
    if let level { report(error, level) }
  }

  private func report(_ error: QudoError, _ level: Logger.Level) {
    options.logger.log(
      level: level, "a database is set aside", metadata: ["database": "\(name)", "for": "\(options.probeInterval)", "error": "\(error)", "code": "\(error.code)"])
  }
}
