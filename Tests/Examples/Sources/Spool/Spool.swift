import Foundation
import Qudo
import QudoSQLite

/// Makes a job of each file in a folder. If it is interrupted at any point, the next scan goes on from there.
@main
struct Spool {
  static func main() async throws {
    let folder = URL(fileURLWithPath: CommandLine.arguments.dropFirst().first ?? ".")
    let queue = Queue(try SQLiteDriver(path: folder.appendingPathComponent("spool.db").path))
    let spool = SpoolFolder(folder: folder.appendingPathComponent("spool"))
    try spool.create()
    for name in ["b.txt", "a.txt"] {
      try Data(name.utf8).write(to: spool.incoming.appendingPathComponent(name))
    }

    try await spool.scan(into: queue)
    // Scan as often as you like: nothing is enqueued twice.
    try await spool.scan(into: queue)
    print("enqueued: \(try await queue.count().map(\.ready))")

    let worker = try Worker(queue, handlers: [TakeFile.self], plugins: [spool])
    try await worker.workUntilEmpty()
    print("done: \(try spool.names(in: spool.done))")
    await queue.close()
  }
}

struct SpoolFolder: Plugin {
  let folder: URL
  var incoming: URL { folder.appendingPathComponent("incoming") }
  var taken: URL { folder.appendingPathComponent("taken") }
  var done: URL { folder.appendingPathComponent("done") }

  func create() throws {
    for folder in [incoming, taken, done] {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
  }

  /// The files in the order of their names, without those that are still being written under a name with a dot.
  func names(in folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasPrefix(".") }.sorted()
  }

  /// First moves the new files, then enqueues a job for each file that is taken, also for those of an interrupted scan.
  /// A new file waits while an earlier one of the same name is taken.
  func scan(into queue: any Enqueuer) async throws {
    for name in try names(in: incoming) where !exists(name, in: taken) {
      try move(name, from: incoming, to: taken)
    }
    for name in try names(in: taken) {
      try await queue.enqueue(TakeFile(name: name), unique: UniqueKey(name, onConflict: .keep))
    }
  }

  func exists(_ name: String, in folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path)
  }

  /// Replaces a file of this name that is there from earlier.
  func move(_ name: String, from source: URL, to target: URL) throws {
    let (old, new) = (source.appendingPathComponent(name).path, target.appendingPathComponent(name).path)
    guard rename(old, new) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }
}

struct TakeFile: PluginJob {
  static let kind: Kind = "file.take"
  var name: String

  func perform(_ context: JobContext, using spool: SpoolFolder) async throws {
    // An earlier run moved the file and ended before the job was completed.
    guard spool.exists(name, in: spool.taken) else { return }
    let text = try String(contentsOf: spool.taken.appendingPathComponent(name), encoding: .utf8)
    print("took \(name): \(text)")
    try spool.move(name, from: spool.taken, to: spool.done)
  }
}

// Output:
// enqueued: [2]
// took a.txt: a.txt
// took b.txt: b.txt
// done: ["a.txt", "b.txt"]
