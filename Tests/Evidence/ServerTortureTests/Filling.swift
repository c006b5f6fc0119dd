#if MySQL
import MariaDBServer
import Qudo
import QudoMySQL

/// Jobs of the lowest priority, of which there are always some, so that the workers are always busy and each claim is filled: then
/// nothing that a claim has passed is found by chance.
///
/// They come from the test itself, which does not go through the proxy.
struct Filling: Sendable {
  private static let priority = -9
  static let ranking = -priority
  private static let most = 300
  private let driver: MySQLDriver
  private let place: TorturedServer

  init(_ place: TorturedServer) throws {
    self.place = place
    driver = try MySQLDriver(DatabaseURL(parsing: place.server.url(place.database)))
  }

  /// - Parameter round: of the caller's, each time another one.
  /// - Returns: the names of the jobs that were acknowledged.
  func fill(_ session: ServerSession, round: Int) throws -> [String] {
    let rest =
      try session.rows("SELECT COUNT(*) FROM qudo_ready WHERE ranking = \(Self.ranking)").first.flatMap {
        Int($0[0])
      } ?? 0
    guard rest < Self.most else { return [] }
    let names = (rest..<Self.most).map { "\(place.name)-\(round)-\($0)" }
    return try awaited { [driver] in
      _ = try await driver.insert(
        names.map { NewJob("torture", payload: Payload("\($0):fills"), priority: Self.priority) })
      return names
    }
  }

  func close() throws { try awaited { [driver] in await driver.close() } }
}
#endif
