import Foundation
import GRDB
import Logging
import Qudo
import QudoSQLite

/// An application of another process: `AppProcess ROLE DATABASE`.
///
/// It says on its standard output what it has done, a line at a time, and goes on when it is told to by a line.
@main
struct AppProcess {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3 else {
      FileHandle.standardError.write(Data("usage: AppProcess enqueue|work|complete DATABASE\n".utf8))
      exit(64)
    }
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    let pool = try DatabasePool(path: arguments[2], configuration: configuration)
    let queue = Queue(try SQLiteDriver(path: arguments[2]))
    switch arguments[1] {
    case "enqueue": try await enqueue(queue, pool)
    case "work": try await work(queue, pool)
    default: try await complete(queue, pool)
    }
  }

  /// Writes, enqueues, and waits to be told before it commits.
  private static func enqueue(_ queue: Queue<NoHooks>, _ pool: DatabasePool) async throws {
    try await pool.write { db in
      try db.execute(sql: "INSERT INTO customer VALUES('Ada')")
      try queue.enqueue(NewJob("greet", payload: Payload("Ada")), in: db.sqliteConnection)
      say("written")
      _ = readLine()
    }
    say("committed")
    _ = readLine()
  }

  /// Works for ever, and reads what the application has written. It says when it is idle; only an event wakes it, since
  /// it polls once an hour.
  private static func work(_ queue: Queue<NoHooks>, _ pool: DatabasePool) async throws {
    var options = WorkerOptions()
    options.pollInterval = .seconds(3600)
    options.clock = TellingClock()
    let handler = JobHandler("greet") { context in
      let name = String(decoding: context.payload.bytes, as: UTF8.self)
      let count = try await pool.read {
        try Int.fetchOne($0, sql: "SELECT count(*) FROM customer WHERE name = ?", arguments: [name])
      }
      say("ran \(name), customers \(count ?? 0)")
    }
    try await Worker(queue, handlers: [handler], options: options).work()
  }

  /// Completes a job in the transaction in which it writes, and waits to be told before it commits, and after it.
  private static func complete(_ queue: Queue<NoHooks>, _ pool: DatabasePool) async throws {
    let handler = JobHandler("greet") { context in
      try await pool.write { db in
        try db.execute(
          sql: "INSERT INTO greeted VALUES(?)",
          arguments: [String(decoding: context.payload.bytes, as: UTF8.self)])
        try context.complete(in: db.sqliteConnection)
        say("written")
        _ = readLine()
      }
      say("committed")
      _ = readLine()
    }
    let summary = try await Worker(queue, handlers: [handler]).workUntilEmpty()
    say("completed \(summary.completed)")
  }
}

/// With one write, so that lines of several threads stay whole.
private func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

/// Says so when somebody waits.
private struct TellingClock: QueueClock {
  let base = SystemClock()
  func now() -> ClockReading { base.now() }
  func sinceBoot() -> Int64 { base.sinceBoot() }
  func sleep(untilSinceBoot time: Int64) async throws {
    say("idle")
    try await base.sleep(untilSinceBoot: time)
  }
}
