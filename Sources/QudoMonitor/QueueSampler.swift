package import Qudo

/// Samples databases for a dashboard.
///
/// A sample counts the jobs of each database in one short read transaction, so its cost grows with the waiting jobs, and it reads
/// a bounded number of everything else. Wait for ``QueueSample/timeUntilNext(_:)`` before the next one: then sampling takes at most
/// 2 % of one core, however many jobs wait.
///
///     while !Task.isCancelled {
///       let sample = await sampler.sample()
///       history.append(sample)
///       try await Task.sleep(for: sample.timeUntilNext())
///     }
///
/// A database that cannot be read, or that does not answer in time, does not hold up the others: its row has the error.
package final class QueueSampler: Sendable {
  /// A database to sample.
  package struct Source: Sendable {
    /// The name of the database until it is open.
    package var name: String
    /// Opens the database. A failed attempt is repeated with the next sample.
    package var open: @Sendable () async throws(QudoError) -> any ObservedDriver

    /// Creates a source that opens a database with the first sample.
    package init(_ name: String, open: @escaping @Sendable () async throws(QudoError) -> any ObservedDriver) {
      (self.name, self.open) = (name, open)
    }

    /// Creates a source with an open database.
    package init(_ driver: any ObservedDriver) { self.init(driver.name) { driver } }
  }

  /// The number of running jobs, and of rows of each log, that a sample reads at most.
  package static let rowLimit = 1000

  private let members: [SampledDatabase]
  private let clock: any QueueClock

  /// Creates a sampler.
  ///
  /// - Parameters:
  ///   - sources: The databases.
  ///   - timeout: How long a sample waits for a database. Default: 2 s.
  ///   - rowLimit: See ``rowLimit``.
  ///   - clock: The clock for timeouts and rates.
  package init(
    _ sources: [Source], timeout: Duration = .seconds(2), rowLimit: Int = QueueSampler.rowLimit,
    clock: any QueueClock = SystemClock()
  ) {
    self.clock = clock
    members = sources.map { SampledDatabase($0, timeout: timeout, limit: rowLimit, clock) }
  }

  /// The names of the databases.
  package var names: [String] { members.map(\.name) }

  /// Samples all databases at the same time.
  package func sample() async -> QueueSample {
    let samples = await withTaskGroup(of: (Int, DatabaseSample).self) { group in
      for (index, member) in members.enumerated() { group.addTask { (index, await member.sample()) } }
      var found: [Int: DatabaseSample] = [:]
      for await (index, sample) in group { found[index] = sample }
      return members.indices.compactMap { found[$0] }
    }
    let now = clock.now()
    let states = samples.compactMap(\.state)
    return QueueSample(
      at: now.wall, sinceBoot: now.sinceBoot, took: states.map(\.took).max() ?? .zero,
      cost: states.map(\.cost).reduce(.zero, +), databases: samples)
  }

  /// Calls a verb of one database, as a sample does: for the details that a dashboard shows on request.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name, and
  ///   ``QudoError/Code/unreachable`` if it does not answer in time.
  package func read<Value: Sendable>(
    _ database: String, _ body: @escaping @Sendable (any ObservedDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    guard let member = members.first(where: { $0.name == database }) else {
      throw QudoError(.invalidArgument, "no database has the name \(database): choose another one")
    }
    return try await member.call(body).value
  }

  /// Closes the databases that are open. It waits no longer for one than a sample does.
  package func close() async {
    await withTaskGroup(of: Void.self) { group in
      for member in members { group.addTask { await member.close() } }
    }
  }
}

/// A database that is sampled.
private final class SampledDatabase: Sendable {
  private struct State {
    var driver: (any ObservedDriver)?
    /// When the calls that have not been answered began.
    var pending: [Int64] = []
    /// A call that was answered late is followed by a pause until this time, as each sample is.
    var restsUntil: Int64 = 0
    var fold = DatabaseFold()
    /// The number of samples that began.
    var samples = 0
  }
  /// The number of calls without an answer from which on a database gets no further one.
  private static let mostPending = 4

  private let source: QueueSampler.Source
  private let timeout: Duration
  private let limit: Int
  private let clock: any QueueClock
  private let state = Locked(State())

  init(_ source: QueueSampler.Source, timeout: Duration, limit: Int, _ clock: any QueueClock) {
    (self.source, self.timeout, self.limit, self.clock) = (source, timeout, limit, clock)
  }

  var name: String { state.withLock { $0.driver?.name } ?? source.name }

  func sample() async -> DatabaseSample {
    let limit = limit
    do throws(QudoError) {
      // One that hangs is not asked again before it answers.
      if let since = state.withLock({ $0.pending.min() }),
        clock.sinceBoot() - since > timeout.wholeMicroseconds
      {
        throw unanswered(since)
      }
      let left = state.withLock { $0.restsUntil } - clock.sinceBoot()
      if left > 0 {
        throw QudoError(
          .unreachable,
          "the figures took longer than \(timeout.wholeMicroseconds / 1000) ms: asking again in \((left + 999_999) / 1_000_000) s"
        )
      }
      let number = state.withLock { state in
        state.samples += 1
        return state.samples
      }
      let answer = try await call { driver throws(QudoError) in try await driver.figures(limit: limit) }
      let now = clock.sinceBoot()
      let sample = state.withLock { state in
        state.fold.add(answer.value, call: number, at: now, took: answer.took, limit: limit)
      }
      return DatabaseSample(name: name, result: .success(sample))
    } catch {
      return DatabaseSample(name: name, result: .failure(error))
    }
  }

  func call<Value: Sendable>(
    _ body: @escaping @Sendable (any ObservedDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> (value: Value, took: Duration) {
    let asked = clock.sinceBoot()
    let isTooMany = state.withLock { state in
      if state.pending.count >= Self.mostPending { return true }
      state.pending.append(asked)
      return false
    }
    if isTooMany { throw unanswered(state.withLock { $0.pending.min() } ?? asked) }
    // Each call has its own thread: opening a database can block one for long.
    let answer: Result<(Value, Duration), QudoError>? = await withDeadline(
      until: asked.clampedPlus(timeout.wholeMicroseconds), clock, on: SerialThread("qudo.monitor"),
      late: { _ in self.answeredLate(asked) }
    ) {
      do throws(QudoError) {
        let driver = try await self.driver()
        let began = self.clock.sinceBoot()
        let value = try await body(driver)
        return .success((value, .microseconds(max(0, self.clock.sinceBoot() - began))))
      } catch {
        return .failure(error)
      }
    }
    guard let answer else { throw unanswered(asked) }
    answered(asked)
    return try answer.get()
  }

  private func answered(_ asked: Int64) {
    state.withLock { state in
      if let index = state.pending.firstIndex(of: asked) { state.pending.remove(at: index) }
    }
  }

  private func answeredLate(_ asked: Int64) {
    answered(asked)
    let now = clock.sinceBoot()
    let pause = min(max(0, now - asked), 1_200_000) * 50
    state.withLock { $0.restsUntil = max($0.restsUntil, now + pause) }
  }

  private func unanswered(_ since: Int64) -> QudoError {
    let seconds = max(0, clock.sinceBoot() - since) / 1_000_000
    return QudoError(
      .unreachable, "no answer for \(seconds) s: see whether the disk or the network hangs (qudo doctor)")
  }

  private func driver() async throws(QudoError) -> any ObservedDriver {
    if let driver = state.withLock({ $0.driver }) { return driver }
    let driver = try await source.open()
    let stored = state.withLock { state in
      if let stored = state.driver { return stored }
      state.driver = driver
      return driver
    }
    // A call that began at the same time was faster.
    if stored.doorbell !== driver.doorbell { await driver.close() }
    return stored
  }

  func close() async {
    guard let driver = state.withLock({ $0.driver }) else { return }
    _ = await withDeadline(
      until: clock.sinceBoot().clampedPlus(timeout.wholeMicroseconds), clock, on: SerialThread("qudo.monitor")
    ) { await driver.close() }
  }
}
