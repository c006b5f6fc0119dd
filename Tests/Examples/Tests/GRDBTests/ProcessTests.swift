import Foundation
import GRDB
import Qudo
import QudoSQLite
import Testing

/// With other processes on the application's file.
@Suite struct ProcessTests {
  let app: AppFile
  var queue: Queue<NoHooks> { app.queue }
  var driver: SQLiteDriver { app.driver }

  init() throws { app = try AppFile() }

  @Test("A worker in another process wakes after the commit and not before")
  func otherProcessWakesAfterTheCommit() async throws {
    let worker = try Child("work", app.path)
    try worker.wait(for: "idle")
    for name in ["Ada", "Grace", "Barbara"] {
      try await app.pool.write { [queue] db in
        try queue.enqueue(greet(name), in: db.sqliteConnection)
        try Customer(name: name).insert(db)
        #expect(!worker.hasSaid("ran"))
      }
      // It sees what was committed with the job.
      try worker.wait(for: "ran \(name), customers 1")
    }
  }

  @Test func aWorkerHereWakesAfterAnotherProcessesCommit() async throws {
    let notes = AsyncStream<String>.makeStream()
    var options = WorkerOptions()
    options.pollInterval = .seconds(3600)
    let handler = JobHandler("greet") { context in
      notes.continuation.yield(String(decoding: context.payload.bytes, as: UTF8.self))
    }
    let worker = try Worker(queue, handlers: [handler], options: options)
    let work = Task { try await worker.work() }
    let child = try Child("enqueue", app.path)
    try child.wait(for: "written")
    #expect(try await driver.count() == [])
    child.tell("commit")
    var ran = notes.stream.makeAsyncIterator()
    #expect(await ran.next() == "Ada")
    work.cancel()
    #expect(try await work.value.completed == 1)
  }

  @Test func killedBeforeTheCommitAnEnqueueHasNeverBeen() async throws {
    let child = try Child("enqueue", app.path)
    try child.wait(for: "written")
    child.kill()
    #expect(try await app.names("customer") == [])
    #expect(try await driver.count() == [])
  }

  @Test("A process killed before the commit leaves neither the write nor the completion")
  func killBeforeTheCommitKeepsNeither() async throws {
    _ = try await driver.insert([greet("Ada")])
    let child = try Child("complete", app.path)
    try child.wait(for: "written")
    child.kill()
    #expect(try await app.names("greeted") == [])
    // With its holder the lease is gone.
    #expect(try await driver.count() == [JobCount("greet", ready: 1)])
    #expect(try await driver.claim(everything).texts == ["Ada"])
  }

  @Test("A process killed after the commit leaves both the write and the completion")
  func killAfterTheCommitKeepsBoth() async throws {
    _ = try await driver.insert([greet("Ada")])
    let child = try Child("complete", app.path)
    try child.wait(for: "written")
    child.tell("commit")
    try child.wait(for: "committed")
    child.kill()
    #expect(try await app.names("greeted") == ["Ada"])
    #expect(try await driver.count() == [])
  }

  @Test func leftAloneItCompletesTheJobOnce() async throws {
    _ = try await driver.insert([greet("Ada"), greet("Grace")])
    let child = try Child("complete", app.path)
    for _ in 1...2 {
      try child.wait(for: "written")
      child.tell("commit")
      try child.wait(for: "committed")
      child.tell("go on")
    }
    try child.wait(for: "completed 2")
    #expect(try await app.names("greeted") == ["Ada", "Grace"])
    #expect(try await driver.count() == [])
  }
}
