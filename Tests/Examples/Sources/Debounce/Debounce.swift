import Qudo
import QudoSQLite
import QudoTesting

/// Makes one job of many enqueues: once it is quiet, once more after the running one, and once an hour. A clock that the program moves stands in for
/// the time that passes.
@main
struct Debounce {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    // Leave out the clock, and the machine's is used.
    let clock = ManualClock()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/debounce.db", clock: clock))
    let sync = JobHandler(Sync.self) { job, _ in
      print("account \(job.account): revision \(job.revision)")
      guard job.revision == 1 else { return }
      // The account changes while the job runs.
      for revision in 2...5 {
        try await queue.enqueue(Sync(account: 7, revision: revision), options: .followUp("account-7"))
      }
    }
    let worker = try Worker(
      queue, handlers: [JobHandler(Reindex.self), sync, JobHandler(SendDigest.self)],
      options: WorkerOptions(clock: clock))

    // The page changes every four seconds.
    for revision in 1...20 {
      try await queue.enqueue(
        Reindex(page: 7, revision: revision),
        options: EnqueueOptions(unique: .debounced("page-7", atMost: .seconds(60)), due: .after(.seconds(5))))
      clock.advance(by: .seconds(4))
      try await worker.workUntilEmpty(skipDelayed: true)
    }
    clock.advance(by: .seconds(5))
    try await worker.workUntilEmpty()

    try await queue.enqueue(Sync(account: 7, revision: 1), options: .followUp("account-7"))
    try await worker.workUntilEmpty()

    // A digest every hour at most, however often it is asked for.
    for _ in 1...10 {
      let digest = try await queue.enqueue(
        SendDigest(user: "ada"), unique: UniqueKey("ada", onConflict: .keep, throttle: .seconds(3600)))
      if case .inserted = digest { print("digest") }
      try await worker.workUntilEmpty()
      clock.advance(by: .seconds(600))
    }
    await queue.close()
  }
}

struct Reindex: Job {
  static let kind: Kind = "reindex"
  var page: Int
  var revision: Int

  func perform(_ context: JobContext) async throws { print("page \(page): revision \(revision)") }
}

struct Sync: Job {
  static let kind: Kind = "sync"
  var account: Int
  var revision: Int

  func perform(_ context: JobContext) async throws {}
}

struct SendDigest: Job {
  static let kind: Kind = "digest"
  var user: String

  func perform(_ context: JobContext) async throws {}
}

// Output:
// page 7: revision 15
// page 7: revision 20
// account 7: revision 1
// account 7: revision 5
// digest
// digest
