import Foundation
import GRDB
import Qudo
import QudoSQLite
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// Qudo's tables and the application's, written in one transaction of GRDB's.
@Suite struct TransactionTests {
  let app: AppFile
  var queue: Queue<NoHooks> { app.queue }
  var driver: SQLiteDriver { app.driver }

  init() throws { app = try AppFile() }

  #if os(Linux)
  /// Two copies of SQLite would damage the file: POSIX locks belong to the process.
  @Test func thereIsOneCopyOfSQLite() async throws {
    let file = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
    let maps = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ")
    }
    let libraries = Set(maps.compactMap(\.last).filter { $0.contains("sqlite3") })
    #expect(libraries.count == 1, "\(libraries)")
    // Nor is one linked into the tests themselves: the function lies in the library.
    let function = UInt(bitPattern: try #require(dlsym(nil, "sqlite3_open_v2")))
    let place = maps.first { line in
      let ends = line[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      return ends.count == 2 && (ends[0]..<ends[1]).contains(function)
    }
    #expect(place?.last == libraries.first)
    let version = try await app.pool.read { try String.fetchOne($0, sql: "SELECT sqlite_version()") }
    #expect(version == SQLiteDriver.libraryVersion)
  }
  #endif

  @Test func bothAreCommittedTogether() async throws {
    let results = try await app.pool.write { [queue] db in
      try Customer(name: "Ada").insert(db)
      return try queue.enqueue([greet("Ada"), greet("Grace")], in: db.sqliteConnection)
    }
    #expect(
      results == [.inserted(JobID(database: "app", number: 1)), .inserted(JobID(database: "app", number: 2))])
    #expect(try await app.names("customer") == ["Ada"])
    #expect(try await driver.claim(everything).texts == ["Ada", "Grace"])
  }

  @Test func bothAreRolledBackTogether() async throws {
    await #expect(throws: Broken.self) {
      try await app.pool.write { [queue] db in
        try Customer(name: "Ada").insert(db)
        try queue.enqueue(greet("Ada"), in: db.sqliteConnection)
        throw Broken()
      }
    }
    #expect(try await app.names("customer") == [])
    #expect(try await driver.count() == [])
    #expect(try await driver.insert([greet("x")]) == [.inserted(1)])
  }

  @Test func aSavepointThatIsRolledBackTakesItsJobsAlong() async throws {
    try await app.pool.write { [queue] db in
      try queue.enqueue(greet("before"), in: db.sqliteConnection)
      try db.inSavepoint {
        try Customer(name: "Ada").insert(db)
        try queue.enqueue(greet("inside"), in: db.sqliteConnection)
        try db.inSavepoint {
          try queue.enqueue(greet("further inside"), in: db.sqliteConnection)
          return .commit
        }
        return .rollback
      }
      try db.inSavepoint {
        try queue.enqueue(greet("after"), in: db.sqliteConnection)
        return .commit
      }
    }
    #expect(try await app.names("customer") == [])
    #expect(try await driver.claim(everything).texts == ["before", "after"])
  }

  @Test func aRefusedBatchLeavesTheTransactionAsItWas() async throws {
    try await app.pool.write { [queue] db in
      try Customer(name: "Ada").insert(db)
      #expect(throws: QudoError.self) {
        try queue.enqueue([greet("x"), NewJob("")], in: db.sqliteConnection)
      }
      #expect(db.isInsideTransaction)
      #expect(db.lastInsertedRowID == 1)
    }
    #expect(try await app.names("customer") == ["Ada"])
    #expect(try await driver.count() == [])
  }

  @Test func withoutATransactionOfGRDBsTheBatchIsOne() async throws {
    try await app.pool.writeWithoutTransaction { [queue] db in
      try queue.enqueue([greet("1"), greet("2")], in: db.sqliteConnection)
      #expect(!db.isInsideTransaction)
      try db.inTransaction {
        try Customer(name: "Ada").insert(db)
        return .commit
      }
    }
    #expect(try await driver.claim(everything).texts == ["1", "2"])
    #expect(try await app.names("customer") == ["Ada"])
  }

  @Test func aReaderIsRefused() async throws {
    let error = await #expect(throws: QudoError.self) {
      try await app.pool.read { [queue] db in _ = try queue.enqueue(greet("x"), in: db.sqliteConnection) }
    }
    #expect(error?.code == .readOnly)
  }

  /// The driver's commits and GRDB's, at the same time: each waits for the other.
  @Test func bothMayWriteAtTheSameTime() async throws {
    let pool = app.pool
    try await withThrowingTaskGroup { [queue, driver] group in
      for number in 0..<50 {
        group.addTask { _ = try await driver.insert([greet("driver \(number)")]) }
        group.addTask {
          try await pool.write { db in
            try Customer(name: "\(number)").insert(db)
            try queue.enqueue(greet("application \(number)"), in: db.sqliteConnection)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await driver.count() == [JobCount("greet", ready: 100)])
    #expect(try await app.names("customer").count == 50)
    let check = try await pool.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") }
    #expect(check == "ok")
  }
}
