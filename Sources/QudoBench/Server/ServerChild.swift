#if MySQL
internal import Qudo
internal import QudoMySQL

extension Child {
  /// Drains a server for a while, with Qudo or with the floor.
  ///
  /// The URL comes from standard input, since any user of the machine can read arguments.
  static func drainServer(_ arguments: [String], _ say: @escaping @Sendable (String) throws -> Void)
    async throws
  {
    guard arguments.count == 4, let seconds = Double(arguments[2]), let line = readLine() else {
      throw BenchFailure("only the benchmark runs this command. Run qudo bench instead")
    }
    guard case .mysql(let server) = try DatabaseURL(parsing: line).place else {
      throw BenchFailure("the URL is not that of a server")
    }
    switch arguments[1] {
    case "qudo":
      let driver = try MySQLDriver(server)
      try await driver.connect()
      try await drain(Queue(driver), seconds, log: arguments[3], say)
      await driver.close()
    case "floor": try drainFloor(try MariaDBFloor(server), .seconds(seconds), log: arguments[3], say)
    default: throw BenchFailure("unknown side \(arguments[1])")
    }
  }

  private static func drainFloor(
    _ floor: MariaDBFloor, _ span: Duration, log: String, _ say: (String) throws -> Void
  ) throws {
    try say("ready")
    guard readLine() == "go" else { return }
    let begin = ContinuousClock.now
    var ids: [Int64] = []
    while ContinuousClock.now - begin < span {
      let claimed = try floor.settleAndClaim(1000)
      if claimed.isEmpty { break }
      ids += claimed
    }
    try floor.settleAndClaim(0)
    let rate = Double(ids.count) / (ContinuousClock.now - begin).inSeconds
    try write(ids, to: log)
    try say("\(rate)")
  }
}
#endif
