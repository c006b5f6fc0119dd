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
    try crew.start([.enqueuer, .enqueuer])
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
    crew.stop([.enqueuer])
    var record = FaultRecord(fault: .enqueuerKilled, server: "", from: Torturer.now)
    for place in places {
      let session = try place.session()
      var waiting = WaitingJobs(longest: Torturer.longestWait)
      let end = ContinuousClock.now + .seconds(20)
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
    var given: Set<String> = []
    for place in places {
      let session = try place.session()
      wrong += try place.broken().map { "\(place.name), at the end: \($0)" }
      given.formUnion(
        try session.rows("SELECT payload FROM qudo_failure WHERE final = 1").map {
          String($0[0].prefix { $0 != ":" })
        })
    }
    let acknowledged = ledger.acknowledged.union(report.records.flatMap(\.added))
    let lost = acknowledged.union(ledger.owed).subtracting(ledger.ran).subtracting(given)
    wrong += lost.sorted().map { "\($0) was acknowledged, never ran, and is not in the failure log" }
    let repeated = ledger.repeated(report.records, killed: crew.killed, lease: Self.lease)
    wrong += repeated.unexplained
    report.acknowledged = acknowledged.count
    report.refused = ledger.refused
    report.longestEnqueue = ledger.enqueues.map(\.took).max() ?? 0
    report.ended = ledger.ended
    report.runs = ledger.runCount
    report.repeated = repeated.count
    return (report, wrong)
  }
}

/// Runs what blocks on a thread of its own.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}
#endif
