import Qudo

/// A loop over the way of a job past its hooks, for a tool that counts instructions and allocations: `enqueue` is up to the
/// driver, `run` from the claimed job to its outcome. No database, no thread of its own, so that two runs count the same.
///
///     HookCounts enqueue|run none|unused|one|three COUNT
@main
struct HookCounts {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, let count = Int(arguments[3]) else { throw Usage() }
    let driver = NoDriver()
    switch arguments[2] {
    case "none": try await loop(Queue(driver), arguments[1], count)
    case "unused": try await loop(Queue(driver) { Unused() }, arguments[1], count)
    case "one": try await loop(Queue(driver) { Busy() }, arguments[1], count)
    case "three":
      let queue = Queue(driver) {
        Busy()
        Busy()
        Busy()
      }
      try await loop(queue, arguments[1], count)
    default: throw Usage()
    }
  }

  struct Usage: Error {}

  static func loop<Hooks: HookSet>(_ queue: Queue<Hooks>, _ what: String, _ count: Int) async throws {
    switch what {
    case "enqueue":
      let jobs = [NewJob("a", payload: Payload("x"))]
      for _ in 0..<count { try await queue.enqueue(jobs) }
    case "run":
      let lease = Lease(job: 1, token: 1, holder: 1, expiresAt: 0)
      let now = Timestamp(microseconds: 0)
      let job = ClaimedJob(
        lease: lease, kind: "a", payload: Payload("x"), priority: 0, uniqueKey: nil, attempt: 1,
        enqueuedAt: now, dueAt: now)
      await (try Worker(queue, handlers: [JobHandler("a") { _ in }])).rehearse(job, count)
    default: throw Usage()
    }
  }
}

/// Names points that neither loop passes.
struct Unused: Hook {
  static var points: HookPoints { [.didClaim, .didSettle, .leaseLost, .didGiveUp] }
  func didClaim(_ job: borrowing ClaimedJob) { print("claimed") }
  func didSettle(_ run: borrowing SettledRun) async { print("settled") }
  func leaseLost(_ job: borrowing ClaimedJob) { print("lost") }
  func didGiveUp(_ job: borrowing GivenUpJob, database: String) { print("given up") }
}

/// Does a little at each point of both loops.
struct Busy: Hook {
  static var points: HookPoints {
    [.willEnqueue, .serialize, .didEnqueue, .deserialize, .willWork, .around, .didWork]
  }
  func willEnqueue(_ job: inout NewJob) throws { job.priority &+= 1 }
  func serialize(_ job: inout NewJob) throws { job.priority &+= 1 }
  func didEnqueue(_ job: borrowing NewJob, result: EnqueueResult) async {
    if job.priority < 0 { print(result) }
  }
  func deserialize(_ job: inout ClaimedJob) throws { job.payload.codec = .json }
  func willWork(_ context: JobContext) async throws { if context.attempt > 1 { print(context.id) } }
  func around<Result: Sendable, Failure: Error>(
    _ context: JobContext, _ body: () async throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    if context.attempt > 1 { print(context.id) }
    return try await body()
  }
  func didWork(_ run: borrowing FinishedRun) async { if run.duration < .zero { print(run.duration) } }
}

/// Stores nothing.
struct NoDriver: Driver {
  let name = "none"
  let capabilities: Capabilities = []
  let limits = Limits()
  let doorbell = Doorbell()
  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    jobs.map { .inserted(Int64($0.priority)) }
  }
  func claim(_ request: ClaimRequest) async throws(QudoError) -> Claim { Claim() }
  func settle(
    _ settlements: [Settlement], claiming next: ClaimRequest?
  ) async throws(QudoError) -> (results: [SettleResult], claim: Claim?) { ([], nil) }
  func renew(_ leases: [Lease], for duration: Duration) async throws(QudoError) -> [Lease?] { [] }
  func promote(limit: Int) async throws(QudoError) -> Int { 0 }
  func jobs(matching query: JobQuery) async throws(QudoError) -> [StoredJob] { [] }
  func count(_ kinds: [Kind]?) async throws(QudoError) -> [JobCount] { [] }
  func close() async {}
}
