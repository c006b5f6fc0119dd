import Qudo
import QudoSQLite

/// One import at a time, however many workers there are, while they run other jobs side by side.
@main
struct OneAtATime {
  static func main() async throws {
    let path = "\(CommandLine.arguments.dropFirst().first ?? ".")/imports.db"
    let queue = Queue(try SQLiteDriver(path: path))
    try await queue.enqueue([Import(file: "a.csv"), Import(file: "b.csv"), Import(file: "c.csv")])

    // They could as well be two processes, or two machines with a server.
    async let one = Worker(Queue(try SQLiteDriver(path: path)), handlers: [Import.self], concurrency: 4)
      .workUntilEmpty()
    async let other = Worker(Queue(try SQLiteDriver(path: path)), handlers: [Import.self], concurrency: 4)
      .workUntilEmpty()
    print("imported \(try await one.completed + other.completed)")
    await queue.close()
  }
}

struct Import: Job {
  static let kind: Kind = "file.import"
  static let policy = JobPolicy(maxRetries: 3, maxRunning: 1)
  var file: String

  func perform(_ context: JobContext) async throws {
    print("begin \(file)")
    for _ in 0..<100 { await Task.yield() }
    print("end \(file)")
  }
}

// Output:
// begin a.csv
// end a.csv
// begin b.csv
// end b.csv
// begin c.csv
// end c.csv
// imported 3
