import Qudo
import QudoSQLite

/// What a file has for its users. Jobs are named by their payloads.
struct JobTable: Hashable, CustomStringConvertible {
  /// In the order in which they are claimed.
  var ready: [String] = []
  var running: Set<String> = []
  var delayed: Set<String> = []
  /// A replayed one ends in `>`.
  var failures: [String] = []
  var statuses: [String] = []
  var pauses: [String] = []

  var live: [String] { (ready + running + delayed).sorted() }

  var description: String {
    "ready \(ready), running \(running.sorted()), delayed \(delayed.sorted()), failures \(failures), statuses \(statuses), pauses \(pauses)"
  }

  /// A job that is ready, since its driver was closed, is run by its lease all the same.
  func running(_ name: String) -> JobTable {
    guard ready.contains(name) else { return self }
    var table = self
    table.ready.removeAll { $0 == name }
    table.running.insert(name)
    return table
  }

  func with(ready names: [String]) -> JobTable {
    var table = self
    table.ready += names
    return table
  }

  /// Moves ready jobs to the failure log.
  func ending(_ message: String, where ends: (String) -> Bool) -> JobTable {
    var table = self
    table.ready.removeAll(where: ends)
    table.failures += Array(repeating: message, count: ready.count - table.ready.count)
    table.failures.sort()
    return table
  }

  /// After a claim that found the jobs past their expiry.
  var expired: JobTable { ending("the job still waited at its expiry", where: Self.lapses) }

  /// Whether a job of this name expires.
  static func lapses(_ name: String) -> Bool { name.hasPrefix("x") }

  /// Whether it may be found so by another process: it finds the running jobs of dead ones ready, where they stood.
  func allows(_ found: JobTable) -> Bool {
    let recovered = running.subtracting(found.running)
    return found.running.isSubset(of: running) && found.ready.filter { !recovered.contains($0) } == ready
      && found.ready.count == ready.count + recovered.count && recovered.isSubset(of: found.ready)
      && found.delayed == delayed && found.failures == failures && found.statuses == statuses
      && found.pauses == pauses
  }

  /// As a driver tells it.
  static func read(_ driver: SQLiteDriver) async throws(QudoError) -> JobTable {
    let jobs = try await driver.jobs(matching: JobQuery(limit: 1000))
    var table = JobTable()
    let ready = jobs.filter { $0.state == .ready }
    table.ready = ready.sorted { ($0.dueAt.microseconds, $0.id) < ($1.dueAt.microseconds, $1.id) }.map(
      \.payload.text)
    table.running = Set(jobs.filter { $0.state == .running }.map(\.payload.text))
    table.delayed = Set(jobs.filter { $0.state == .delayed }.map(\.payload.text))
    let failures = try await driver.failures(LogQuery(limit: 1000))
    table.failures = failures.map { $0.message + ($0.replayedAs == nil ? "" : ">") }.sorted()
    table.statuses = try await driver.statuses(LogQuery(limit: 1000)).map {
      "\($0.payload.text) \($0.status)"
    }.sorted()
    table.pauses = try await driver.pauses().map { "\($0.kind?.name ?? "everything")" }
    return table
  }
}

extension Payload {
  /// Up to the first space; what follows only fills pages.
  var text: String { String(decoding: bytes.prefix { $0 != 32 }, as: UTF8.self) }
}
