import Foundation
import GRDB
import Qudo
import QudoSQLite

/// An application's file with its own tables, opened by GRDB, with a queue in it.
final class AppFile: Sendable {
  let folder: URL
  let path: String
  let pool: DatabasePool
  let driver: SQLiteDriver

  var queue: Queue<NoHooks> { Queue(driver) }

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-grdb-\(UUID().uuidString)")
    path = folder.appendingPathComponent("app.db").path
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { db in try SQLiteDriver.prepareConnection(db.sqliteConnection) }
    pool = try DatabasePool(path: path, configuration: configuration)
    try pool.write { db in
      try db.create(table: "customer") { $0.primaryKey("name", .text) }
      try db.create(table: "greeted") { $0.primaryKey("name", .text) }
    }
    driver = try SQLiteDriver(path: path, durability: .normal)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The names in one of the application's tables.
  func names(_ table: String) async throws -> [String] {
    try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM \(table) ORDER BY name") }
  }
}

struct Customer: Codable, FetchableRecord, PersistableRecord {
  var name: String
}

struct Greeted: Codable, PersistableRecord {
  var name: String
}

struct Greeting: Job {
  static let kind: Kind = "greet"
  var name: String
  func perform(_ context: JobContext) async throws {}
}

func greet(_ name: String) -> NewJob { NewJob("greet", payload: Payload(name)) }

extension Claim {
  var texts: [String] { jobs.map { String(decoding: $0.payload.bytes, as: UTF8.self) } }
}

let everything = ClaimRequest([.init("greet")], limit: 100)

struct Broken: Error {}
