import Qudo
import QudoSQLite

/// Enqueues many jobs in one transaction: all of them are stored, or none.
@main
struct Batch {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/batch.db"))

    // One transaction, and so one sync of the disk.
    let pages = (1...1000).map { FetchPage(number: $0) }
    let results = try await queue.enqueue(pages, options: EnqueueOptions(priority: -1))
    print("enqueued \(results.count)")

    // Jobs of several types, each with options of its own.
    try await queue.enqueue([
      NewJob(FetchPage(number: 1001), options: EnqueueOptions(priority: 5), codecs: queue.codecs),
      NewJob(MakeIndex(), options: EnqueueOptions(unique: "index"), codecs: queue.codecs),
    ])
    for count in try await queue.count() { print("\(count.kind): \(count.ready) ready") }

    let worker = try Worker(queue, handlers: [FetchPage.self, MakeIndex.self], concurrency: 8)
    print("completed \(try await worker.workUntilEmpty().completed)")
    await queue.close()
  }
}

struct FetchPage: Job {
  static let kind: Kind = "page.fetch"
  var number: Int
  func perform(_ context: JobContext) async throws {}
}

struct MakeIndex: Job {
  static let kind: Kind = "index.make"
  func perform(_ context: JobContext) async throws {}
}

// Output:
// enqueued 1000
// index.make: 1 ready
// page.fetch: 1001 ready
// completed 1002
