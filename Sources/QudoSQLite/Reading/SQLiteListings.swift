internal import CSQLite
internal import Dispatch
package import Logging
package import Qudo

/// A file opened only for listings, for the command's `count`, `jobs`, `show`, `failures`, `statuses`,
/// `pauses`, `wait`, `health` and `metrics`.
///
/// It changes nothing: it creates no table, migrates nothing and has no row in `qudo_instance`, so processes of an older
/// version keep working. It takes no write lock, neither Qudo's nor SQLite's, so it waits for no writer. Read
/// permission is enough wherever SQLite allows that. All other verbs throw `QudoError.Code.readOnly`.
package struct SQLiteListings: ControlDriver, ScheduleDriver, DescribedDriver, ObservedDriver {
  package let name: String
  package let limits: Limits
  package let doorbell: Doorbell
  package let capabilities: Capabilities = .ringsAtEnds
  private let reader: ListingReader

  /// - Parameters:
  ///   - path: The path of the file, which must exist.
  ///   - timeout: How long a listing waits for a process that recovers or closes the file. Default: 5 s.
  /// - Throws: `QudoError`: `unsupportedDatabase` if the file has no Qudo tables, or an older version of them;
  ///   `newerSchema` if only a newer Qudo can read it.
  package init(
    path: String, limits: Limits = Limits(), timeout: Duration = .seconds(5),
    clock: any QueueClock = SystemClock(),
    logger: Logger = Logger(label: "qudo")
  ) throws(QudoError) {
    guard !path.isEmpty, path != ":memory:", !path.utf8.contains(0) else {
      throw QudoError(
        .invalidArgument, "the path is empty, \":memory:\" or contains a NUL byte: pass the path of a file")
    }
    self.limits = limits
    let watch = FileWatch(path: try DatabasePath(path).path + "-wal")
    doorbell = Doorbell { hasListeners in watch.setActive(hasListeners) }
    watch.onChange { [weak doorbell] in doorbell?.ring() }
    reader = ListingReader(path: path, limits: limits, timeout: timeout, clock: clock, logger: logger)
    name = try reader.perform { snapshot throws(QudoError) in
      try snapshot.infoTable.name() ?? DatabaseOpener.stem(path)
    }
  }

  package func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try query.filter.check()
    return try await reader.read { snapshot throws(QudoError) in try snapshot.find(query) }
  }

  package func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.count(kinds) }
  }

  package func failures(_ query: LogQuery) async throws(QudoError) -> [FailureRecord] {
    try query.failures?.check()
    return try await reader.read { snapshot throws(QudoError) in try snapshot.failures(query) }
  }

  package func statuses(_ query: LogQuery) async throws(QudoError) -> [StatusRecord] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.statuses(query) }
  }

  package func outcomes(of jobs: [Int64]) async throws(QudoError) -> [JobOutcome] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.outcomes(of: jobs) }
  }

  package func job(withUniqueKey key: String, kind: Kind) async throws(QudoError) -> Int64? {
    try await reader.read { snapshot throws(QudoError) in try snapshot.job(withUniqueKey: key, kind: kind) }
  }

  package func failureRoutes() async throws(QudoError) -> [FailureRoute] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.kindTable.failureRoutes() }
  }

  package func schedules(_ names: [String]?) async throws(QudoError) -> [StoredSchedule] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.schedules(names) }
  }

  package func dueSchedules(after name: String?, limit: Int) async throws(QudoError) -> DueSchedules {
    try await reader.read { snapshot throws(QudoError) in try snapshot.dueSchedules(after: name, limit: limit)
    }
  }

  package func pauses() async throws(QudoError) -> [Pause] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.pauses() }
  }

  package func concurrencyKeys(_ query: ConcurrencyKeyQuery) async throws(QudoError) -> [ConcurrencyKeyStatus]
  {
    try await reader.read { snapshot throws(QudoError) in try snapshot.concurrencyKeys(query) }
  }

  package func keyStops(_ kinds: [Kind]?, after failure: Int64, limit: Int) async throws(QudoError)
    -> [KeyStop]
  {
    try await reader.read { snapshot throws(QudoError) in
      try snapshot.keyStops(kinds, after: failure, limit: limit)
    }
  }

  package func describe() async throws(QudoError) -> DatabaseDescription {
    try await reader.read { snapshot throws(QudoError) in
      var workers = 0
      var isKnown = true
      for instance in try snapshot.instanceTable.all() {
        if !instance.isLocked { isKnown = false } else if snapshot.locks.isHeld(instance.id) { workers += 1 }
      }
      return DatabaseDescription(
        version: "SQLite \(SQLiteDriver.libraryVersion)", workers: isKnown ? workers : nil,
        isOpen: snapshot.locks.hasDriver)
    }
  }

  package func backlog(_ kinds: [Kind]?, countingUpTo most: Int) async throws(QudoError) -> Backlog {
    try await reader.read { snapshot throws(QudoError) in try snapshot.backlog(kinds, countingUpTo: most) }
  }

  package func sizes() async throws(QudoError) -> DatabaseSizes {
    try await reader.read { snapshot throws(QudoError) in try snapshot.sizes(path: snapshot.connection.path) }
  }

  package func logRows(countingUpTo most: Int) async throws(QudoError) -> LogRowCounts {
    try await reader.read { snapshot throws(QudoError) in try snapshot.logRows(countingUpTo: most) }
  }

  package func figures(limit: Int) async throws(QudoError) -> QueueFigures {
    try await reader.read { snapshot throws(QudoError) in
      try snapshot.figures(limit: limit, path: snapshot.connection.path)
    }
  }

  /// Does nothing: no connection stays open between listings.
  package func close() async {}

  private var refusal: QudoError {
    QudoError(.readOnly, "the file was opened only for listings: open it with SQLiteDriver")
  }

  package func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] { throw refusal }
  package func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { throw refusal }
  package func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { throw refusal }
  package func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] {
    throw refusal
  }
  package func promote(limit: Int) async throws(QudoError) -> Int { throw refusal }
  package func replay(_ failures: [Int64], changing change: JobChange, unique: UniqueKey?)
    async throws(QudoError) -> [ReplayResult]
  {
    throw refusal
  }
  package func resolve(_ failures: [Int64]) async throws(QudoError) -> [ResolveResult] { throw refusal }
  package func prune(_ prune: PruneOptions) async throws(QudoError) -> Int { throw refusal }
  package func cancel(_ jobs: [Int64], reason: String?) async throws(QudoError) -> [CancelResult] {
    throw refusal
  }
  package func cancel(matching query: JobQuery, reason: String?) async throws(QudoError) -> [CancelledJob] {
    throw refusal
  }
  package func change(_ jobs: [Int64], _ change: JobChange) async throws(QudoError) -> [ChangeResult] {
    throw refusal
  }
  package func change(matching query: JobQuery, _ change: JobChange) async throws(QudoError) -> [ChangedJob] {
    throw refusal
  }
  package func recover(_ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] { throw refusal }
  package func recover(matching query: JobQuery) async throws(QudoError) -> [RecoveredJob] { throw refusal }
  package func setFailureRoutes(_ routes: [FailureRoute]) async throws(QudoError) { throw refusal }
  package func pause(_ kinds: [Kind]?, until end: Due?, reason: String?) async throws(QudoError) {
    throw refusal
  }
  package func resume(_ kinds: [Kind]?) async throws(QudoError) -> [Pause] { throw refusal }
  package func resume(keys: [String], of kind: Kind) async throws(QudoError) -> [KeyStop] { throw refusal }
  package func store(_ schedules: [StoredSchedule]) async throws(QudoError) -> [Bool] { throw refusal }
  package func removeSchedules(_ names: [String]) async throws(QudoError) -> [Bool] { throw refusal }
  package func advance(_ ticks: [ScheduleTick]) async throws(QudoError) -> [TickResult] { throw refusal }
}

/// A reader that opens the file for each listing and closes it afterwards.
final class ListingReader: Sendable {
  /// For a diagnosis: it looks at files that no listing can read, and leaves a WAL as it is.
  private let diagnoses: Bool
  private let path: String
  private let limits: Limits
  private let timeout: Duration
  private let clock: any QueueClock
  private let logger: Logger
  private let thread = DispatchQueue(label: "qudo.listings")

  init(
    path: String, limits: Limits, timeout: Duration, clock: any QueueClock, logger: Logger,
    diagnoses: Bool = false
  ) {
    self.diagnoses = diagnoses
    self.path = path
    self.limits = limits
    self.timeout = timeout
    self.clock = clock
    self.logger = logger
  }

  func read<Result: Sendable>(
    _ body: @escaping @Sendable (Snapshot) throws(QudoError) -> Result
  ) async throws(QudoError) -> Result {
    guard !Task.isCancelled else {
      throw QudoError(.cancelled, "the task was cancelled before anything was read")
    }
    return try await withContinuation { continuation in
      thread.async {
        Interleaving.point()
        continuation.resume(returning: Swift.Result { () throws(QudoError) in try self.perform(body) })
      }
    }.get()
  }

  /// Opens the file and runs a listing on the current thread.
  func perform<Result>(_ body: (Snapshot) throws(QudoError) -> Result) throws(QudoError) -> Result {
    do throws(QudoError) {
      let place = try DatabasePath(path)
      try FileSystem.check(place.path, logger)
      if let result = try whereWritingIsAllowed(place, body) { return result }
      for _ in 0..<20 {
        if let result = try whereReadingIsAllowed(place, body) { return result }
      }
      throw QudoError(
        .busy, "other processes opened or closed the database during each attempt to read it: try again")
    } catch  where error.code == .database {
      throw QudoError(
        .unsupportedDatabase,
        "\(path): SQLite cannot read the file: it is damaged, or written by a newer SQLite",
        cause: error.cause)
    } catch {
      throw error.naming(path)
    }
  }

  /// Lists through a writable connection: the last connection to close then removes the `-wal`.
  ///
  /// - Returns: Nil if this process may not write to the file, its `-wal` or its `-shm`.
  private func whereWritingIsAllowed<Result>(
    _ place: DatabasePath, _ body: (Snapshot) throws(QudoError) -> Result
  ) throws(QudoError) -> Result? {
    let connection: Connection
    do throws(QudoError) {
      connection = try Connection(path: place.path, create: false)
      // Reading creates the -wal and the -shm. A user who may not write to the file must not create them: they would
      // belong to that user, and the file's owner could not write to them.
      guard sqlite3_db_readonly(connection.handle, "main") == 0 else { return nil }
      try begin(connection, place)
    } catch  where error.code == .cannotOpen || error.code == .readOnly {
      return nil
    }
    return try list(connection, body)
  }

  /// Lists through a read-only connection.
  ///
  /// - Returns: Nil if the file changed during a read without locks.
  private func whereReadingIsAllowed<Result>(
    _ place: DatabasePath, _ body: (Snapshot) throws(QudoError) -> Result
  ) throws(QudoError) -> Result? {
    let before = FileState(place.path)
    // "if the -shm and -wal files already exist and are readable", or "if the database is immutable": sqlite.org/wal.html, "Read-Only
    // Databases". Without a -wal and a journal, nothing is being written and the file is complete. The listing is valid
    // if that still holds afterwards.
    let parameters = before.isAlone ? "immutable=1" : "readonly_shm=1"
    let result: Swift.Result<Result, QudoError>
    do throws(QudoError) {
      let connection = try Connection(path: place.path, create: false, readOnly: true, parameters: parameters)
      try begin(connection, place)
      result = .success(try list(connection, body))
    } catch {
      result = .failure(error)
    }
    let after = FileState(place.path)
    if before.isAlone ? after != before : after.isAlone { return nil }
    do throws(QudoError) {
      return try result.get()
    } catch  where (error.code == .cannotOpen || error.code == .readOnly) && FileStatus(place.path) != nil {
      throw QudoError(
        .cannotOpen,
        "cannot read the file, its -wal or its -shm: run as the owner of the file, "
          + "or give its group access to it (chmod 660)", cause: error.cause)
    }
  }

  private struct FileState: Equatable {
    private let stamp: [Int]?
    /// Whether the file has neither a `-wal` nor a `-journal`.
    let isAlone: Bool

    init(_ path: String) {
      // In this order: a writer creates the -wal before it changes the file.
      stamp = FileStatus(path)?.stamp
      isAlone = FileStatus(path + "-wal") == nil && FileStatus(path + "-journal") == nil
    }
  }

  private func begin(_ connection: Connection, _ place: DatabasePath) throws(QudoError) {
    connection.waitForOthers(timeout)
    try connection.harden(limits)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    try connection.run("PRAGMA fullfsync = 1")
    try connection.run("PRAGMA query_only = 1")
    if diagnoses, FileStatus(place.path + "-wal")?.size ?? 0 > 0 {
      _ = qudo_db_config(connection.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    }
    try connection.run("BEGIN")
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    try place.check(connection)
  }

  private func list<Result>(_ connection: Connection, _ body: (Snapshot) throws(QudoError) -> Result)
    throws(QudoError) -> Result
  {
    if !diagnoses { try checkSchema(connection) }
    let now = clock.now()
    let locks = KernelLocks(looking: connection.path)
    let result = try body(Snapshot(connection: connection, now: now, locks: locks))
    try connection.run("COMMIT")
    return result
  }

  /// Checks that a listing can read the tables.
  func checkSchema(_ connection: Connection) throws(QudoError) {
    let schema = try SchemaCheck(connection)
    guard !schema.isEmpty else {
      throw QudoError(
        .unsupportedDatabase,
        "the file has no Qudo tables: give the path of a queue, or enqueue the first job")
    }
    try schema.checkVersions()
    guard let version = try connection.schemaTable.version(),
      let lowest = try connection.schemaTable.lowestVersion(.reading)
    else {
      throw QudoError(.foreignSchema, "the file has a qudo_schema table without a version: use another file")
    }
    guard lowest <= Schema.version else {
      throw QudoError(
        .newerSchema,
        "the file has schema \(version), and this Qudo knows \(Schema.version): update this program")
    }
    guard version >= Schema.version else {
      throw QudoError(
        .unsupportedDatabase,
        """
        the file has schema \(version) of an older Qudo, and a listing does not migrate it to \(Schema.version): list it with that \
        version, or open it once with a worker or an enqueue of this one
        """)
    }
    try schema.check(version: version, logger)
  }
}
