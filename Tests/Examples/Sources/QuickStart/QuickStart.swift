import Qudo
import QudoSQLite

/// Enqueues two jobs and runs them.
@main
struct QuickStart {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/quick-start.db"))
    try await queue.enqueue(SendMail(to: "ada@example.org"))
    try await queue.enqueue(SendMail(to: "alan@example.org"))

    // A server calls `work()` instead, which runs jobs until its task is cancelled.
    let worker = try Worker(queue, handlers: [SendMail.self])
    let summary = try await worker.workUntilEmpty()
    print("completed \(summary.completed)")
    await queue.close()
  }
}

/// The properties are stored with the job.
struct SendMail: Job {
  static let kind: Kind = "mail.send"
  var to: String

  func perform(_ context: JobContext) async throws {
    print("sent a mail to \(to)")
  }
}

// Output:
// sent a mail to ada@example.org
// sent a mail to alan@example.org
// completed 2
