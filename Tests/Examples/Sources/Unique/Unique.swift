import Qudo
import QudoSQLite

/// Keeps at most one live job per kind and key.
@main
struct Unique {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/unique.db"))

    // Each enqueue says what happens if another live job holds its key.
    let keys = [
      UniqueKey("order-1"), UniqueKey("order-1", onConflict: .reject),
      UniqueKey("order-1", onConflict: .keep),
      UniqueKey("order-1", onConflict: .overwrite),
    ]
    for (number, key) in keys.enumerated() {
      switch try await queue.enqueue(Ship(order: 1, parcels: number), unique: key) {
      case .inserted(let id): print("\(number) is enqueued as \(id)")
      case .conflict(let id): print("\(number) is rejected: \(id) holds the key")
      case .existing(let id): print("\(number) is not stored: \(id) is kept")
      case .overwritten(let id): print("\(number) overwrites \(id)")
      }
    }
    let worker = try Worker(queue, handlers: [Ship.self])
    try await worker.workUntilEmpty()

    // The key is free again once the job is finished. An idempotency key lasts longer.
    try await queue.enqueue(Ship(order: 1, parcels: 9), unique: "order-1")
    try await worker.workUntilEmpty()
    await queue.close()
  }
}

struct Ship: Job {
  static let kind: Kind = "ship"
  var order: Int
  var parcels: Int

  func perform(_ context: JobContext) async throws { print("order \(order): \(parcels) parcels") }
}

// Output:
// 0 is enqueued as unique/1
// 1 is rejected: unique/1 holds the key
// 2 is not stored: unique/1 is kept
// 3 overwrites unique/1
// order 1: 3 parcels
// order 1: 9 parcels
