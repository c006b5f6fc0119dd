import Foundation
import GRDB
import Qudo
import QudoSQLite
import Testing

/// GRDB's observations of the application's tables, with jobs that are enqueued in between.
@Suite struct ObservationTests {
  let app: AppFile
  var queue: Queue<NoHooks> { app.queue }

  init() throws { app = try AppFile() }

  private func write(_ name: String) async throws {
    try await app.pool.write { [queue] db in
      try queue.enqueue(greet("before"), in: db.sqliteConnection)
      try Customer(name: name).insert(db)
      try queue.enqueue(greet("after"), in: db.sqliteConnection)
    }
  }

  /// The time limit is only there so that a value that never comes fails the test.
  @Test(.timeLimit(.minutes(1))) func aValueObservationSeesEachCommit() async throws {
    let observation = ValueObservation.tracking { try Customer.fetchCount($0) }.removeDuplicates()
    var values = observation.values(in: app.pool).makeAsyncIterator()
    #expect(try await values.next() == 0)
    for round in 1...3 {
      try await write("\(round)")
      #expect(try await values.next() == round)
    }
  }

  @Test func aRegionObservationHearsOfEachCommit() async throws {
    let log = Notes()
    let observation = DatabaseRegionObservation(tracking: Customer.all())
    let cancellable = observation.start(
      in: app.pool, onError: { log.add("\($0)") }, onChange: { _ in log.add("change") })
    try await write("Ada")
    try await app.pool.write { [queue] db in _ = try queue.enqueue(greet("alone"), in: db.sqliteConnection) }
    try await write("Grace")
    #expect(log.all == ["change", "change"])
    cancellable.cancel()
  }

  @Test("A transaction observer hears of the application's rows, and of commits and rollbacks")
  func observerHearsOfRowsAndEnds() async throws {
    let observer = Observer()
    app.pool.add(transactionObserver: observer)
    try await write("Ada")
    await #expect(throws: Broken.self) {
      try await app.pool.write { [queue] db in
        try Customer(name: "Grace").insert(db)
        try queue.enqueue(greet("x"), in: db.sqliteConnection)
        throw Broken()
      }
    }
    try await app.pool.write { [queue] db in
      try db.inSavepoint {
        try Customer(name: "Barbara").insert(db)
        try queue.enqueue(greet("x"), in: db.sqliteConnection)
        return .rollback
      }
      try db.inSavepoint {
        try Customer(name: "Katherine").insert(db)
        try queue.enqueue(greet("x"), in: db.sqliteConnection)
        return .commit
      }
    }
    #expect(observer.notes.all == ["customer", "commit", "customer", "rollback", "customer", "commit"])
  }

  /// As all changes that are made on the handle itself. Who wants to hear of them says so.
  @Test func qudosTablesAreObservedOnlyWhenGRDBIsTold() async throws {
    let observer = Observer()
    app.pool.add(transactionObserver: observer)
    try await app.pool.write { [queue] db in
      try queue.enqueue(greet("x"), in: db.sqliteConnection)
      try db.notifyChanges(in: Table("qudo_job"))
    }
    #expect(observer.notes.all == ["told", "commit"])
  }

  /// Of a commit that is not GRDB's own an observer hears only half; the next one is whole.
  @Test func observersOutliveACommitThatIsNotGRDBs() async throws {
    let observer = Observer()
    app.pool.add(transactionObserver: observer)
    try await app.pool.writeWithoutTransaction { [queue] db in
      _ = try queue.enqueue(greet("x"), in: db.sqliteConnection)
    }
    try await write("Ada")
    #expect(observer.notes.all == ["customer", "commit"])
  }
}

final class Notes: @unchecked Sendable {  // reason: behind a lock
  private let lock = NSLock()
  private var notes: [String] = []
  func add(_ note: String) { lock.withLock { notes.append(note) } }
  var all: [String] { lock.withLock { notes } }
}

private final class Observer: TransactionObserver, Sendable {
  let notes = Notes()
  func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }
  func databaseDidChange() { notes.add("told") }
  func databaseDidChange(with event: DatabaseEvent) { notes.add(event.tableName) }
  func databaseDidCommit(_ db: Database) { notes.add("commit") }
  func databaseDidRollback(_ db: Database) { notes.add("rollback") }
}
