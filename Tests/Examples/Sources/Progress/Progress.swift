import GRDB
import Qudo
import QudoSQLite

/// Reports the progress of a long job in a table of the application's, and goes on from there when the job runs again.
@main
struct Progress {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/progress.db"
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    configuration.prepareDatabase { try SQLiteDriver.prepareConnection($0.sqliteConnection) }
    let pool = try DatabasePool(path: path, configuration: configuration)
    try await pool.write {
      try $0.execute(sql: "CREATE TABLE progress(job TEXT PRIMARY KEY, done INTEGER NOT NULL)")
    }

    let queue = Queue(try SQLiteDriver(path: path))
    let id = try await queue.enqueue(ImportRows(count: 300)).id

    let imports = JobHandler(ImportRows.self) { job, context in
      var done = try await progress(of: context.id, in: pool)
      if done > 0 { print("run \(context.attempt) goes on after \(done)") }
      while done < job.count {
        // The worker is shutting down, or the job has exceeded its time limit.
        try Task.checkCancellation()
        try fetchRows(after: done, attempt: context.attempt)
        done += 100
        // Write the fetched rows in this transaction, too.
        try await pool.write { [done] db in
          try db.execute(
            sql: "INSERT OR REPLACE INTO progress VALUES(?, ?)", arguments: ["\(context.id)", done])
        }
      }
    }
    try await Worker(queue, handlers: [imports]).workUntilEmpty()
    print("\(id): \(try await progress(of: id, in: pool)) of 300")
    await queue.close()
  }

  /// Stands in for the source of the rows. The connection to it is lost once.
  static func fetchRows(after done: Int, attempt: Int) throws {
    if attempt == 1, done == 200 { throw ConnectionLost() }
  }

  /// What a web page would show.
  static func progress(of job: JobID, in pool: DatabasePool) async throws -> Int {
    try await pool.read { db in
      try Int.fetchOne(db, sql: "SELECT done FROM progress WHERE job = ?", arguments: ["\(job)"]) ?? 0
    }
  }
}

/// Performed by the handler in `main`, which has the application's database.
struct ImportRows: Job {
  static let kind: Kind = "rows.import"
  static let policy = JobPolicy(maxRetries: 3)
  var count: Int
  func perform(_ context: JobContext) async throws { try context.abort("needs the application's database") }
}

struct ConnectionLost: Error {}

// Output:
// run 2 goes on after 200
// progress/1: 300 of 300
