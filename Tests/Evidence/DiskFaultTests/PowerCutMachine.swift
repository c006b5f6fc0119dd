import CSQLite
import FaultyDisk
import Foundation
import Logging
import Qudo
import QudoImport
@testable import QudoSQLite
import QudoTesting

/// A driver on a faulty disk, one caller, and the ledger of what the caller was told.
final class PowerCutMachine {
  let disk: FaultyDisk
  let folder: Folder
  let clock: ManualClock
  let durability: SQLiteDriver.Durability
  private(set) var driver: SQLiteDriver?
  /// The application's own connection.
  private var handle: OpaquePointer?
  var ledger: Ledger
  /// Jobs that were claimed.
  private(set) var held: [String: Lease] = [:]
  /// Jobs of drivers that were closed, as long as no claim has taken them back: their leases may still be used.
  private var ownerless: Set<String> = []
  /// Whether the jobs that expire have done so, as soon as a claim looks.
  private var hasLapsed = false
  /// The highest id that a caller was told.
  private(set) var highestID: Int64 = 0
  /// Whether a call has failed.
  var isHurt = false
  private(set) var codes: [QudoError.Code] = []

  init(_ start: Start, _ durability: SQLiteDriver.Durability, isPowersafe: Bool = true) async throws {
    disk = FaultyDisk(isPowersafe: isPowersafe)
    folder = try Folder(try await start.files())
    for end in Folder.ends { disk.adopt(folder.path + end) }
    clock = ManualClock()
    clock.advance(by: .seconds(100))
    self.durability = durability
    ledger = Ledger(start.table)
  }

  /// And looks which jobs of the last driver are ready now: they are taken back by the next claim.
  func open() async throws(QudoError) {
    let driver = try SQLiteDriver(
      path: folder.path, name: "jobs", durability: durability, busyTimeout: .seconds(20), clock: clock,
      logger: Folder.quiet,
      observer: nil, vfs: disk.name)
    let table: JobTable
    do throws(QudoError) {
      table = try await JobTable.read(driver)
    } catch {
      await driver.close()
      throw error
    }
    ownerless.formUnion(ledger.now.flatMap(\.running))
    ownerless.formIntersection(table.ready)
    ledger.found(table)
    self.driver = driver
  }

  func close() async {
    sqlite3_close_v2(handle)
    handle = nil
    await driver?.close()
    driver = nil
  }

  /// - Returns: what the caller was told, unless it was done.
  @discardableResult
  func perform(_ step: Step) async -> QudoError? {
    clock.advance(by: .milliseconds(1))
    do throws(QudoError) {
      if driver == nil { try await open() }
      guard let driver else { return nil }
      try await perform(step, driver)
      return nil
    } catch {
      codes.append(error.code)
      return error
    }
  }

  private func perform(_ step: Step, _ driver: SQLiteDriver) async throws(QudoError) {
    switch step {
    case .enqueue(let names): try await enqueue(names, driver)
    case .join(let names): try await join(names, driver)
    case .claim(let count): try await claim(count, driver)
    case .settle(let endings, let next): try await settle(endings, claiming: next, driver)
    case .extend(let name):
      guard let lease = held[name] else { return }
      let extended = try await call("extend \(name)", isDurable: { _ in false }) {
        () async throws(QudoError) in
        try await driver.renew([lease], for: .seconds(1000))
      } effect: { [ownerless] leases, table in
        ownerless.contains(name) && leases != [nil] ? table.running(name) : table
      }
      if extended != [nil] { ownerless.remove(name) }
      if let extended = extended.first { held[name] = extended }
    case .cancelReady, .lapse, .expire, .pause, .resume: try await control(step, driver)
    case .replay: try await replay(driver)
    case .prune: try await prune(driver)
    case .compact: _ = try await driver.compact()
    case .importing: try await importAll(driver)
    case .reopen:
      await close()
      try await open()
    }
  }

  /// Calls, and notes what it was told.
  ///
  /// - Parameter isDurable: whether something was written that must be on the disk when it is answered.
  private func call<Result>(
    _ what: String, isDurable: (Result) -> Bool, _ call: () async throws(QudoError) -> Result,
    effect: @escaping (Result?, JobTable) -> JobTable?
  ) async throws(QudoError) -> Result {
    do throws(QudoError) {
      let result = try await call()
      ledger.acknowledge(what, isDurable: durability == .full && isDurable(result)) { effect(result, $0) }
      return result
    } catch {
      if error.code == .outcomeUnknown { ledger.doubt { effect(nil, $0) } }
      throw error
    }
  }

  private func note(_ results: [InsertResult]) {
    for case .inserted(let id) in results { highestID = max(highestID, id) }
  }

  private func enqueue(_ names: [String], _ driver: SQLiteDriver) async throws(QudoError) {
    let results = try await call("enqueue \(names)", isDurable: { _ in true }) { () async throws(QudoError) in
      try await driver.insert(names.map(newJob))
    } effect: {
      $1.with(ready: names)
    }
    note(results)
  }

  private func control(_ step: Step, _ driver: SQLiteDriver) async throws(QudoError) {
    switch step {
    case .cancelReady:
      let query = JobQuery(JobFilter(kinds: ["a"], states: [.ready]), limit: 1000)
      _ = try await call("cancel", isDurable: { !$0.isEmpty }) { () async throws(QudoError) in
        try await driver.cancel(matching: query, reason: "cancelled")
      } effect: { jobs, table in
        if let jobs, jobs.count != table.ready.count { return nil }
        return table.ending("cancelled") { _ in true }
      }
    case .lapse(let names):
      let results = try await call("enqueue \(names)", isDurable: { _ in true }) {
        () async throws(QudoError) in
        try await driver.insert(names.map(lapsingJob))
      } effect: {
        $1.with(ready: names.map { "x" + $0 })
      }
      note(results)
    case .expire:
      clock.advance(by: .seconds(2))
      hasLapsed = true
      // A claim is not durable: after a power loss the jobs expire again.
      _ = try await call("expire", isDurable: { _ in false }) { () async throws(QudoError) in
        try await driver.claim(ClaimRequest([], limit: 0))
      } effect: { claim, table in
        if let claim, claim.givenUp.count != table.ready.count(where: JobTable.lapses) { return nil }
        return table.expired
      }
    case .pause(let kind):
      _ = try await call("pause \(kind)", isDurable: { _ in true }) { () async throws(QudoError) in
        try await driver.pause([Kind(kind)], until: nil, reason: nil)
      } effect: { _, table in
        var table = table
        table.pauses = Set(table.pauses + [kind]).sorted()
        return table
      }
    default:
      _ = try await call("resume", isDurable: { !$0.isEmpty }) { () async throws(QudoError) in
        try await driver.resume(nil)
      } effect: { ended, table in
        if let ended, ended.count != table.pauses.count { return nil }
        var table = table
        table.pauses = []
        return table
      }
    }
  }

  private func join(_ names: [String], _ driver: SQLiteDriver) async throws(QudoError) {
    if handle == nil {
      let code = sqlite3_open_v2(folder.path, &handle, SQLITE_OPEN_READWRITE, disk.name)
      guard code == SQLITE_OK else {
        sqlite3_close_v2(handle)
        handle = nil
        throw QudoError(.cannotOpen, "SQLite \(code)")
      }
      sqlite3_exec(handle, "PRAGMA synchronous = \(durability.rawValue)", nil, nil, nil)
    }
    let results = try await call("join \(names)", isDurable: { _ in true }) { () async throws(QudoError) in
      try driver.join(handle) { transaction throws(QudoError) in try transaction.insert(names.map(newJob)) }
    } effect: {
      $1.with(ready: names)
    }
    note(results)
  }

  private func request(_ count: Int) -> ClaimRequest {
    ClaimRequest([.init("a", leaseDuration: .seconds(1000))], limit: count)
  }

  private func claim(_ count: Int, _ driver: SQLiteDriver) async throws(QudoError) {
    let request = request(count)
    let claim = try await call("claim", isDurable: { _ in false }) { () async throws(QudoError) in
      try await driver.claim(request)
    } effect: { [hasLapsed] claim, table in
      Self.claimed(claim, count, hasLapsed ? table.expired : table)
    }
    ownerless = []
    for job in claim.jobs { held[job.payload.text] = job.lease }
  }

  /// The first ones.
  private static func claimed(_ claim: Claim?, _ count: Int, _ table: JobTable) -> JobTable? {
    var table = table
    let first = Array(table.ready.prefix(count))
    if let claim, claim.jobs.map(\.payload.text) != first { return nil }
    table.ready.removeFirst(first.count)
    table.running.formUnion(first)
    return table
  }

  private func settle(_ endings: [String: Step.Ending], claiming count: Int, _ driver: SQLiteDriver)
    async throws(QudoError)
  {
    let names = endings.keys.filter { held[$0] != nil }.sorted()
    let settlements = names.compactMap { name in
      held[name].flatMap { lease in
        endings[name].map { Settlement(lease, $0.outcome(of: name), recording: .seconds(1)) }
      }
    }
    let next = count > 0 ? request(count) : nil
    let answer = try await call("settle \(names)", isDurable: { $0.results.contains { $0 != .leaseLost } }) {
      () async throws(QudoError) in
      try await driver.settle(settlements, claiming: next)
    } effect: { [ownerless] answer, table in
      var table = table
      for (index, name) in names.enumerated() {
        if ownerless.contains(name) { table = table.running(name) }
        let isRunning = table.running.contains(name)
        if let result = answer?.results[index], (result == .leaseLost) == isRunning { return nil }
        if isRunning { table = endings[name]?.effect(on: name, table) ?? table }
      }
      return count > 0 ? Self.claimed(answer?.claim, count, table) : table
    }
    for case .settled(let replacements) in answer.results { note(replacements) }
    for name in names { held[name] = nil }
    if next != nil { ownerless = [] }
    for job in answer.claim?.jobs ?? [] { held[job.payload.text] = job.lease }
  }

  private func replay(_ driver: SQLiteDriver) async throws(QudoError) {
    let all = try await driver.failures(LogQuery(oldestFirst: true, limit: 1000))
    let failures = all.filter { $0.isFinal && $0.replayedAs == nil && $0.payload != nil }
    let results = try await call("replay", isDurable: { !$0.isEmpty }) { () async throws(QudoError) in
      try await driver.replay(failures.map(\.id))
    } effect: { results, table in
      var table = table
      for (index, failure) in failures.enumerated() {
        if let results, case .replayed = results[index] {} else if results != nil { return nil }
        guard let place = table.failures.firstIndex(of: failure.message) else { return nil }
        table.failures[place] += ">"
        table.ready.append(failure.payload?.text ?? "")
      }
      table.failures.sort()
      return table
    }
    for case .replayed(let id) in results { highestID = max(highestID, id) }
  }

  private func prune(_ driver: SQLiteDriver) async throws(QudoError) {
    _ = try await call("prune", isDurable: { _ in false }) { () async throws(QudoError) in
      try await driver.prune(PruneOptions())
    } effect: { count, table in
      if let count, count != table.failures.count + table.statuses.count { return nil }
      var table = table
      (table.failures, table.statuses) = ([], [])
      return table
    }
  }

  private func importAll(_ driver: SQLiteDriver) async throws(QudoError) {
    guard let old = try? OldQueue.make() else { throw QudoError(.cannotOpen, "the old queue cannot be made") }
    let file = try PerlQudoFile(path: old.path)
    _ = try await call("import", isDurable: { _ in true }) { () async throws(QudoError) in
      try await driver.importAll(from: file)
    } effect: { _, table in
      OldQueue.effect(table)
    }
  }
}
