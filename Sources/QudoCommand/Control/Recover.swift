internal import ArgumentParser
internal import Qudo

struct Recover: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Free running jobs by force, so that another worker runs them.",
    discussion: """
      Use it for a job whose worker hangs but is alive: jobs of workers that died are recovered without it. The job is ready again, with \
      no attempt counted. Qudo refuses the outcome of the current run, and its worker stops that run when it next renews the lease, \
      after a third of --lease at most; until then the job may run twice at the same time.

      With ids, prints a line for each: the id and recovered, or cancelled for one that was being cancelled. If a job is not \
      running, an error says so, and the exit status is 1. With --kind, --all and the like, frees the running ones of those jobs in transactions \
      of 1,000, and prints two numbers: how many are ready again, and how many were being cancelled. With --json, one array whose \
      elements are {"database", "id", "result"}; the result is recovered, cancelled, notRunning or notFound. With --dry-run, nothing is \
      changed, and the result is what it would be.

        qudo jobs --state running
        qudo recover 17
        qudo recover --kind mail.send
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @OptionGroup var selection: JobSelection

  func run() async throws {
    var jobs = selection.jobs
    // Waiting jobs are left out by the verb, too: so a dry run does not list them.
    if jobs.isBulk { jobs.filter.states = jobs.filter.states?.intersection([.running]) ?? [.running] }
    try await RecoverVerb(selected: jobs).perform(database, durability)
  }
}

private struct RecoverVerb: JobVerb {
  let selected: SelectedJobs

  static let counted: [RecoverResult] = [.recovered, .cancelled]

  func run(_ driver: any ControlDriver, _ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await driver.recover(jobs)
  }

  func run(_ driver: any ControlDriver, _ query: JobQuery) async throws(QudoError) -> [(
    id: Int64, answer: RecoverResult
  )] {
    try await driver.recover(matching: query).map { ($0.id, $0.result) }
  }

  func expected(_ state: JobState?) -> RecoverResult {
    state.map { $0 == .running ? .recovered : .notRunning } ?? .notFound
  }

  func trouble(_ answer: RecoverResult, _ job: String) -> String? {
    switch answer {
    case .recovered, .cancelled: nil
    case .notRunning: "job \(job) is not running"
    case .notFound: Self.notFound(job)
    }
  }
}
