internal import ArgumentParser
internal import Qudo

struct Cancel: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Cancel unfinished jobs, by id or by filter.",
    discussion: """
      A waiting job leaves immediately. If a job runs, its worker stops the command as a time limit would, in any process: \
      SIGTERM, then SIGKILL 5 s later. If the command ended with status 0 before that, the job completed. All other cancelled jobs are in \
      the failure log with the reason cancelled, from which replay enqueues them again.

      With ids, prints a line for each: the id and cancelled, or cancelling for a running job. If an id has no unfinished job, an error \
      says so, and the exit status is 1. With --kind, --all and the like, cancels in transactions of 1,000 jobs, and prints two \
      numbers: how many waited, and how many run. With --json, one array whose elements are {"database", "id", "result"}; the \
      result is cancelled, cancelling or notFound. With --dry-run, nothing is cancelled, and the result is what it would be.

        qudo cancel 17 18 --reason 'wrong address'
        qudo cancel --kind mail.send --state delayed --dry-run
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @OptionGroup var selection: JobSelection
  @Option(help: "The message for the failure log. Default: cancelled.") var reason: String?

  func run() async throws {
    try await CancelVerb(selected: selection.jobs, reason: reason).perform(database, durability)
  }
}

private struct CancelVerb: JobVerb {
  let selected: SelectedJobs
  let reason: String?

  static let counted: [CancelResult] = [.cancelled, .cancelling]

  func run(_ driver: any ControlDriver, _ jobs: [Int64]) async throws(QudoError) -> [CancelResult] {
    try await driver.cancel(jobs, reason: reason)
  }

  func run(_ driver: any ControlDriver, _ query: JobQuery) async throws(QudoError) -> [(
    id: Int64, answer: CancelResult
  )] {
    try await driver.cancel(matching: query, reason: reason).map { ($0.id, $0.result) }
  }

  func expected(_ state: JobState?) -> CancelResult {
    state.map { $0 == .running ? .cancelling : .cancelled } ?? .notFound
  }

  func trouble(_ answer: CancelResult, _ job: String) -> String? {
    answer == .notFound ? Self.notFound(job) : nil
  }
}
