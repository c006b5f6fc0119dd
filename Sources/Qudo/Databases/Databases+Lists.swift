/// The answer of one of several databases.
public struct DatabaseAnswer<Value: Sendable>: Sendable {
  /// The name of the database.
  public let database: String
  /// The value, or the error of this database.
  public let result: Result<Value, QudoError>

  package init(database: String, result: Result<Value, QudoError>) {
    (self.database, self.result) = (database, result)
  }
}

/// Lists per database: an unavailable one does not hide the others.
extension Databases {
  /// The last known state of each database, without a call to any.
  public var states: [DatabaseState] {
    if let only {
      return [DatabaseState(database: only.name, status: .live, failure: nil, timeUntilProbe: nil)]
    }
    let now = options.clock.sinceBoot()
    return members.map { member in
      let health = member.health
      var retryIn: Duration?
      if case .unavailable(let until) = health.state { retryIn = .microseconds(max(0, until - now)) }
      return DatabaseState(
        database: member.name, status: health.standing, failure: health.failure, timeUntilProbe: retryIn)
    }
  }

  /// Calls `body` with all drivers at the same time.
  ///
  /// An unavailable database is skipped until its next probe is due; its answer is the error that it failed
  /// with.
  ///
  /// - Parameter body: A read or a short write.
  /// - Returns: The answers in the order of the databases. Each takes at most
  ///   ``DatabaseOptions/callTimeout``.
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
      return members.compactMap { member in
        answers[member.index].map { DatabaseAnswer(database: member.name, result: $0) }
      }
    }
  }

  private func forEachDriver<Value: Sendable>(
    _ member: DatabaseMember, _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async -> Result<Value, QudoError> {
    let end = end(options.callTimeout)
    do throws(QudoError) {
      let health = member.health
      if case .unavailable = health.state, !health.isDue(options.clock.sinceBoot()),
        let failure = health.failure
      {
        throw failure
      }
      _ = try await member.ready(until: end)
      return .success(try await member.call(until: end, isRead: true, body))
    } catch {
      return .failure(error)
    }
  }

  /// Counts the jobs of each kind in each state, per database.
  public func count(_ kinds: [Kind]? = nil) async -> [DatabaseAnswer<[JobCount]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.count(kinds) }
  }

  /// Returns the live jobs that match a query, per database.
  public func jobs(matching query: JobQuery) async -> [DatabaseAnswer<[StoredJob]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.jobs(matching: query) }
  }

  /// Returns rows of the failure logs, per database.
  public func failures(_ query: LogQuery) async -> [DatabaseAnswer<[FailureRecord]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.logs().failures(query) }
  }

  /// Returns rows of the status logs, per database.
  public func statuses(_ query: LogQuery) async -> [DatabaseAnswer<[StatusRecord]>] {
    await forEachDriver { driver throws(QudoError) in try await driver.logs().statuses(query) }
  }

  /// Returns rows of one database's failure log.
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

  /// Enqueues failed jobs again, in the database that they failed in. See ``LogDriver/replay(_:changing:unique:)``.
  ///
  /// - Parameters:
  ///   - failures: The ids of rows of the failure log.
  ///   - change: What to change in the new jobs. Default: nothing.
  ///   - unique: The unique key of the new jobs. Default: that of the failed ones.
  ///   - database: The name of the database.
  /// - Throws: ``QudoError``, with ``QudoError/Code/invalidArgument`` if no database has the name.
  public func replay(
    _ failures: [Int64], changing change: JobChange = JobChange(), unique: UniqueKey? = nil,
    in database: String
  ) async throws(QudoError) -> [ReplayResult] {
    try await logs(in: database) { driver throws(QudoError) in
      try await driver.replay(failures, changing: change, unique: unique)
    }
  }

  /// Marks failures as resolved, in the database that they failed in. See ``LogDriver/resolve(_:)``.
  ///
  /// - Parameters:
  ///   - failures: The ids of rows of the failure log.
  ///   - database: The name of the database.
  /// - Throws: ``QudoError``, with ``QudoError/Code/invalidArgument`` if no database has the name.
  public func resolve(_ failures: [Int64], in database: String) async throws(QudoError) -> [ResolveResult] {
    try await logs(in: database) { driver throws(QudoError) in try await driver.resolve(failures) }
  }

  /// Calls `body` with the driver of one database, by its name.
  ///
  /// - Parameter isRead: Whether `body` only reads.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name.
  func call<Value: Sendable>(
    in database: String, isRead: Bool = false,
    _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    if let only {
      guard only.name == database else { throw unknown(database) }
      return try await body(only)
    }
    guard let member = await member(database) else { throw unknown(database) }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end, isRead: isRead, body)
  }

  /// Calls `body` with the driver of one database that has logs, by its name.
  ///
  /// - Parameter isRead: Whether `body` only reads.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name, or it has no logs.
  package func logs<Value: Sendable>(
    in database: String, isRead: Bool = false,
    _ body: @escaping @Sendable (any LogDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    try await call(in: database, isRead: isRead) { driver throws(QudoError) in
      try await body(try driver.logs())
    }
  }

  /// Calls `body` with the driver of one database that stores schedules, by its name.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name, or it stores no schedules.
  package func schedules<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any ScheduleDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    try await call(in: database) { driver throws(QudoError) in try await body(try driver.scheduling()) }
  }

  /// Calls `body` with the driver of one database, by its place in the list.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/unreachable`` if there is no answer within ``DatabaseOptions/callTimeout``.
  package func call<Value: Sendable>(
    at index: Int, _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    if let only { return try await body(only) }
    let end = end(options.callTimeout)
    _ = try await members[index].ready(until: end)
    return try await members[index].call(until: end, body)
  }

  /// Returns the driver of one database, by its place in the list, after it was opened or probed if necessary.
  package func driver(at index: Int) async throws(QudoError) -> any Driver {
    if let only { return only }
    return try await members[index].ready(until: end(options.callTimeout))
  }

  func unknown(_ database: String) -> QudoError {
    QudoError(
      .invalidArgument, "no database is called \(database): use one of \(names.joined(separator: ", "))")
  }

  /// Finds a database by name. The final name is known only when a database is open, so it may open some.
  func member(_ name: String) async -> DatabaseMember? {
    if let member = members.first(where: { $0.name == name }) { return member }
    for member in members where member.driver == nil {
      _ = try? await member.ready(until: end(options.callTimeout))
    }
    return members.first { $0.name == name }
  }

  /// Finds a live job by its id.
  func job(_ id: JobID) async throws(QudoError) -> StoredJob? {
    let query = JobQuery(ids: [id.number], limit: 1)
    if let only { return only.name == id.database ? try await only.jobs(matching: query).first : nil }
    guard let member = await member(id.database) else { return nil }
    let end = end(options.callTimeout)
    _ = try await member.ready(until: end)
    return try await member.call(until: end, isRead: true) { driver throws(QudoError) in
      try await driver.jobs(matching: query)
    }.first
  }
}

extension Driver {
  /// - Throws: ``QudoError/Code/invalidArgument`` if the driver has no logs.
  func logs() throws(QudoError) -> any LogDriver {
    guard let logs = self as? any LogDriver else {
      throw QudoError(.invalidArgument, "the driver of \(name) has no logs: use one that has")
    }
    return logs
  }
}
