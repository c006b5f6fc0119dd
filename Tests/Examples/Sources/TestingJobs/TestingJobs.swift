import Qudo
import QudoTesting

/// Tests code that enqueues, without a file and without a worker. In a test, `#expect` takes the place of `print`.
@main
struct TestingJobs {
  static func main() async throws {
    // What was enqueued, here in a transaction: a queue in memory needs no connection.
    let queue = Queue(MemoryDriver())
    try SignUp(queue: queue).signUp("ada@example.org", in: nil)
    try await queue.expectEnqueued(Welcome.self, count: 1, unique: "ada@example.org", due: .now)
    do {
      try await queue.expectEnqueued(Welcome.self, priority: 5)
    } catch {
      print(error)
    }

    // What the jobs do. They run when you say that the transaction is committed.
    let inline = try Queue(MemoryDriver()).inline([JobHandler(Welcome.self)])
    try SignUp(queue: inline).signUp("alan@example.org", in: nil)
    print("ran \(try await inline.run())")
  }
}

/// The code under test stores `any Enqueuer`, so that a test can give it another queue.
struct SignUp {
  let queue: any Enqueuer

  func signUp(_ address: String, in connection: OpaquePointer?) throws {
    try queue.enqueue(Welcome(address: address), unique: UniqueKey(address), in: connection)
  }
}

struct Welcome: Job {
  static let kind: Kind = "mail.welcome"
  var address: String

  func perform(_ context: JobContext) async throws { print("welcome, \(address)") }
}

// Output:
// no job mail.welcome with the priority 5 fits; there is:
//   1 mail.welcome ready, unique key "ada@example.org": Welcome(address: "ada@example.org")
// welcome, alan@example.org
// ran 1
