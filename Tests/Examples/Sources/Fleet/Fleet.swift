import Qudo
import QudoSQLite

/// Uses two databases. The first is missing, so the jobs go to the second.
@main
struct Fleet {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let missing = "\(folder)/missing/mounted.db"
    var options = DatabaseOptions()
    options.order = .ordered
    let databases = try Databases(
      [
        Databases.Source("mounted") { () async throws(QudoError) in try SQLiteDriver(path: missing) },
        Databases.Source("local") { () async throws(QudoError) in try SQLiteDriver(path: "\(folder)/local.db")
        },
      ], options: options)
    let queue = Queue(databases)

    let result = try await queue.enqueue(Upload(file: "a.jpg"))
    print("enqueued as \(result.id)")

    // The worker serves all databases, and tries one that is unavailable again until it is back.
    let worker = try Worker(
      queue, handlers: [Upload.self], options: WorkerOptions(outageTimeout: .milliseconds(200)))
    let summary = try await worker.workUntilEmpty()
    print("completed \(summary.completed), unreachable: \(summary.unreachable)")
    await queue.close()
  }
}

struct Upload: Job {
  static let kind: Kind = "upload"
  var file: String

  func perform(_ context: JobContext) async throws { print("uploaded \(file), a job of \(context.database)") }
}

// Output:
// enqueued as local/1
// uploaded a.jpg, a job of local
// completed 1, unreachable: ["mounted"]
