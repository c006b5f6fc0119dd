/// Where a queue's jobs are: one database, or several of which each is as good as the other.
///
///     let databases = try Databases([
///       Databases.Source("local") { () async throws(QudoError) in try SQLiteDriver(path: "local.db") },
///       Databases.Source("far") { () async throws(QudoError) in try SQLiteDriver(path: "/mnt/disk/far.db") },
///     ])
///     let queue = Queue(databases)
///
/// What happens when one of them fails is in <doc:SeveralDatabases>. Copies of a queue share it, and with it what is known of
/// the databases' health.
public final class Databases: Sendable {
  /// A database and how to open it.
  public struct Source: Sendable {
    /// What it is called until it is open.
    public let name: String
    let driver: (any Driver)?
    let open: DatabaseMember.Opener

    /// One that is open.
    public init(_ driver: any Driver) {
      name = driver.name
      self.driver = driver
      open = { driver }
    }

    /// One that is opened when it is first needed, and again later if that fails.
    ///
    /// - Parameters:
    ///   - name: what it is called until it is open; from then on it has the driver's name.
    ///   - open: opens it. It may take longer than the deadline of a call: the call goes on without it.
    public init(_ name: String, open: @escaping @Sendable () async throws(QudoError) -> any Driver) {
      self.name = name
      driver = nil
      self.open = open
    }
  }

  /// The only one, which is not watched: its driver waits and fails for itself. Nil where there are several.
  package let only: (any Driver)?
  let members: [DatabaseMember]
  let options: DatabaseOptions

  /// One database, whose driver is called without anything in between: no deadline but the driver's own, nothing is set aside.
  public init(_ driver: any Driver) {
    only = driver
    options = DatabaseOptions()
    members = []
  }

  /// Several, or one whose trouble is to be watched.
  ///
  /// - Parameters:
  ///   - sources: the databases, in order. No two may have the same name: jobs are named by it.
  ///   - options: how they are used.
  /// - Throws: ``QudoError/Code/invalidArgument`` without a database, for two of one name, and for options that make no sense.
  public init(_ sources: [Source], options: DatabaseOptions = DatabaseOptions()) throws(QudoError) {
    guard !sources.isEmpty else { throw QudoError(.invalidArgument, "a queue needs a database") }
    try options.check()
    let names = Locked<[Int: String]>([:])
    for (index, source) in sources.enumerated() {
      guard !sources[..<index].contains(where: { $0.name == source.name }) else {
        throw QudoError(.invalidArgument, "two databases have the name \(source.name), by which jobs are named: give one of them another")
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

  /// The only one, as one that is watched.
  var watched: Databases {
    get throws(QudoError) { if let only { try Databases([Source(only)]) } else { self } }
  }

  /// What they are called, in order.
  public var names: [String] { only.map { [$0.name] } ?? members.map(\.name) }

  /// The drivers of those that are open.
  package var opened: [any Driver] { only.map { [$0] } ?? members.compactMap(\.driver) }

  /// The drivers of all.
  ///
  /// - Throws: ``QudoError`` when one of them cannot be used.
  package func drivers() async throws(QudoError) -> [any Driver] {
    if let only { return [only] }
    var drivers: [any Driver] = []
    for member in members { drivers.append(try await member.ready(until: end(options.callTimeout))) }
    return drivers
  }

  /// Closes all that are open; later calls throw ``QudoError/Code/closed``.
  public func close() async {
    await only?.close()
    for member in members { await member.close() }
  }

  /// So long from now.
  func end(_ duration: Duration) -> Int64 {
    let (end, isTooLate) = options.clock.sinceBoot().addingReportingOverflow(duration.wholeMicroseconds)
    return isTooLate ? .max : end
  }
}
