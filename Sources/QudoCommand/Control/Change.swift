internal import ArgumentParser
internal import Qudo

struct Change: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Change waiting jobs: their priority, their time or their payload.",
    discussion: """
      A job keeps its id, its unique key and its attempts. Running jobs are left as they are. --now makes a delayed job run as soon as \
      a worker is free.

      With ids, prints a line for each: the id and changed; an id whose job runs or is not there is reported, and the exit status is \
      1. With --kind, --state or --all, changes in transactions of 1,000 jobs, and prints two numbers: how many were changed, and how \
      many run. With --json, one array whose elements are {"database", "id", "result"}; the result is changed, running or notFound. With \
      --dry-run, nothing is changed, and the result is what it would be.

        qudo change 17 --now
        qudo change --kind mail.send --state delayed --delay 1h --priority 5
        qudo change 18 --payload '{"to":"ada@example.org"}'
      """)

  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @OptionGroup var selection: JobSelection
  @Option(
    help: ArgumentHelp(
      "The new priority; higher ones run first; from -2147483647 to 2147483647.", valueName: "number"))
  var priority: Int?
  @Flag(help: "Run the jobs as soon as a worker is free.") var now = false
  @Option(
    help: ArgumentHelp("Run the jobs no earlier than this long from now.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var delay: Duration?
  @Option(
    help: ArgumentHelp(
      "Run the jobs no earlier than this ISO 8601 time with a zone. A past time counts as now.",
      valueName: "time"),
    transform: { try Timestamp(parsing: $0) })
  var at: Timestamp?
  @Option(help: ArgumentHelp("The new payload, as enqueue takes it.", valueName: "text")) var payload: String?
  @Option(
    help: ArgumentHelp("Read the new payload from a file, unchanged; - is standard input.", valueName: "path")
  )
  var payloadFile: String?
  @Option(
    help: ArgumentHelp(
      "The codec the payload is stored under: json or raw. Default: json if it is valid JSON, else raw.",
      valueName: "codec"))
  var codec: PayloadCodec?

  func validate() throws {
    if [now, delay != nil, at != nil].count(where: { $0 }) > 1 {
      throw ValidationError("--now, --delay and --at exclude each other")
    }
    if payload != nil, payloadFile != nil {
      throw ValidationError("give --payload or --payload-file, not both")
    }
    if codec != nil, payload == nil, payloadFile == nil {
      throw ValidationError("--codec needs --payload or --payload-file")
    }
    guard priority != nil || due != nil || payload != nil || payloadFile != nil else {
      throw ValidationError(
        "give what to change: --priority, --now, --delay, --at, --payload or --payload-file")
    }
  }

  private var due: Due? {
    if now { return .now }
    if let delay { return .after(delay) }
    // A past time would order the job before other ready jobs.
    return at.map { $0 > SystemClock().now().wall ? .at($0) : .now }
  }

  func run() async throws {
    // Read once, whatever is done with it.
    let bytes =
      try payloadFile.map { try InputFile.readAll($0, limit: Limits().payloadBytes) }
      ?? payload.map { Array($0.utf8) }
    let payload = try bytes.map { Payload($0, codec: try PayloadCodec.id(of: $0, chosen: codec)) }
    let change = JobChange(priority: priority, due: due, payload: payload)
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
