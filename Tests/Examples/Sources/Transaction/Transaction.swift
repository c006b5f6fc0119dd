import GRDB
import Qudo
import QudoSQLite

/// Stores a row and enqueues its job in one transaction: both are there, or neither.
@main
struct Transaction {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/transaction.db"
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { try SQLiteDriver.prepareConnection($0.sqliteConnection) }
    let pool = try DatabasePool(path: path, configuration: configuration)
    try await pool.write {
      try $0.execute(sql: "CREATE TABLE customer(name TEXT, age INTEGER CHECK(age >= 18))")
    }
    let queue = Queue(try SQLiteDriver(path: path))

    for (name, age) in [("Ada", 36), ("Tim", 12)] {
      do {
        try await pool.write { db in
          try queue.enqueue(Greet(name: name), in: db.sqliteConnection)
          try db.execute(sql: "INSERT INTO customer VALUES(?, ?)", arguments: [name, age])
        }
      } catch {
        print("\(name) is refused")
      }
    }
    try await Worker(queue, handlers: [Greet.self]).workUntilEmpty()
    print("customers: \(try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM customer") })")
    await queue.close()
  }
}

struct Greet: Job {
  static let kind: Kind = "greet"
  var name: String

  func perform(_ context: JobContext) async throws { print("hello, \(name)") }
}

// Output:
// Tim is refused
// hello, Ada
// customers: ["Ada"]
