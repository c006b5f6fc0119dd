/// The database, or the interchangeable databases, that store a queue's jobs.
///
/// For example, a queue with two databases:
///
///     let databases = try Databases([
///       Databases.Source("local") { () async throws(QudoError) in try SQLiteDriver(path: "local.db") },
///       Databases.Source("far") { () async throws(QudoError) in try SQLiteDriver(path: "/mnt/disk/far.db") },
///     ])
///     let queue = Queue(databases)
///
/// <doc:SeveralDatabases> explains what happens when one of them fails. Copies of a queue share this object,
/// and with it the health of the databases.
///
/// See the example `Tests/Examples/Sources/Fleet`.
public final class Databases: Sendable {
  /// A database and how to open it.
  public struct Source: Sendable {
    /// The name of the database until it is open.
    public let name: String
    let driver: (any Driver)?
    let open: DatabaseMember.Opener

    /// Creates a source from an open driver.
    public init(_ driver: any Driver) {
      name = driver.name
      self.driver = driver
      open = { driver }
    }

    /// Creates a source that is opened when it is first needed, and again later if that fails.
    ///
    /// - Parameters:
    ///   - name: The name until the database is open; from then on, the driver's name.
    ///   - open: Opens the database. If it takes longer than a call's timeout, the call continues without it.
    public init(_ name: String, open: @escaping @Sendable () async throws(QudoError) -> any Driver) {
      self.name = name
      driver = nil
      self.open = open
    }
  }

  /// The single driver, which is called directly and is not monitored; nil with several databases.
  package let only: (any Driver)?
  let members: [DatabaseMember]
  let options: DatabaseOptions

  /// Creates databases from one driver, which is called directly: only its own timeout applies, and it is
  /// never skipped as unavailable.
  public init(_ driver: any Driver) {
    only = driver
    options = DatabaseOptions()
    members = []
  }

  /// Creates several databases, or one that is monitored.
  ///
  /// - Parameters:
  ///   - sources: The databases, in order. Their names must differ, because they are part of the jobs' ids.
  ///   - options: How the queue uses the databases.
  /// - Throws: ``QudoError/Code/invalidArgument`` if there is no database, if two have the same name, or if
  ///   an option is out of range.
  public init(_ sources: [Source], options: DatabaseOptions = DatabaseOptions()) throws(QudoError) {
    guard !sources.isEmpty else {
      throw QudoError(.invalidArgument, "the list of databases is empty: give at least one")
    }
    try options.check()
    let names = Locked<[Int: String]>([:])
    for (index, source) in sources.enumerated() {
      guard !sources[..<index].contains(where: { $0.name == source.name }) else {
        throw QudoError(
          .invalidArgument, "two databases have the name \(source.name): rename one, names identify jobs")
      }
      if let driver = source.driver { names.withLock { $0[index] = driver.name } }
    }
    only = nil
    self.options = options
    members = sources.enumerated().map { index, source in
      DatabaseMember(index, source, options) { name, owner in
        names.withLock { names in
          if names.contains(where: { $0.value == name && $0.key != owner }) { return true }
          names[owner] = name
          return false
        }
      }
    }
  }

  /// The same databases; a single one as a monitored one.
  var watched: Databases {
    get throws(QudoError) { if let only { try Databases([Source(only)]) } else { self } }
  }

  /// The names of the databases, in order.
  public var names: [String] { only.map { [$0.name] } ?? members.map(\.name) }

  /// The drivers of the databases that are open.
  package var opened: [any Driver] { only.map { [$0] } ?? members.compactMap(\.driver) }

  /// The drivers of all databases, opened if necessary.
  ///
  /// - Throws: ``QudoError`` if a database is unavailable.
  package func drivers() async throws(QudoError) -> [any Driver] {
    if let only { return [only] }
    var drivers: [any Driver] = []
    for member in members { drivers.append(try await member.ready(until: end(options.callTimeout))) }
    return drivers
  }

  /// Closes all open databases. Later calls throw ``QudoError/Code/closed``.
  public func close() async {
    await only?.close()
    for member in members { await member.close() }
  }

  /// The time since the boot, in microseconds, at which a call ends that may take `duration` from now.
  func end(_ duration: Duration) -> Int64 {
    let (end, isTooLate) = options.clock.sinceBoot().addingReportingOverflow(duration.wholeMicroseconds)
    return isTooLate ? .max : end
  }
}
