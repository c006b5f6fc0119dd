internal import Qudo
public import QudoSQLite

/// Measures Qudo through its public interface, and raw SQLite that does the least for the same work, in turns on one disk.
public struct Bench: Sendable {
  public struct Settings: Sendable {
    public var durabilities: [SQLiteDriver.Durability] = [.full, .normal]
    /// How many jobs a measurement is made of; nil for each workload's own number.
    public var jobs: Int?
    public var rounds = 3
    /// Deeper backlogs, longer soak.
    public var isLong = false
    /// Where the files are made.
    public var folder: String
    /// Runs this program as another process with such arguments.
    public var spawn: @Sendable (_ arguments: [String]) throws -> any ChildProcess

    public init(folder: String, spawn: @escaping @Sendable (_ arguments: [String]) throws -> any ChildProcess)
    {
      self.folder = folder
      self.spawn = spawn
    }
  }

  let settings: Settings

  public init(_ settings: Settings) { self.settings = settings }

  /// - Parameter report: hears of each line as soon as it is there.
  public func run(_ workloads: [Workload], report: (BenchLine) throws -> Void) async throws {
    for workload in workloads {
      for line in try await workload.measure(self) { try report(line) }
    }
  }

  /// The database files of one measurement, which are not there when it begins, and go when it ends.
  func withFile<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = settings.folder + "/bench.db"
    removeDatabase(path)
    defer { removeDatabase(path) }
    return try await body(path)
  }

  /// As often as there are rounds: the floor's figure, and Qudo's. Which of them goes first changes from round to round.
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

/// What can be measured.
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
    }
  }
}

/// Another process of this program, whose standard input and output are pipes.
public protocol ChildProcess: Sendable {
  /// The next line of its output; nil at the end.
  func line() async throws -> String?
  func write(_ line: String) async throws
  /// Waits for its end.
  ///
  /// - Throws: unless it exits with 0.
  func end() async throws
}
