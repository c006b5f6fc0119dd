#if MySQL
import Foundation
import Qudo

/// Two servers, the processes that use them, and one torturer for each server.
struct ServerTorture: Sendable {
  /// Of the jobs' leases, in seconds.
  private static let lease = 2.0
  private let places: [TorturedServer]
  private let crew: Crew
  private let seed: UInt64

  init(seed: UInt64) async throws {
    self.seed = seed
    let (one, two) = (Task { try await TorturedServer("one") }, Task { try await TorturedServer("two") })
    places = [try await one.value, try await two.value]
    crew = try Crew(places, seed: seed)
  }

  /// - Returns: the figures, and what went wrong.
  func run(for duration: Duration) async throws -> (Report, wrong: [String]) {
    try crew.start([seed % 2 == 0 ? .worker : .workers])
    try await onThread { try waitForTables() }
    try crew.start([.enqueuer, .enqueuer, .controller])
    var report = Report()
    report.records = try await withThrowingTaskGroup(of: [FaultRecord].self) { group in
      for (index, place) in places.enumerated() {
        let seed = seed &+ UInt64(index) &* 7919
        group.addTask { [crew] in
          try await onThread {
            var torturer = Torturer(place, crew, seed: seed)
            return try torturer.run(for: duration)
          }
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    report.last = try await onThread { try finish() }
    let wrong = try await onThread { [report] in try judge(report) }
    return (wrong.report, wrong.wrong)
  }

  private func waitForTables() throws {
    let end = ContinuousClock.now + .seconds(30)
    for place in places {
      while true {
        do {
          _ = try place.broken()
          break
        } catch {
          guard ContinuousClock.now < end else { throw error }
          wait(.milliseconds(20))
        }
      }
    }
  }

  /// Nobody enqueues any more: until the workers have done all that can be done.
  private func finish() throws -> FaultRecord {
    crew.stop([.enqueuer, .controller])
    var record = FaultRecord(fault: .enqueuerKilled, server: "", from: Torturer.now)
    for place in places {
      let session = try place.session()
      var waiting = WaitingJobs(longest: Torturer.longestWait)
      // The last pauses end by themselves.
      let end = ContinuousClock.now + .seconds(30)
      while ContinuousClock.now < end, try session.rows("SELECT 1 FROM qudo_job LIMIT 1") != [] {
        try waiting.look(session)
        wait(.milliseconds(50))
      }
      record.waits += waiting.waits
      record.broken.formUnion(waiting.late.map { "\(place.name): \($0)" })
      let states =
        "SELECT 'ready', id FROM qudo_ready UNION ALL SELECT 'delayed', id FROM qudo_delayed UNION ALL SELECT 'running', id FROM qudo_running UNION ALL SELECT 'held', id FROM qudo_held"
      for row in try session.rows(states) {
        record.broken.insert("\(place.name)/\(row[1]) is left, \(row[0])")
      }
      for row in try session.rows("SELECT name FROM qudo_key") {
        record.broken.insert("\(place.name): the concurrency key \(row[0]) is left")
      }
    }
    crew.stop([.worker, .workers])
    return record
  }

  private func judge(_ report: Report) throws -> (report: Report, wrong: [String]) {
    var report = report
    let ledger = try Ledger(crew.folder)
    var wrong = report.records.flatMap { record in
      record.broken.map { "\(record.server), after \(record.fault.rawValue): \($0)" }
    }
    wrong += report.last.broken
    wrong += try crew.complaints() + ledger.reused
    var ends: [String: [JobEnd]] = [:]
    for place in places {
      let session = try place.session()
      wrong += try place.broken().map { "\(place.name), at the end: \($0)" }
      for end in try JobEnd.all(of: place, session) { ends[end.job, default: []].append(end) }
    }
    wrong += ends.filter { $0.value.count > 1 }.map { job, ends in
      "\(job) has ended more than once: \(ends.map(\.how).joined(separator: ", "))"
    }
    wrong += ledger.acknowledged.filter { ends[$0.key] == nil }.map {
      "\($0.key), \($0.value), was acknowledged and has no end"
    }
    let names = Set(ends.values.joined().map(\.name))
    let owed = report.records.flatMap(\.added) + ends.values.joined().compactMap(\.owed)
    wrong += Set(owed).subtracting(names).sorted().map { "\($0) was acknowledged and has no end" }
    wrong += ledger.disobedient()
    let repeated = ledger.repeated(report.records, killed: crew.killed, lease: Self.lease)
    wrong += repeated.unexplained
    report.acknowledged = ledger.acknowledged.count + report.records.reduce(0) { $0 + $1.added.count }
    report.controls = ledger.controlCounts
    report.uncontrolled = ledger.uncontrolled
    for job in ledger.acknowledged.keys {
      for end in ends[job] ?? [] { report.ends[end.how, default: 0] += 1 }
    }
    report.refused = ledger.refused
    report.longestEnqueue = ledger.enqueues.map(\.took).max() ?? 0
    report.ended = ledger.ended
    report.runs = ledger.runCount
    report.repeated = repeated.count
    return (report, wrong)
  }
}

/// How a job has ended: its run in the status log, or its row in the failure log.
private struct JobEnd {
  let job: String
  let how: String
  let name: String
  /// The job that it left behind.
  let owed: String?

  private static let query = """
    SELECT job, payload, 'completed' FROM qudo_status WHERE status IN (0, 1) UNION ALL
    SELECT job, payload, CONCAT('reason ', reason) FROM qudo_failure WHERE final = 1
    """

  static func all(of place: TorturedServer, _ session: ServerSession) throws -> [JobEnd] {
    try session.rows(query).map { row in
      let words = row[1].split(separator: ":")
      let name = words.first.map(String.init) ?? ""
      let isOwing = row[2] == "completed" && words.count > 1 && words[1] == "replaces"
      return JobEnd(
        job: "\(place.name)/\(row[0])", how: row[2], name: name, owed: isOwing ? "\(name)-next" : nil)
    }
  }
}

/// Runs what blocks on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
#endif
