import Qudo
import QudoSQLite

/// Runs urgent jobs first, of whatever kind they are.
@main
struct Priorities {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/priorities.db"))
    try await queue.enqueue(CleanUp(folder: "old"), priority: -10)
    try await queue.enqueue(Answer(question: "first"))
    try await queue.enqueue(Answer(question: "second"))
    try await queue.enqueue(Answer(question: "urgent"), priority: 10)

    // Jobs of equal priority run in the order in which they became due.
    try await Worker(queue, handlers: [CleanUp.self, Answer.self]).workUntilEmpty()
    await queue.close()
  }
}

struct Answer: Job {
  static let kind: Kind = "answer"
  var question: String

  func perform(_ context: JobContext) async throws { print("answered the \(question) question") }
}

struct CleanUp: Job {
  static let kind: Kind = "clean-up"
  var folder: String

  func perform(_ context: JobContext) async throws { print("cleaned up \(folder)") }
}

// Output:
// answered the urgent question
// answered the first question
// answered the second question
// cleaned up old
