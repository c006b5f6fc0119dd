// With several databases, records do not say which one they are from. `Databases` has the same lists by database.
extension Queue {
  /// Returns the live jobs that a query selects, in the order of their ids.
  ///
  ///     for job in try await queue.jobs(matching: JobQuery(kinds: ["mail.send"], states: [.running])) { … }
  ///
  /// With several databases, the jobs of each follow those of the one before, and the query's limit holds for each. To see which
  /// database a job is in, or to list the others while one is unavailable, use ``Databases/jobs(matching:)``.
  ///
  /// - Parameter query: which jobs. Default: the first 100.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func jobs(matching query: JobQuery = JobQuery()) async throws(QudoError) -> [StoredJob] {
    try await databases.jobs(matching: query).joined()
  }

  /// Returns the number of jobs of each kind, by state, in the order of the kinds. Kinds without a live job may be missing.
  ///
  /// - Parameter kinds: which kinds, or nil for all. Default: all.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func count(_ kinds: [Kind]? = nil) async throws(QudoError) -> [JobCount] {
    let counts = try await databases.count(kinds).joined()
    var sums: [Kind: JobCount] = [:]
    for count in counts {
      var sum = sums[count.kind] ?? JobCount(count.kind)
      sum.ready += count.ready
      sum.delayed += count.delayed
      sum.running += count.running
      sum.held += count.held
      sum.isPaused = sum.isPaused || count.isPaused
      sums[count.kind] = sum
    }
    return sums.values.sorted { $0.kind < $1.kind }
  }

  /// Returns rows of the failure log. With several databases, as ``jobs(matching:)``.
  ///
  /// - Parameter query: which rows. Default: the newest 10.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func failures(_ query: LogQuery = LogQuery()) async throws(QudoError) -> [FailureRecord] {
    try await databases.failures(query).joined()
  }

  /// Returns rows of the status log: the finished runs of kinds with ``JobPolicy/recordsStatus``. With several databases, as
  /// ``jobs(matching:)``.
  ///
  /// - Parameter query: which rows. Default: the newest 10.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable.
  public func statuses(_ query: LogQuery = LogQuery()) async throws(QudoError) -> [StatusRecord] {
    try await databases.statuses(query).joined()
  }

  /// Enqueues failed jobs again: see ``LogDriver/replay(_:changing:unique:)``.
  ///
  /// - Parameters:
  ///   - failures: the ids of rows of the failure log.
  ///   - change: what to change in the new jobs, for example a corrected payload. Default: nothing.
  ///   - unique: the unique key of the new jobs. Default: that of the failed ones.
  ///   - database: the name of the database whose failure log that is. Default: the queue's only database.
  /// - Returns: the results, in the order of the ids.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database, and without a name if the queue has several.
  @discardableResult
  public func replay(
    _ failures: [Int64], changing change: JobChange = JobChange(), unique: UniqueKey? = nil,
    in database: String? = nil
  ) async throws(QudoError) -> [ReplayResult] {
    guard let name = database ?? databases.only?.name else {
      throw QudoError(
        .invalidArgument, "the queue has several databases: name the one whose failures are to be replayed")
    }
    return try await databases.replay(failures, changing: change, unique: unique, in: name)
  }

  /// Marks final failures as resolved, because you dealt with them by hand: see ``LogDriver/resolve(_:)``.
  ///
  /// - Parameters:
  ///   - failures: the ids of rows of the failure log.
  ///   - database: the name of the database whose failure log that is. Default: the queue's only database.
  /// - Returns: the results, in the order of the ids.
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` for an unknown database, and without a name if the queue has several.
  @discardableResult
  public func resolve(_ failures: [Int64], in database: String? = nil) async throws(QudoError)
    -> [ResolveResult]
  {
    guard let name = database ?? databases.only?.name else {
      throw QudoError(
        .invalidArgument, "the queue has several databases: name the one whose failures are to be resolved")
    }
    return try await databases.resolve(failures, in: name)
  }

  /// Marks as resolved all final failures that fit a filter and were not replayed, in transactions of 1,000.
  ///
  /// - Parameters:
  ///   - filter: which failures. Only final ones that were neither replayed nor resolved are taken.
  ///   - kinds: which kinds, or nil for all. Default: all.
  /// - Returns: how many failures were resolved.
  /// - Throws: ``QudoError``; those that were resolved before it stay.
  @discardableResult
  public func resolve(matching filter: FailureFilter, kinds: [Kind]? = nil) async throws(QudoError) -> Int {
    var count = 0
    for name in databases.names {
      var failures = OpenFailures(in: name, of: databases, matching: filter, kinds: kinds, page: 1000)
      while let ids = try await failures.next() {
        for case .resolved in try await databases.resolve(ids, in: name) { count += 1 }
      }
    }
    return count
  }

  /// Enqueues again all failed jobs that fit a filter and were not replayed, oldest first: see ``LogDriver/replay(_:changing:unique:)``.
  ///
  ///     let filter = FailureFilter(reasons: [.failed], messageContains: "timeout")
  ///     let count = try await queue.replay(matching: filter, kinds: ["mail.send"])
  ///
  /// They are read and enqueued 32 at a time. A failure whose unique key another job holds is left, and can be replayed later.
  ///
  /// - Parameters:
  ///   - filter: which failures. Only final ones that were not replayed are taken.
  ///   - kinds: which kinds, or nil for all. Default: all.
  /// - Returns: how many jobs were enqueued.
  /// - Throws: ``QudoError``; those that were enqueued before it stay.
  @discardableResult
  public func replay(matching filter: FailureFilter, kinds: [Kind]? = nil) async throws(QudoError) -> Int {
    var count = 0
    for name in databases.names {
      var failures = OpenFailures(in: name, of: databases, matching: filter, kinds: kinds, page: 32)
      while let ids = try await failures.next() {
        for case .replayed in try await databases.replay(ids, in: name) { count += 1 }
      }
    }
    return count
  }

  /// Deletes old rows of the logs of every database: see ``LogDriver/prune(_:)``.
  ///
  /// - Parameter options: which rows. Default: up to 1,000 rows of any age.
  /// - Returns: how many rows were deleted. Repeat the call until it returns 0.
  /// - Throws: ``QudoError``, even if only one of several databases is unavailable; the others are still pruned.
  @discardableResult
  public func prune(_ options: PruneOptions = PruneOptions()) async throws(QudoError) -> Int {
    let answers = await databases.forEachDriver { driver throws(QudoError) in
      [try await driver.logs().prune(options)]
    }
    return try answers.joined().reduce(0, +)
  }
}

extension Array {
  /// Returns the answers of all databases, one after the other.
  func joined<Row>() throws(QudoError) -> [Row] where Element == DatabaseAnswer<[Row]> {
    var rows: [Row] = []
    for answer in self { rows += try answer.result.get() }
    return rows
  }
}
