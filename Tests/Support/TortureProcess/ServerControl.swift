#if MySQL
import Foundation
import Qudo
import QudoTesting

/// A process that controls jobs of servers: `TortureProcess server-control URL,URL,... LOG SEED`. It cancels, changes, expires and
/// recovers jobs, its own and those of others, and pauses a kind or everything.
///
/// Each answer is written down with the server's time after it: what a claim that began later does must fit it.
struct ServerControl {
  private let queue: Queue<NoHooks>
  private let log: LineLog
  private let name: String
  /// The kind that only this process pauses, and none before it for long.
  private let kind: Kind
  private var random: Seeded
  /// Its newest jobs.
  private var own: [JobID] = []
  /// Each job gets another payload, or an expiry, at most once.
  private var changed: Set<JobID> = []
  private var expiring: Set<JobID> = []
  /// Databases in which a resume may still be carried out.
  private var doubtful: [String: UInt64] = [:]

  init(_ roles: FleetRoles, _ log: LineLog, _ random: Seeded, name: String, number: UInt64) {
    (queue, self.log, self.name, self.random) = (Queue(roles.databases), log, name, random)
    kind = FleetRoles.pausedKinds[Int(number % UInt64(FleetRoles.pausedKinds.count))]
  }

  mutating func run() async throws {
    for round in 0... {
      do {
        try await step(round)
      } catch let error as QudoError {
        log.write("uncontrolled \(error.code)\n")
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 5...60, using: &random)))
    }
  }

  private mutating func step(_ round: Int) async throws {
    switch round == 0 ? 0 : Int.random(in: 0..<12, using: &random) {
    case 0...2: try await enqueue(round)
    case 3, 4: try await cancel()
    case 5: try await cancelMatching()
    case 6: try await change(round)
    case 7: try await expire(round)
    case 8: try await pause()
    case 9: try await cancel()
    case 10: try await putOff()
    default: try await recover()
    }
  }

  /// Some of its own newest jobs, which may have ended.
  private mutating func some(_ count: ClosedRange<Int>) -> [JobID] {
    Array(own.suffix(40).shuffled(using: &random).prefix(Int.random(in: count, using: &random)))
  }

  /// The time of a database, after everything that it has answered.
  private func now(_ database: String) async throws -> Int64 {
    try await queue.databases.control(in: database) { driver throws(QudoError) in
      try await driver.scheduling().dueSchedules(after: nil, limit: 1).now.microseconds
    }
  }

  /// Writes a line for each job, with the time of its database.
  private func tell(_ word: String, _ jobs: [JobID], _ more: (JobID) -> String = { _ in "" })
    async throws
  {
    for (database, jobs) in Dictionary(grouping: jobs, by: \.database) {
      let now = try await now(database)
      log.write(jobs.map { "\(word) \(database) \($0.number) \(now)\(more($0))\n" }.joined())
    }
  }

  // MARK: The verbs

  private mutating func enqueue(_ round: Int) async throws {
    var jobs: [NewJob] = []
    for number in 0..<Int.random(in: 3...10, using: &random) {
      let payload = "\(name)-\(round)-\(number):\(FleetRoles.ways.randomElement(using: &random) ?? "runs")"
      let delay = Duration.milliseconds(Int.random(in: 1...1500, using: &random))
      jobs.append(
        NewJob(
          ([kind, kind] + FleetRoles.kinds).randomElement(using: &random) ?? kind, payload: Payload(payload),
          priority: Int.random(in: -1...1, using: &random),
          due: Bool.random(using: &random) ? .now : .after(delay)))
    }
    own += try await FleetRoles.enqueue(jobs, queue, log)
    own.removeFirst(max(0, own.count - 200))
  }

  private mutating func cancel() async throws {
    let jobs = some(1...4)
    let results = try await queue.cancel(jobs, reason: "as it was told to")
    try await tell(results, of: jobs)
  }

  private func tell(_ results: [CancelResult], of jobs: [JobID]) async throws {
    let pairs = zip(jobs, results)
    try await tell("cancelled", pairs.filter { $0.1 == .cancelled }.map(\.0))
    try await tell("cancelling", pairs.filter { $0.1 == .cancelling }.map(\.0))
  }

  /// Its own jobs of a sort, or a few of others.
  private mutating func cancelMatching() async throws {
    let isOwn = Bool.random(using: &random)
    var filter = JobFilter(kinds: isOwn ? [kind] : ["other"], states: [.ready, .delayed])
    if isOwn { filter.payloadContains = Array("\(name)-".utf8) } else { filter.priority = 1...1 }
    let database = queue.databases.names.randomElement(using: &random) ?? ""
    let query = JobQuery(filter, limit: Int.random(in: 1...20, using: &random))
    let found = try await queue.databases.control(in: database) { driver throws(QudoError) in
      try await driver.cancel(matching: query, reason: "as others")
    }
    try await tell(found.map(\.result), of: found.map { JobID(database: database, number: $0.id) })
  }

  /// A new job that waits for so long that a verb meets it, or one of its others.
  private mutating func waiting(_ round: Int) async throws -> JobID? {
    guard Int.random(in: 0..<4, using: &random) > 0 else { return some(1...1).first }
    let delay = Duration.milliseconds(Int.random(in: 200...1500, using: &random))
    let job = NewJob(
      FleetRoles.kinds.randomElement(using: &random) ?? kind, payload: Payload("\(name)-\(round)-0:runs"),
      due: .after(delay))
    let new = try await FleetRoles.enqueue([job], queue, log)
    own += new
    return new.first
  }

  /// Gives a job a payload that says that it was changed, and of which the beginning stays.
  private mutating func change(_ round: Int) async throws {
    guard let job = try await waiting(round), !changed.contains(job) else { return }
    guard let payload = try await queue.job(job)?.payload else { return }
    let change = JobChange(
      priority: Int.random(in: -1...1, using: &random),
      payload: Payload(String(decoding: payload.bytes, as: UTF8.self) + ":changed"))
    // Whatever the answer is: it may be changed.
    changed.insert(job)
    if try await queue.change(job, change) == .changed { try await tell("changed", [job]) }
  }

  /// Another due time, for as many jobs as there are.
  private mutating func putOff() async throws {
    let delay = Duration.milliseconds(Int.random(in: 1...1000, using: &random))
    let jobs = some(1...4)
    let results = try await queue.change(
      jobs, JobChange(due: Bool.random(using: &random) ? .now : .after(delay)))
    try await tell("moved", zip(jobs, results).filter { $0.1 == .changed }.map(\.0))
  }

  private mutating func expire(_ round: Int) async throws {
    guard let job = try await waiting(round), expiring.insert(job).inserted else { return }
    let end = try await now(job.database) + Int64.random(in: 1_000...900_000, using: &random)
    guard try await queue.change(job, JobChange(expires: .at(Timestamp(microseconds: end)))) == .changed
    else {
      return
    }
    try await tell("expires", [job]) { _ in " \(end)" }
  }

  private mutating func recover() async throws {
    let database = queue.databases.names.randomElement(using: &random) ?? ""
    let running = try await queue.databases.control(in: database) { driver throws(QudoError) in
      try await driver.jobs(matching: JobQuery(states: [.running], limit: 20)).map(\.id)
    }
    let jobs = running.shuffled(using: &random).prefix(2).map { JobID(database: database, number: $0) }
    log.write(jobs.map { "recovering \(database) \($0.number) 0\n" }.joined())
    let results = try await queue.recover(jobs)
    try await tell("recovered", zip(jobs, results).filter { $0.1 == .recovered }.map(\.0))
  }

  /// Pauses its kind for a moment, or everything. A pause ends by itself if this process dies.
  private mutating func pause() async throws {
    let database = queue.databases.names.randomElement(using: &random) ?? ""
    guard doubtful[database, default: 0] < TortureProcess.nanoseconds() else { return }
    let kinds: [Kind]? = Int.random(in: 0..<8, using: &random) == 0 ? nil : [kind]
    let pause = Duration.milliseconds(
      kinds == nil ? Int.random(in: 100...400, using: &random) : Int.random(in: 100...1200, using: &random))
    // Until it is known how this ends: by then, whatever is on its way has arrived.
    doubtful[database] = TortureProcess.nanoseconds() + 15_000_000_000
    let (end, now) = try await queue.databases.control(in: database) {
      driver throws(QudoError) -> (Int64?, Int64) in
      try await driver.pause(
        kinds, until: .after(kinds == nil ? .milliseconds(600) : .seconds(6)), reason: nil)
      let pauses = try await driver.pauses()
      let pause = pauses.first { $0.kind == kinds?.first }
      return (
        pause?.endsAt?.microseconds,
        try await driver.scheduling().dueSchedules(after: nil, limit: 1).now.microseconds
      )
    }
    try? await Task.sleep(for: pause)
    // It lasts until now at least.
    let last = TortureProcess.nanoseconds()
    if let end { log.write("paused \(database) \(kinds?.first?.name ?? "*") \(now) \(end) \(last)\n") }
    doubtful[database] = last + 15_000_000_000
    if let kinds {
      _ = try await queue.databases.control(in: database) { driver throws(QudoError) in
        try await driver.resume(kinds)
      }
    }
    doubtful[database] = 0
  }
}
#endif
