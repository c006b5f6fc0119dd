#if MySQL
public import Qudo
internal import QudoMySQL

/// Measures Qudo on a server through its public interface, and raw libmariadb that does the least for the same work, in turns.
public struct ServerBench: Sendable {
  public struct Settings: Sendable {
    /// With a database that is empty of Qudo's tables; it is so again afterwards.
    public var server: DatabaseServer
    /// How many jobs a measurement is made of; nil for each workload's own number.
    public var jobs: Int?
    public var rounds = 3
    /// Where processes leave what they have done.
    public var folder: String
    /// Runs this program as another process with such arguments.
    public var spawn: @Sendable (_ arguments: [String]) throws -> any ChildProcess

    public init(
      _ server: DatabaseServer, folder: String,
      spawn: @escaping @Sendable (_ arguments: [String]) throws -> any ChildProcess
    ) {
      self.server = server
      self.folder = folder
      self.spawn = spawn
    }
  }

  /// Those that make sense with a server.
  public static let workloads: [Workload] = [
    .enqueueOne, .enqueueBatch, .claimSettleOne, .drain, .drainProcesses, .deep,
  ]

  /// What a server said about itself.
  public struct Server: Sendable {
    public let version: String
    /// The settings that let a power cut take what was acknowledged.
    public let losesOnPowerCut: [String]
  }

  static let floorName = "raw MariaDB"

  let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Marks the database as being used.
  ///
  /// - Throws: ``BenchFailure`` for a database that has tables of Qudo or of a benchmark, too.
  public func start() throws -> Server {
    let raw = try RawServer(settings.server)
    try ServerTables(raw).begin()
    return Server(version: raw.facts.version, losesOnPowerCut: raw.facts.losesOnPowerCut)
  }

  /// Drops what ``start()`` and the workloads made.
  public func end() throws { try ServerTables(RawServer(settings.server)).end() }

  /// To be called between ``start()`` and ``end()``.
  ///
  /// - Parameter report: hears of each line as soon as it is there.
  public func run(_ workload: Workload, report: (BenchLine) throws -> Void) async throws {
    let lines: [BenchLine] =
      switch workload {
      case .enqueueOne: try await enqueue(Workload.enqueueOne.rawValue, settings.jobs ?? 20_000, batch: 1)
      case .enqueueBatch:
        try await enqueue(Workload.enqueueBatch.rawValue, settings.jobs ?? 100_000, batch: 1000)
      case .claimSettleOne:
        try await claimSettle(Workload.claimSettleOne.rawValue, settings.jobs ?? 10_000, batch: 1)
          + claimSettle("claim-settle-batch", settings.jobs ?? 50_000, batch: 1000)
      case .drain: try await drain(processes: 1)
      case .drainProcesses: try await drain(processes: 4)
      case .deep: try await deep()
      default: throw BenchFailure("\(workload.rawValue) is not measured on servers")
      }
    for line in lines { try report(line) }
  }

  /// As often as there are rounds: the floor's figure, and Qudo's, each with tables that are new. Which of them goes first
  /// changes from round to round.
  func interleave(
    floor: (MariaDBFloor) async throws -> Double, qudo: (MySQLDriver) async throws -> Double
  ) async throws -> [(floor: Double, qudo: Double)] {
    func below() async throws -> Double {
      try await withNewTables {
        let connection = try MariaDBFloor(settings.server)
        try connection.makeTables()
        return try await floor(connection)
      }
    }
    func above() async throws -> Double { try await withNewTables { try await withDriver(qudo) } }
    var rounds: [(floor: Double, qudo: Double)] = []
    for round in 0..<settings.rounds {
      if round.isMultiple(of: 2) {
        let below = try await below()
        rounds.append((below, try await above()))
      } else {
        let above = try await above()
        rounds.append((try await below(), above))
      }
    }
    return rounds
  }

  /// Drops all tables before and after; what `body` makes is gone then.
  func withNewTables<Result>(_ body: () async throws -> Result) async throws -> Result {
    let tables = ServerTables(try RawServer(settings.server))
    try tables.drop()
    let result = try await body()
    // A new connection: this one may have been idle for longer than the server bears.
    try ServerTables(RawServer(settings.server)).drop()
    return result
  }

  func withDriver<Result>(_ body: (MySQLDriver) async throws -> Result) async throws -> Result {
    let driver = try MySQLDriver(settings.server)
    do {
      try await driver.connect()
      let result = try await body(driver)
      await driver.close()
      return result
    } catch {
      await driver.close()
      throw error
    }
  }
}
#endif
