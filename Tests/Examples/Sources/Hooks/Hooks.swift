import Qudo
import QudoSQLite
import Synchronization

/// Calls code at points of every job's life: one hook notes the tenant, another one counts outcomes.
@main
struct Hooks {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let counts = Counts()
    let queue = Queue(try SQLiteDriver(path: "\(folder)/hooks.db")) {
      AddTenant(tenant: "acme")
      CountRuns(counts: counts)
    }
    try await queue.enqueue([MakeInvoice(number: 1), MakeInvoice(number: 2), MakeInvoice(number: -1)])
    try await Worker(queue, handlers: [MakeInvoice.self]).workUntilEmpty()
    print(
      "runs: \(counts.runs.load(ordering: .relaxed)), failed: \(counts.failures.load(ordering: .relaxed))")
    await queue.close()
  }
}

/// Stores an entry with each job, next to its payload. The job's type does not know of it.
struct AddTenant: Hook {
  static let points: HookPoints = [.willEnqueue]
  let tenant: String

  func willEnqueue(_ job: inout NewJob) throws { job.metadata["tenant"] = tenant }
}

struct CountRuns: Hook {
  static let points: HookPoints = [.didWork, .didFail]
  let counts: Counts

  func didWork(_ run: borrowing FinishedRun) async { counts.runs.add(1, ordering: .relaxed) }
  func didFail(_ run: borrowing FinishedRun, error: any Error) async {
    counts.failures.add(1, ordering: .relaxed)
  }
}

final class Counts: Sendable {
  let runs = Atomic(0)
  let failures = Atomic(0)
}

struct MakeInvoice: Job {
  static let kind: Kind = "invoice.make"
  var number: Int

  func perform(_ context: JobContext) async throws {
    guard number > 0 else { try context.abort("no invoice has the number \(number)") }
    print("invoice \(number) of \(context.metadata["tenant"] ?? "nobody")")
  }
}

// Output:
// invoice 1 of acme
// invoice 2 of acme
// runs: 3, failed: 1
