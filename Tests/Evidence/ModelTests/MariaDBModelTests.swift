#if MySQL
import Evidence
import ForwardingDriver
import MariaDBServer
import Qudo
@testable import QudoMySQL
import QudoTesting
import Testing

/// The same on a real server, whose clock is the manual one.
@Suite struct MariaDBModelTests {
  @Test(.enabled(if: Evidence.isAsked)) func mariaDBAndTheModelAgree() async throws {
    try await agree(.mariaDB(), scripts: 10, steps: 500)
  }

  /// As if each claim that reads from the beginning took long. On one connection: what others do before a floor is found later.
  @Test(.enabled(if: Evidence.isAsked)) func mariaDBAndTheModelAgreeAboveFloors() async throws {
    try await agree(.mariaDBAboveFloors(), scripts: 10, steps: 500)
  }

  @Test(arguments: Evidence.arguments(Kept.all)) func mariaDBAgreesOnWhatWasFound(_ kept: Kept) async throws {
    _ = try await ModelCheck.mariaDB().run(kept.script(), comparingEvery: 1)
    _ = try await ModelCheck.mariaDBAboveFloors().run(kept.script(), comparingEvery: 1)
  }
}

extension ModelCheck {
  static func mariaDB() async throws -> ModelCheck { try await mariaDB("MariaDB") { driver, _, _ in driver } }

  static func mariaDBAboveFloors() async throws -> ModelCheck {
    try await mariaDB("MariaDB above floors") { SlowDriver($0, $1, $2) }
  }

  private static func mariaDB(
    _ name: String,
    _ wrapped: @escaping @Sendable (MySQLDriver, ManualClock, Locked<Timestamp>) -> any LogDriver
  ) async throws -> ModelCheck {
    let server = try await Servers.one.value
    return ModelCheck(name: name) { body in
      let name = try await server.makeDatabase()
      let url = try DatabaseURL(parsing: server.url(name))
      guard case .mysql(let place) = url.place else { throw QudoError(.invalidArgument, "no server") }
      let latest = Locked(Timestamp.earliest)
      let result = try await body(
        ConformanceSubject { clock in
          // On a busy machine, a client may pause for longer than the default.
          wrapped(
            try MySQLDriver(place, clock: { clock.now().wall }, idleTransactionTimeout: .seconds(60)), clock,
            latest)
        })
      try await server.query("DROP DATABASE \(name)")
      return result
    }
  }
}

/// A server that writes to the disk once a second only: the machine does not fail here.
private enum Servers {
  static let one = Task {
    try await MariaDBServer.start([
      "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync",
      "--sync-frm=0",
    ])
  }
}

/// The only connection, whose claims begin where the last ones came to. While the server's clock is set back there are no floors:
/// else jobs that come before them then are found some seconds later.
private struct SlowDriver: ForwardingDriver {
  private let inner: MySQLDriver
  private let clock: ManualClock
  /// Of the database, whose drivers come and go.
  private let latest: Locked<Timestamp>

  init(_ inner: MySQLDriver, _ clock: ManualClock, _ latest: Locked<Timestamp>) {
    (self.inner, self.clock, self.latest) = (inner, clock, latest)
  }

  var base: any LogDriver { inner }
  var capabilities: Capabilities { inner.capabilities.subtracting(.multiProcess) }

  private func slowDown() {
    let now = clock.now().wall
    let isSetBack = latest.withLock { latest in
      latest = max(latest, now)
      return now < latest
    }
    inner.pool.access.cursors.withLock { floors in
      guard !isSetBack else { return floors = ScanCursors(slow: .seconds(3600), leastWalk: .zero, trust: .zero) }
      if !floors.isOn {
        floors = ScanCursors(slow: .seconds(3600), leastWalk: .zero, trust: .zero)
        floors.turnOn(.now)
      }
    }
  }

  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim {
    slowDown()
    return try await inner.claim(request)
  }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) {
    slowDown()
    return try await inner.settle(settlements, claiming: next)
  }
}
#endif
