internal import ArgumentParser
internal import Qudo

struct Recover: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Free running jobs by force, so that another worker runs them.",
    discussion: """
      Use it for a job whose worker hangs but is alive: jobs of workers that died are recovered without it. The job is ready again, with \
      no attempt counted. Qudo refuses the outcome of the current run, and its worker stops it when it next renews the lease, after a \
      third of --lease at most; until then the job may run twice at the same time.

      Prints a line for each job: the id and recovered, or cancelled for one that was being cancelled. An id whose job does not run is \
      reported, and the exit status is 1. With --json, one array whose elements are {"database", "id", "result"}; the result is \
      recovered, cancelled, notRunning or notFound.

        qudo jobs --state running
        qudo recover 17
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Argument(help: ArgumentHelp("Ids of jobs; with several databases, DATABASE/ID.", valueName: "id"))
  var ids: [JobName]
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    try await RecoverVerb(selected: SelectedJobs(ids: ids, json: json)).perform(database, durability)
  }
}

private struct RecoverVerb: JobVerb {
  let selected: SelectedJobs

  static let counted: [RecoverResult] = [.recovered]

  func run(_ driver: any ControlDriver, _ jobs: [Int64]) async throws(QudoError) -> [RecoverResult] {
    try await driver.recover(jobs)
  }

  func run(_ driver: any ControlDriver, _ query: JobQuery) async throws(QudoError) -> [(
    id: Int64, answer: RecoverResult
  )] {
    let jobs = try await driver.jobs(matching: query).map(\.id)
    return zip(jobs, try await driver.recover(jobs)).map { ($0, $1) }
  }

  func expected(_ state: JobState?) -> RecoverResult {
    state.map { $0 == .running ? .recovered : .notRunning } ?? .notFound
  }

  func trouble(_ answer: RecoverResult, _ job: String) -> String? {
    switch answer {
    case .recovered, .cancelled: nil
    case .notRunning: "job \(job) does not run"
    case .notFound: Self.notFound(job)
    }
  }
}
