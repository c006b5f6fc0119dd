import CSQLite
import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// What the article on the application's own transaction shows; its lines with GRDB are in `Tests/Examples/Tests`.
@Suite struct YourTransactionTests {
  let my: Harness
  let app: AppConnection

  init() throws {
    my = try Harness()
    app = try AppConnection(my.file.path)
    try app.run("CREATE TABLE customer(name TEXT)")
  }

  @Test func jobsAreEnqueuedWithSQLiteItself() async throws {
    let (queue, connection) = (my.queue, app.handle)
    try SQLiteDriver.prepareConnection(connection)

    sqlite3_exec(connection, "BEGIN IMMEDIATE", nil, nil, nil)
    sqlite3_exec(connection, "INSERT INTO customer VALUES('Ada')", nil, nil, nil)
    try queue.enqueue(Greeting(name: "Ada"), in: connection)
    sqlite3_exec(connection, "COMMIT", nil, nil, nil)
    #expect(try await my.driver.claim(demand(9, "greet")).texts == [#"{"name":"Ada"}"#])
    #expect(try app.rows("SELECT name FROM customer") == ["Ada"])
  }

  private struct Library {
    let app: AppConnection
    func execute(_ sql: String) throws { try app.run(sql) }
    func execute(_ sql: String, _ values: [SQLValue]) throws {
      try #require(app.execute(sql, values) == SQLITE_DONE)
    }
  }

  @Test func jobsAreEnqueuedByAnotherLibrary() async throws {
    let library = Library(app: app)
    let enqueue = SQLiteEnqueueStatements()

    try library.execute("BEGIN IMMEDIATE")
    for statement in try enqueue.statements(for: Greeting(name: "Ada")) {
      try library.execute(statement.sql, statement.values)
    }
    try library.execute("COMMIT")
    #expect(try await my.driver.jobs(matching: JobQuery()).map(\.kind) == ["greet"])
  }

  @Test func theSwiftIsTheArticles() throws {
    let article = "Sources/QudoSQLite/QudoSQLite.docc/YourTransaction.md"
    let nested = ArticleText.place("Tests/Examples/Tests/GRDBTests/ArticleTests.swift")
    #expect(try ArticleText.untested(article, by: #filePath, nested, but: "path: path") == [])
  }
}
