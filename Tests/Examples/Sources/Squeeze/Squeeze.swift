import Foundation
import Qudo
import QudoSQLite

/// Compresses files in the background:
///
///     squeeze add FILE...   remembers the files and returns at once
///     squeeze status        tells how many are left, and what failed
///     squeeze work          works until none is left; `add` starts it
///
/// The jobs are in the file that SQUEEZE_DATABASE names, or in `squeeze.db`.
@main
struct Squeeze {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    let path = ProcessInfo.processInfo.environment["SQUEEZE_DATABASE"] ?? "squeeze.db"
    let driver = try SQLiteDriver(path: path)
    switch arguments.first {
    case "add":
      try await add(arguments.dropFirst(), to: Queue(driver))
      try startWorkerInTheBackground()
    case "work":
      try await work(Queue(driver))
    case "status":
      try await status(driver)
    default:
      print("usage: squeeze add FILE... | work | status")
      exit(64)
    }
    await driver.close()
  }

  /// A file that waits already is not taken a second time.
  static func add(_ files: ArraySlice<String>, to queue: Queue<NoHooks>) async throws {
    for file in files {
      let path = URL(fileURLWithPath: file).path
      switch try await queue.enqueue(CompressFile(path: path), unique: UniqueKey(path)) {
      case .inserted: print("\(file) will be compressed")
      default: print("\(file) waits already")
      }
    }
  }

  /// If one is at work already, they share the jobs: each is done by one of them.
  static func startWorkerInTheBackground() throws {
    let worker = Process()
    worker.executableURL = Bundle.main.executableURL
    worker.arguments = ["work"]
    worker.standardInput = FileHandle.nullDevice
    worker.standardOutput = FileHandle.nullDevice
    worker.standardError = FileHandle.nullDevice
    try worker.run()
  }

  static func work(_ queue: Queue<NoHooks>) async throws {
    // It outlives the terminal that it was started from.
    signal(SIGHUP, SIG_IGN)
    let worker = try Worker(
      queue, handlers: [JobHandler(CompressFile.self)],
      concurrency: ProcessInfo.processInfo.activeProcessorCount)
    let summary = try await worker.workUntilEmpty()
    print("compressed \(summary.completed), failed \(summary.failed)")
  }

  static func status(_ driver: SQLiteDriver) async throws {
    let count = try await driver.count([CompressFile.kind]).first ?? JobCount(CompressFile.kind)
    print("\(count.ready + count.delayed) wait, \(count.running) in work")
    for failure in try await driver.failures(LogQuery(kinds: [CompressFile.kind])) where failure.isFinal {
      print("failed: \(failure.message)")
    }
  }
}
