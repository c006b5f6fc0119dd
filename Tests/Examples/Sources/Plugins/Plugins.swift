import Qudo
import QudoSQLite

/// Gives jobs a service: `Worker` throws on creation if a job's plugin is missing.
@main
struct Plugins {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "."
    let queue = Queue(try SQLiteDriver(path: "\(folder)/plugins.db"))
    do {
      _ = try Worker(queue, handlers: [Welcome.self])
    } catch {
      print("without a mailer: \(error.code)")
    }

    try await queue.enqueue([Welcome(address: "ada@example.org"), Welcome(address: "alan@example.org")])
    let worker = try Worker(queue, handlers: [Welcome.self], plugins: [Mailer(server: "mail.example.org")])
    try await worker.workUntilEmpty()
    await queue.close()
  }
}

/// Starts before the worker's first job and stops after its last.
struct Mailer: Plugin {
  let server: String

  func start(_ worker: WorkerContext) async throws { print("connected to \(server)") }
  func stop(_ worker: WorkerContext) async { print("disconnected") }
  func send(_ text: String, to address: String) async throws { print("to \(address): \(text)") }
}

/// The type of `mailer` says what the job needs.
struct Welcome: PluginJob {
  static let kind: Kind = "mail.welcome"
  var address: String

  func perform(_ context: JobContext, using mailer: Mailer) async throws {
    try await mailer.send("Welcome", to: address)
  }
}

// Output:
// without a mailer: invalidArgument
// connected to mail.example.org
// to ada@example.org: Welcome
// to alan@example.org: Welcome
// disconnected
