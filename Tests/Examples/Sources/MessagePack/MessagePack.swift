import Qudo
import QudoMessagePack
import QudoSQLite

/// Stores payloads as MessagePack, and still reads the JSON of earlier jobs.
@main
struct MessagePack {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let driver = try SQLiteDriver(path: "\(folder)/message-pack.db")

    // What an earlier version of the program left behind.
    try await Queue(driver).enqueue(StoreImage(bytes: [1, 2, 3]))

    // The codec encodes from now on. Each payload is decoded by the codec that wrote it; JSON is always among them.
    let queue = Queue(driver, codecs: Codecs(MessagePackCodec()))
    try await queue.enqueue(StoreImage(bytes: [4, 5, 6]))

    for job in try await queue.jobs() { print("job \(job.id): \(job.payload)") }
    try await Worker(queue, handlers: [StoreImage.self]).workUntilEmpty()
    await queue.close()
  }
}

struct StoreImage: Job {
  static let kind: Kind = "image.store"
  var bytes: [UInt8]

  func perform(_ context: JobContext) async throws { print("stored \(bytes)") }
}

// Output:
// job 1: 17 bytes, codec 1
// job 2: 12 bytes, codec 3
// stored [1, 2, 3]
// stored [4, 5, 6]
