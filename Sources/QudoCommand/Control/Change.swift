internal import ArgumentParser
internal import Qudo

struct Change: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Change waiting jobs: their priority, their time, their expiry or their payload.",
    discussion: """
      A job keeps its id, its unique key and its attempts. Running jobs are not changed. --now makes a delayed job run as soon as \
      a worker is free.

      With ids, prints a line for each: the id and changed. If a job runs or does not exist, an error says so, and the exit status is \
      1. With --kind, --all and the like, changes in transactions of 1,000 jobs, and prints two numbers: how many were changed, and how \
      many run. With --json, one array whose elements are {"database", "id", "result"}; the result is changed, running or notFound. With \
      --dry-run, nothing is changed, and the result is what it would be.

        qudo change 17 --now
        qudo change --kind mail.send --state delayed --delay 1h --priority 5
        qudo change 18 --payload '{"to":"ada@example.org"}'
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @OptionGroup var selection: JobSelection
  @OptionGroup var options: ChangeOptions
  @Flag(help: "Run the jobs as soon as a worker is free.") var now = false

  func validate() throws {
    if now, options.delay != nil || options.at != nil {
      throw ValidationError("--now, --delay and --at exclude each other")
    }
    guard now || options.isGiven else {
      throw ValidationError(
        "give what to change: --priority, --now, --delay, --at, --expires, --payload or --payload-file")
    }
  }

  func run() async throws {
    var change = try options.change()
    if now { change.due = .now }
    try await ChangeVerb(selected: selection.jobs, change: change).perform(database, durability)
  }
}

private struct ChangeVerb: JobVerb {
  let selected: SelectedJobs
  let change: JobChange

  static let counted: [ChangeResult] = [.changed, .running]

  func run(_ driver: any ControlDriver, _ jobs: [Int64]) async throws(QudoError) -> [ChangeResult] {
    try await driver.change(jobs, change)
  }

  func run(_ driver: any ControlDriver, _ query: JobQuery) async throws(QudoError) -> [(
    id: Int64, answer: ChangeResult
  )] {
    try await driver.change(matching: query, change).map { ($0.id, $0.result) }
  }

  func expected(_ state: JobState?) -> ChangeResult {
    state.map { $0 == .running ? .running : .changed } ?? .notFound
  }

  func trouble(_ answer: ChangeResult, _ job: String) -> String? {
    switch answer {
    case .changed: nil
    case .running:
      "job \(job) runs, and was left as it is. Cancel it with qudo cancel, or change it when it waits again"
    case .notFound: Self.notFound(job)
    }
  }
}
