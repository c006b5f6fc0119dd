import GRDB
import Qudo
import QudoSQLite

/// An application with its own tables in the same file: an order and the job that confirms it are stored together or not at
/// all, and the confirmation is written down and its job completed together or not at all.
///
///     shop [DATABASE]
@main
struct Shop {
  static func main() async throws {
    let path = CommandLine.arguments.dropFirst().first ?? "shop.db"
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { try SQLiteDriver.prepareConnection($0.sqliteConnection) }
    let pool = try DatabasePool(path: path, configuration: configuration)
    try await pool.write { db in
      try db.create(table: "purchase", ifNotExists: true) { table in
        table.autoIncrementedPrimaryKey("id")
        table.column("item", .text).notNull()
        table.column("confirmed", .boolean).notNull().defaults(to: false)
      }
    }
    let driver = try SQLiteDriver(path: path)
    let queue = Queue(driver)

    try await order("lamp", pool, queue)
    do { try await order("unicorn", pool, queue) } catch { print("refused: \(error)") }

    let confirmations = JobHandler(ConfirmPurchase.self) { job, context in
      try await pool.write { db in
        try Purchase.filter(id: job.purchase).updateAll(db, Column("confirmed").set(to: true))
        try context.complete(in: db.sqliteConnection)
      }
    }
    try await Worker(queue, handlers: [confirmations]).workUntilEmpty()

    let purchases = try await pool.read { try Purchase.fetchAll($0) }
    for purchase in purchases { print("\(purchase.item): \(purchase.confirmed ? "confirmed" : "open")") }
    await driver.close()
  }

  static func order(_ item: String, _ pool: DatabasePool, _ queue: Queue<NoHooks>) async throws {
    try await pool.write { db in
      try Purchase(item: item).insert(db)
      try queue.enqueue(ConfirmPurchase(purchase: db.lastInsertedRowID), in: db.sqliteConnection)
      // The order and its job go together.
      if item == "unicorn" { throw OutOfStock(item: item) }
    }
  }
}

struct Purchase: Codable, Identifiable, FetchableRecord, PersistableRecord {
  var id: Int64?
  var item: String
  var confirmed = false
}

struct OutOfStock: Error, CustomStringConvertible {
  let item: String
  var description: String { "\(item) is out of stock" }
}

/// Performed by the handler in `main`, which has the pool.
struct ConfirmPurchase: Job {
  static let kind: Kind = "purchase.confirm"
  var purchase: Int64

  func perform(_ context: JobContext) async throws { try context.abort("needs the application's database") }
}
