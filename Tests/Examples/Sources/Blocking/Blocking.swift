import Foundation
import Qudo
import QudoSQLite

/// Runs jobs that block their thread on the worker's own threads, so that Swift's pool stays free for other tasks.
@main
struct Blocking {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/blocking.db"))
    try await queue.enqueue([CountLines(text: "one\ntwo\n"), CountLines(text: "three\n")])

    // Up to `concurrency` jobs block at once, each on a thread of its own.
    let worker = try Worker(queue, handlers: [CountLines.self], concurrency: 1)
    try await worker.workUntilEmpty()
    await queue.close()
  }
}

struct CountLines: Job {
  static let kind: Kind = "lines.count"
  static let policy = JobPolicy(execution: .blocking)
  var text: String

  func perform(_ context: JobContext) async throws {
    let (input, output) = (Pipe(), Pipe())
    let program = Process()
    program.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    program.arguments = ["wc", "-l"]
    program.standardInput = input
    program.standardOutput = output
    try program.run()
    try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    try input.fileHandleForWriting.close()
    // This blocks until the program has ended.
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    print("lines: \(String(decoding: answer, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))")
  }
}

// Output:
// lines: 2
// lines: 1
