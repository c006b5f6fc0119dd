internal import ArgumentParser
internal import Dispatch
internal import Foundation
internal import Qudo
internal import QudoSQLite

struct Work: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a command for each job until no job of its kinds is left.",
    discussion: """
      The command is split into arguments as a shell would, and run without one. {} in an argument becomes the payload; the \
      payload is also on standard input, and QUDO_JOB_ID, QUDO_KIND and QUDO_ATTEMPT are set. Exit status 0 completes the job, \
      65 fails it for good, any other fails it and is retried as --max-retries says. What the command writes is passed on when it ends.

      SIGTERM and SIGINT stop the running commands and give their jobs back at once.
      """)

  @OptionGroup var database: Database
  @Argument(help: ArgumentHelp("What to run for which kind.", valueName: "kind=command")) var commands: [String]
  @Option(help: "How many jobs at once, 1 to 1,000.") var concurrency = 1
  @Flag(help: "End when no job of these kinds is ready, delayed or running anywhere. (Needed: there is no other way to end yet.)")
  var untilEmpty = false
  @Option(help: "How often a failed job is tried again.") var maxRetries = 0
  @Option(help: "How long a failed job waits, as 500ms, 90s, 1h30m.", transform: { try Duration(parsing: $0) }) var retryDelay = Duration.zero
  @Option(help: "How long a job is held when this process dies; at least 100ms.", transform: { try Duration(parsing: $0) })
  var lease = Duration.seconds(60)

  func validate() throws {
    guard untilEmpty else { throw ValidationError("give --until-empty") }
    guard (1...1000).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 1,000") }
    guard maxRetries >= 0 else { throw ValidationError("--max-retries must not be negative") }
    do {
      _ = try abilities()
    } catch {
      throw ValidationError(error.message)
    }
  }

  private func abilities() throws(QudoError) -> [Ability] {
    var policy = JobPolicy()
    policy.maxRetries = maxRetries
    policy.retryDelay = .fixed(retryDelay)
    policy.lease = lease
    var abilities: [Ability] = []
    for text in commands {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else { throw QudoError(.invalidArgument, "'\(text)' is not KIND=COMMAND") }
      let template = try CommandTemplate(String(parts[1]))
      abilities.append(Ability(Kind(String(parts[0])), policy: policy) { try await CommandRun.perform(template, $0) })
    }
    return abilities
  }

  func run() async throws {
    let driver = try database.open(create: true)
    let worker = try Worker(Queue(driver), abilities(), concurrency: concurrency)
    let work = Task { try await worker.workUntilEmpty() }
    let signals = [SIGTERM, SIGINT].map { number in
      // A handler, for an ignored signal would stay ignored in the commands.
      signal(number) { _ in }
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { work.cancel() }
      source.resume()
      return source
    }
    defer { for source in signals { source.cancel() } }
    _ = try await work.value
    await driver.close()
  }
}
