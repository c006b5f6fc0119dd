public import Qudo

/// The subject of a conformance case: one fresh database, and the clock of all its connections.
public struct ConformanceSubject: Sendable {
  /// The clock that the driver must use.
  public let clock: ManualClock
  private let opener: @Sendable (ManualClock) async throws -> any LogDriver
  private let opened = Locked<[any LogDriver]>([])

  /// - Parameters:
  ///   - clock: the clock of all connections.
  ///   - open: opens the subject's database with that clock. The first call must create an empty database.
  ///     Further calls open a second connection, if the driver declares `Capabilities.multiProcess`, and
  ///     reopen the database after all connections were closed, if it declares `Capabilities.durable`.
  public init(
    clock: ManualClock = ManualClock(), open: @escaping @Sendable (ManualClock) async throws -> any LogDriver
  ) {
    self.clock = clock
    opener = open
  }

  /// Opens a connection to the subject's database. The end of the case closes it.
  public func open() async throws -> any LogDriver {
    let driver = try await opener(clock)
    opened.withLock { $0.append(driver) }
    return driver
  }

  /// Opens two connections if the driver supports them, or else returns the same one twice.
  func openTwo() async throws -> (any LogDriver, any LogDriver) {
    let first = try await open()
    guard first.capabilities.contains(.multiProcess) else { return (first, first) }
    return (first, try await open())
  }

  func closeAll() async {
    let drivers = opened.withLock { drivers in
      defer { drivers = [] }
      return drivers
    }
    for driver in drivers { await driver.close() }
  }
}
