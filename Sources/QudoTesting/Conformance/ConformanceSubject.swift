public import Qudo

/// What a case is run on: one fresh database, and the clock that all of its connections go by.
public struct ConformanceSubject: Sendable {
  /// What the driver is to go by.
  public let clock: ManualClock
  private let opener: @Sendable (ManualClock) async throws -> any LogDriver
  private let opened = Locked<[any LogDriver]>([])

  /// - Parameters:
  ///   - clock: what all of its connections go by.
  ///   - open: opens the subject's database on that clock, which is made empty by the first call. It is called again for
  ///     a second connection, if the driver declares `Capabilities.multiProcess`, and after all were closed, if it
  ///     declares `Capabilities.durable`.
  public init(
    clock: ManualClock = ManualClock(), open: @escaping @Sendable (ManualClock) async throws -> any LogDriver
  ) {
    self.clock = clock
    opener = open
  }

  /// A connection to the subject's database. It is closed at the end of the case.
  public func open() async throws -> any LogDriver {
    let driver = try await opener(clock)
    opened.withLock { $0.append(driver) }
    return driver
  }

  /// Two connections where the driver can have them; else the same one twice.
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
