import CScarcity
import CSQLite
import Foundation
import Qudo
import QudoSQLite
import QudoTesting

/// A scenario, again and again with the same file and other requests that are refused.
///
/// The clock stands still, so that what a call writes is the same each time, to the byte: after a call that returned the file
/// is as it is without scarcity; after one that threw, as it was before.
struct Rounds {
  let scenario: Scenario
  let folder: String
  private let template: RawFile
  private let file: RawFile
  private let claimed: [ClaimedJob]
  private var before: [String] = []
  private var after: [String] = []
  private var answer = ""
  private(set) var figures = Figures()

  struct Figures {
    var rounds = 0
    var refused = 0
    var threw = 0
    var unknown = 0
    /// How many requests the call makes.
    var requests = 0
  }

  init(_ scenario: Scenario, in folder: String) async throws {
    self.scenario = scenario
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    template = RawFile(path: folder + "/template.db")
    file = RawFile(path: folder + "/jobs.db")
    template.remove()
    let driver = try Self.open(template)
    claimed = try await scenario.prepare(driver)
    await driver.close()
    try await learn()
  }

  static func open(_ file: RawFile) throws -> SQLiteDriver {
    try SQLiteDriver(path: file.path, clock: ManualClock(), logger: quiet)
  }

  /// What happens with enough memory.
  private mutating func learn() async throws {
    try await withDriver { driver in
      before = try file.contents()
      scarcity_fail(0, 0)
      answer = try await scenario.act(driver, claimed)
      figures.requests = scarcity_requests()
      after = try file.contents()
    }
  }

  /// On a new copy of the file.
  private func withDriver(_ body: (SQLiteDriver) async throws -> Void) async throws {
    file.remove()
    try FileManager.default.copyItem(atPath: template.path, toPath: file.path)
    let driver = try Self.open(file)
    if scenario.isPinned {
      try await file.whileReading {
        try await scenario.warmUp?(driver)
        try await body(driver)
      }
    } else {
      try await scenario.warmUp?(driver)
      try await body(driver)
    }
    await driver.close()
  }

  /// - Returns: how many requests were refused.
  mutating func round(_ scarcity: Scarcity) async throws -> Int {
    let (live, used) = (scarcity_live(), sqlite3_memory_used())
    var refused = 0
    try await withDriver { driver in
      let wal = file.wal
      scarcity.begin(file)
      let result: Result<String, any Error>
      do { result = .success(try await scenario.act(driver, claimed)) } catch { result = .failure(error) }
      refused = scarcity.end()
      try check(result, hasWritten: file.wal != wal, scarcity)
      try await goOn(driver, result, scarcity)
      if figures.rounds % 4 == 0 || figures.requests < 100 { try await doOtherThings(driver, scarcity) }
    }
    if figures.rounds % 4 == 0 {
      let found = try file.check()
      try expect(scarcity, found == "ok", "the file is damaged: \(found)")
    }
    let leak = scarcity_live() - live
    try expect(
      scarcity, leak == 0 && sqlite3_memory_used() == used, "\(leak) blocks of memory were not given back")
    figures.rounds += 1
    figures.refused += refused
    return refused
  }

  /// - Parameter hasWritten: else the file cannot have changed.
  private mutating func check(_ result: Result<String, any Error>, hasWritten: Bool, _ scarcity: Scarcity)
    throws
  {
    let now = hasWritten ? try file.contents() : before
    let found = hasWritten ? try file.contentsAfterKill(in: folder) : before
    switch result {
    case .success(let words):
      try expect(
        scarcity, words == answer, "it answered \(words.prefix(500)) instead of \(answer.prefix(500))")
      try expect(scarcity, now == after, "it returned and did not happen wholly: \(difference(after, now))")
      try expect(
        scarcity, found == after,
        "it returned, and a killed process would lose it: \(difference(after, found))")
    case .failure(let error as QudoError) where error.code == .outcomeUnknown:
      figures.unknown += 1
      say("\(scenario.name) \(scarcity) \(error)")
      try expect(scarcity, now == after || now == before, "it was half done: \(difference(before, now))")
      try expect(
        scarcity, found == after || found == before,
        "a killed process finds it half done: \(difference(before, found))")
    case .failure(let error):
      figures.threw += 1
      try expect(
        scarcity, (error as? QudoError)?.code == scarcity.code,
        "it threw \((error as? QudoError)?.code.description ?? "?"): \(error)")
      try expect(scarcity, now == before, "it threw \(error) and did something: \(difference(before, now))")
      try expect(
        scarcity, found == before,
        "it threw \(error), and the next process finds it done: \(difference(before, found))")
    }
  }

  /// With memory again the same call comes to what it always comes to.
  private func goOn(_ driver: SQLiteDriver, _ result: Result<String, any Error>, _ scarcity: Scarcity)
    async throws
  {
    guard case .failure(let error) = result, (error as? QudoError)?.code != .outcomeUnknown else { return }
    do {
      let words = try await scenario.act(driver, claimed)
      try expect(
        scarcity, words == answer,
        "repeated after \(error), it answered \(words.prefix(500)) instead of \(answer.prefix(500))")
      let found = try file.contents()
      try expect(scarcity, found == after, "repeated, it came to something else: \(difference(after, found))")
    } catch let error as QudoError {
      throw Broken("\(scenario.name), \(scarcity): with memory again, \(error.code): \(error)")
    }
  }

  /// And others work too.
  private func doOtherThings(_ driver: SQLiteDriver, _ scarcity: Scarcity) async throws {
    do {
      let syncs = scarcity_syncs()
      let id = try await driver.insert([NewJob("afterwards", payload: Payload("all is well"))])[0].id
      try expect(scarcity, scarcity_syncs() > syncs, "an enqueue was acknowledged that is not on the disk")
      let claim = try await driver.claim(ClaimRequest([.init("afterwards")], limit: 9))
      try expect(scarcity, claim.jobs.map(\.id) == [id], "an enqueue was followed by the wrong claim")
      let settled = try await driver.settle(
        claim.jobs.map { Settlement($0.lease, .completed()) }, claiming: nil
      ).results
      try expect(scarcity, settled == [.settled()], "a claim could not be settled: \(settled)")
      try expect(
        scarcity, try await driver.count(["afterwards"]) == [], "a job was completed and is still there")
    } catch let error as QudoError {
      throw Broken("\(scenario.name), \(scarcity): afterwards, \(error.code): \(error)")
    }
  }

  private func expect(_ scarcity: Scarcity, _ isSo: Bool, _ else: @autoclosure () throws -> String) throws {
    if !isSo { throw Broken("\(scenario.name), \(scarcity): \(try `else`())") }
  }
}

/// A promise that was broken.
struct Broken: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func difference(_ expected: [String], _ found: [String]) -> String {
  let missing = Set(expected).subtracting(found).sorted().prefix(3)
  let more = Set(found).subtracting(expected).sorted().prefix(3)
  return "missing \(missing.map { $0.prefix(200) }), too much \(more.map { $0.prefix(200) })"
}
