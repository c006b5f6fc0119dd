/// What one of several databases answered.
public struct DatabaseAnswer<Value: Sendable>: Sendable {
  /// The database's name.
  public let database: String
  /// What it answered, or why it did not.
  public let result: Result<Value, QudoError>
}

/// Lists, database by database: one that is down does not hide the others.
extension Databases {
  /// What is known of each, without asking any.
  public var states: [DatabaseState] {
    if let only { return [DatabaseState(database: only.name, status: .live, failure: nil, timeUntilProbe: nil)] }
    let now = options.clock.sinceBoot()
    return members.map { member in
      let health = member.health
      var retryIn: Duration?
      if case .setAside(let until) = health.state { retryIn = .microseconds(max(0, until - now)) }
      return DatabaseState(database: member.name, status: health.standing, failure: health.failure, timeUntilProbe: retryIn)
    }
  }

  /// Asks all at the same time. One that is set aside is not asked before its time: its answer is what it is set aside for.
  ///
  /// - Parameter body: what to ask: to read, or to do a little.
  /// - Returns: the answers, in the order of the databases; each comes within ``DatabaseOptions/callTimeout``.
  public func forEachDriver<Value: Sendable>(
    _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async -> [DatabaseAnswer<Value>] {
    if let only {
      let result: Result<Value, QudoError>
      do throws(QudoError) { result = .success(try await body(only)) } catch { result = .failure(error) }
      return [DatabaseAnswer(database: only.name, result: result)]
    }
    return await withTaskGroup(of: (Int, Result<Value, QudoError>).self) { group in
      for member in members { group.addTask { (member.index, await self.forEachDriver(member, body)) } }
      var answers: [Int: Result<Value, QudoError>] = [:]
      for await (index, result) in group { answers[index] = result }
      return members.compactMap { member in answers[member.index].map { DatabaseAnswer(database: member.name, result: $0) } }
    }
  }

  private func forEachDriver<Value: Sendable>(
    _ member: DatabaseMember, _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async -> Result<Value, QudoError> {
    let end = end(options.callTimeout)
    do throws(QudoError) {
      let health = member.health
      if case .setAside = health.state, !health.isDue(options.clock.sinceBoot()), let failure = health.failure { throw failure }
      _ = try await member.ready(until: end)
      return .success(try await member.call(until: end, isRead: true, body))
    } catch {
      return .failure(error)
    }
  }

  /// How many jobs of each kind are in each state.
  public func count(_ kinds: [Kind]? = nil) async -> [DatabaseAnswer<[JobCount]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.count(kinds) }
  }

  /// Live jobs.
  public func jobs(matching query: JobQuery) async -> [DatabaseAnswer<[StoredJob]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.jobs(matching: query) }
  }

  /// The failure logs.
  public func failures(_ query: LogQuery) async -> [DatabaseAnswer<[FailureRecord]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.logs().failures(query) }
  }

  /// The status logs.
  public func statuses(_ query: LogQuery) async -> [DatabaseAnswer<[StatusRecord]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.logs().statuses(query) }
  }

  /// The failure log of one.
  package func failures(_ query: LogQuery, in database: String) async -> Result<[FailureRecord], QudoError> {
    await forEachDriver(in: database) { driver throws(QudoError) in try await driver.logs().failures(query) }
  }

  private func forEachDriver<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async -> Result<Value, QudoError> {
    do throws(QudoError) {
      if let only {
        guard only.name == database else { throw unknown(database) }
        return .success(try await body(only))
      }
      guard let member = await member(database) else { throw unknown(database) }
      return await forEachDriver(member, body)
    } catch {
      return .failure(error)
    }
  }

  /// Enqueues failed jobs of one database again, there; see ``LogDriver/replay(_:)``.
  ///
  /// - Parameters:
  ///   - failures: the ids of rows of the failure log.
  ///   - database: whose failure log.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` when there is no such database.
  public func replay(_ failures: [Int64], in database: String) async throws(QudoError) -> [ReplayResult] {
    if let only {
      guard only.name == database else { throw unknown(database) }
      return try await only.logs().replay(failures)
    }
    guard let member = await member(database) else { throw unknown(database) }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end) { driver throws(QudoError) in try await driver.logs().replay(failures) }
  }

  private func unknown(_ database: String) -> QudoError {
    QudoError(.invalidArgument, "no database is called \(database): there is \(names.joined(separator: ", "))")
  }

  /// By its name, which for one that was never opened is known only then.
  func member(_ name: String) async -> DatabaseMember? {
    if let member = members.first(where: { $0.name == name }) { return member }
    for member in members where member.driver == nil { _ = try? await member.ready(until: end(options.callTimeout)) }
    return members.first { $0.name == name }
  }

  /// A live job by its name.
  func job(_ id: JobID) async throws(QudoError) -> StoredJob? {
    let query = JobQuery(ids: [id.number], limit: 1)
    if let only { return only.name == id.database ? try await only.jobs(matching: query).first : nil }
    guard let member = await member(id.database) else { return nil }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end, isRead: true) { driver throws(QudoError) in try await driver.jobs(matching: query) }.first
  }
}

extension Driver {
  /// - Throws: ``QudoError/Code/invalidArgument`` for a driver without logs.
  func logs() throws(QudoError) -> any LogDriver {
    guard let logs = self as? any LogDriver else { throw QudoError(.invalidArgument, "the driver of \(name) has no logs") }
    return logs
  }
}
