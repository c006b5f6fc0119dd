internal import CSQLite
public import Qudo

/// Jobs in one SQLite file.
public struct SQLiteDriver: Driver {
  /// What a power cut may take.
  public enum Durability: String, Sendable, CaseIterable {
    /// An acknowledged enqueue or settle is on the disk. The default.
    case full
    /// A power cut may take the last commits; it never damages the file. A crash of the process takes nothing.
    case normal
    /// A power cut may damage the file. A crash of the process takes nothing.
    case off
  }

  public let name: String
  public let limits: Limits
  public let doorbell: Doorbell
  public let capabilities: Capabilities
  let writer: Writer
  let reader: Reader

  /// Opens the file, which is created unless `create` is false, and brings an older one up to this version.
  ///
  /// - Throws: ``QudoError`` with a code that says why the file cannot be used.
  public init(
    path: String, name: String? = nil, durability: Durability = .full, create: Bool = true, limits: Limits = Limits(),
    clock: any QueueClock = SystemClock()
  ) throws(QudoError) {
    let connection = try Opening.open(path: path, durability: durability, create: create)
    let turn = try Turn(path: connection.path)
    let now = clock.now()
    let (name, boot) = try turn.hold { () throws(QudoError) in
      try Opening.prepare(connection, name: name ?? Opening.stem(path), now: now)
    }
    self.name = name
    self.doorbell = Doorbell()
    self.capabilities = durability == .full
      ? [.durable, .survivesPowerLoss, .severalProcesses, .wakesOtherProcesses]
      : [.durable, .severalProcesses, .wakesOtherProcesses]
    self.writer = Writer(connection: connection, turn: turn, clock: clock, boot: boot)
    self.reader = Reader(path: connection.path, clock: clock, boot: boot)
    self.limits = limits
  }

  /// Waits for what was handed in; later calls throw ``QudoError/Code/closed``.
  public func close() async {
    await writer.close()
    await reader.close()
  }

  public func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    for job in jobs { try limits.check(job) }
    return try await writer.write { transaction throws(QudoError) in try transaction.insert(jobs) }
  }

  public func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    try await writer.write { transaction throws(QudoError) in try transaction.claim(request) }
  }

  public func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    for settlement in settlements {
      guard case .completed(let jobs) = settlement.outcome else { continue }
      for job in jobs { try limits.check(job) }
    }
    return try await writer.write { transaction throws(QudoError) in
      let results = try transaction.settle(settlements)
      guard let next else { return (results, nil) }
      return (results, try transaction.claim(next))
    }
  }

  public func extend(_ leases: [Lease], by duration: Duration) async throws(QudoError) -> [Lease?] {
    try await writer.write { transaction throws(QudoError) in try transaction.extend(leases, by: duration) }
  }

  public func promote(limit: Int) async throws(QudoError) -> Int {
    try await writer.write { transaction throws(QudoError) in try transaction.promote(limit: limit) }
  }

  public func find(_ query: JobQuery) async throws(QudoError) -> [StoredJob] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.find(query) }
  }

  public func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] {
    try await reader.read { snapshot throws(QudoError) in try snapshot.count(kinds) }
  }
}
