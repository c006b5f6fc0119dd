#if MySQL
internal import Qudo
public import QudoMySQL

/// Measures Qudo's public interface on a server against raw libmariadb with the fewest statements for the
/// same work. The two alternate.
public struct ServerBench: Sendable {
  public struct Settings: Sendable {
    /// The server, with a database that has no tables of Qudo. The benchmark removes the tables that it
    /// creates.
    public var server: DatabaseServer
    /// The number of jobs per measurement; nil for each workload's default.
    public var jobs: Int?
    public var rounds = 3
    /// The folder in which child processes log their jobs.
    public var folder: String
    /// Runs this program as a child process with these arguments.
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

  /// The workloads that apply to a server.
  public static let workloads: [Workload] = [
    .enqueueOne, .enqueueBatch, .claimSettleOne, .drain, .drainProcesses, .deep,
  ]

  /// Facts that the server reports about itself.
  public struct Server: Sendable {
    public let version: String
    /// The settings that can lose acknowledged commits in a power cut.
    public let losesOnPowerCut: [String]
  }

  static let floorName = "raw MariaDB"

  let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Marks the database as in use.
  ///
  /// - Throws: ``BenchFailure``, also for a database that has tables of Qudo or of a benchmark.
  public func start() throws -> Server {
    let raw = try RawServer(settings.server)
    try ServerTables(raw).begin()
    return Server(version: raw.facts.version, losesOnPowerCut: raw.facts.losesOnPowerCut)
  }

  /// Drops the tables that ``start()`` and the workloads created.
  public func end() throws { try ServerTables(RawServer(settings.server)).end() }

  /// Measures a workload. Call this between ``start()`` and ``end()``.
  ///
  /// - Parameter report: called with each line of the result as soon as it is measured.
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
      default: throw BenchFailure("\(workload.rawValue) cannot be measured on a server")
      }
    for line in lines { try report(line) }
  }

  /// Measures the floor and Qudo once per round, each with new tables. Which of them goes first alternates
  /// between rounds.
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

  /// Drops all tables before and after `body`.
  func withNewTables<Result>(_ body: () async throws -> Result) async throws -> Result {
    let tables = ServerTables(try RawServer(settings.server))
    try tables.drop()
    let result = try await body()
    // Use a new connection: this one may have exceeded the server's idle timeout.
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
