internal import Qudo
public import QudoSQLite

/// Measures Qudo's public interface against raw SQLite with the fewest statements for the same work. The two
/// alternate on one disk.
public struct Bench: Sendable {
  public struct Settings: Sendable {
    public var durabilities: [SQLiteDriver.Durability] = [.full, .normal]
    /// The number of jobs per measurement; nil for each workload's default.
    public var jobs: Int?
    public var rounds = 3
    /// True to measure deeper backlogs and a longer soak.
    public var isLong = false
    /// The folder for the database files.
    public var folder: String
    /// Runs this program as a child process: as `qudo work` if that is the first argument, and otherwise as ``Child``.
    public var spawn: @Sendable (_ arguments: [String]) throws -> any ChildProcess

    public init(folder: String, spawn: @escaping @Sendable (_ arguments: [String]) throws -> any ChildProcess)
    {
      self.folder = folder
      self.spawn = spawn
    }
  }

  let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// Measures the workloads.
  ///
  /// - Parameter report: called with each line of the result as soon as it is measured.
  public func run(_ workloads: [Workload], report: (BenchLine) throws -> Void) async throws {
    for workload in workloads {
      for line in try await workload.measure(self) { try report(line) }
    }
  }

  /// Calls `body` with the path of a new database file, and deletes the file afterwards.
  func withFile<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = settings.folder + "/bench.db"
    removeDatabase(path)
    defer { removeDatabase(path) }
    return try await body(path)
  }

  /// Measures the floor and Qudo once per round. Which of them goes first alternates between rounds.
  func interleave(
    floor: (String) async throws -> Double, qudo: (String) async throws -> Double
  ) async throws -> [(floor: Double, qudo: Double)] {
    var rounds: [(floor: Double, qudo: Double)] = []
    for round in 0..<settings.rounds {
      if round.isMultiple(of: 2) {
        let below = try await withFile(floor)
        rounds.append((below, try await withFile(qudo)))
      } else {
        let above = try await withFile(qudo)
        rounds.append((try await withFile(floor), above))
      }
    }
    return rounds
  }
}

/// The workloads that the benchmark can measure.
public enum Workload: String, CaseIterable, Sendable {
  case enqueueOne = "enqueue-one"
  case enqueueManyCallers = "enqueue-many-callers"
  case enqueueBatch = "enqueue-batch"
  case claimSettleOne = "claim-settle-one"
  case drain
  case drainProcesses = "drain-processes"
  case deep
  case wake
  case rescue
  case crowd
  case soak
  case hooks
  case control
  case limits

  func measure(_ bench: Bench) async throws -> [BenchLine] {
    switch self {
    case .enqueueOne: try await bench.enqueueOne()
    case .enqueueManyCallers: try await bench.enqueueManyCallers()
    case .enqueueBatch: try await bench.enqueueBatch()
    case .claimSettleOne: try await bench.claimSettleOne()
    case .drain: try await bench.drain()
    case .drainProcesses: try await bench.drainProcesses()
    case .deep: try await bench.deep()
    case .wake: try await bench.wake()
    case .rescue: try await bench.rescue()
    case .crowd: try await bench.crowd()
    case .soak: try await bench.soak()
    case .hooks: try await bench.hooks()
    case .control: try await bench.control()
    case .limits: try await bench.limits()
    }
  }
}

/// A child process that runs this program, with pipes as its standard input and output.
public protocol ChildProcess: Sendable {
  /// Returns the next line of its output, or nil at the end.
  func line() async throws -> String?
  func write(_ line: String) async throws
  /// Closes its input and waits for its end.
  ///
  /// - Throws: an error unless it exits with status 0.
  func end() async throws
}
