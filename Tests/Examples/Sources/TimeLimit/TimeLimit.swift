import Qudo
import QudoSQLite

/// Cancels a job that takes too long.
@main
struct TimeLimit {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/time-limit.db"))
    try await queue.enqueue(Download(file: "endless.iso"))

    let summary = try await Worker(queue, handlers: [Download.self]).workUntilEmpty()
    print("completed \(summary.completed), failed \(summary.failed)")
    for failure in try await queue.failures() { print(failure.message) }
    await queue.close()
  }
}

struct Download: Job {
  static let kind: Kind = "download"
  static let policy = JobPolicy(timeLimit: .milliseconds(100))
  var file: String

  func perform(_ context: JobContext) async throws {
    do {
      // Most of what you await throws when its task is cancelled. In a loop, call `Task.checkCancellation()`.
      try await Task.sleep(for: .seconds(3600))
    } catch {
      print("\(file) is left unfinished")
      // A job that returns is completed: one that stops early must throw.
      throw error
    }
  }
}

// Output:
// endless.iso is left unfinished
// completed 0, failed 1
// exceeded its time limit of 100ms
