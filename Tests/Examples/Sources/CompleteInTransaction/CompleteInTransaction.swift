import GRDB
import Qudo
import QudoSQLite

/// Completes a job in the transaction that writes its effect, so that the effect happens exactly once.
@main
struct CompleteInTransaction {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/complete.db"
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { try SQLiteDriver.prepareConnection($0.sqliteConnection) }
    let pool = try DatabasePool(path: path, configuration: configuration)
    try await pool.write {
      try $0.execute(sql: "CREATE TABLE account(name TEXT PRIMARY KEY, cents INTEGER NOT NULL)")
    }

    let queue = Queue(try SQLiteDriver(path: path))
    try await queue.enqueue([Deposit(to: "ada", cents: 500), Deposit(to: "ada", cents: 250)])

    let deposits = JobHandler(Deposit.self) { deposit, context in
      try await pool.write { db in
        try db.execute(
          sql: "INSERT INTO account VALUES(?, ?) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents",
          arguments: [deposit.to, deposit.cents])
        // If another worker has the job by now, this throws, and the deposit is rolled back.
        try context.complete(in: db.sqliteConnection)
      }
    }
    print("completed \(try await Worker(queue, handlers: [deposits]).workUntilEmpty().completed)")
    let cents = try await pool.read {
      try Int.fetchOne($0, sql: "SELECT cents FROM account WHERE name = 'ada'")
    }
    print("ada has \(cents ?? 0) cents")
    await queue.close()
  }
}

/// Performed by the handler in `main`, which has the application's database.
struct Deposit: Job {
  static let kind: Kind = "deposit"
  var to: String
  var cents: Int
  func perform(_ context: JobContext) async throws { try context.abort("needs the application's database") }
}

// Output:
// completed 2
// ada has 750 cents
