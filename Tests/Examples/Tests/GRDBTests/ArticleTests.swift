import Foundation
import GRDB
import Qudo
import QudoSQLite
import Testing

/// The lines with GRDB of the article on the application's own transaction; `YourTransactionTests` compares them.
@Suite struct ArticleTests {
  let app: AppFile

  init() throws { app = try AppFile() }

  @Test func aCustomerIsStoredAndGreetedOnce() async throws {
    let path = app.path
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { db in
      try SQLiteDriver.prepareConnection(db.sqliteConnection)
    }
    let pool = try DatabasePool(path: path, configuration: configuration)
    let queue = Queue(try SQLiteDriver(path: path))

    try await pool.write { db in
      try Customer(name: "Ada").insert(db)
      try queue.enqueue(Greeting(name: "Ada"), in: db.sqliteConnection)
    }
    let handler = JobHandler(Greeting.self) { greeting, context in
      try await pool.write { db in
        try Greeted(name: greeting.name).insert(db)
        try context.complete(in: db.sqliteConnection)
      }
    }
    let summary = try await Worker(queue, handlers: [handler]).workUntilEmpty()
    #expect(summary.completed == 1 && summary.leaseLost == 0)
    #expect(try await app.names("customer") == ["Ada"])
    #expect(try await app.names("greeted") == ["Ada"])
  }

  @Test func aRunWhoseLeaseIsLostLeavesNothing() async throws {
    let (pool, queue) = (app.pool, app.queue)
    try await queue.enqueue(Greeting(name: "Ada"))
    let handler = JobHandler(Greeting.self) { [driver = app.driver] greeting, context in
      // As after a lease that somebody else has taken over and completed.
      _ = try await driver.settle([Settlement(context.job.lease, .completed())], claiming: nil)
      try await pool.write { db in
        try Greeted(name: greeting.name).insert(db)
        try context.complete(in: db.sqliteConnection)
      }
    }
    let summary = try await Worker(queue, handlers: [handler]).workUntilEmpty()
    #expect(summary.completed == 0 && summary.leaseLost == 1)
    #expect(try await app.names("greeted") == [])
  }
}
