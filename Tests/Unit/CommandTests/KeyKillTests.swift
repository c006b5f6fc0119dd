import CSQLite
import Evidence
import Foundation
import Qudo
import QudoSQLite
import QudoTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Workers of jobs with concurrency keys are killed with SIGKILL, several at once, at random moments: the jobs of each key run in
/// their order, and no place is left behind.
///
/// `QUDO_EVIDENCE_SECONDS` says for how long that goes on; by default it is a few kills, and
/// more in CI, which sets `QUDO_CI`.
@Suite(.waitsForProcesses, .timeLimit(.minutes(5 + Int(Evidence.seconds) / 60))) struct KeyKillTests {
  @Test("kills leave the order of each key as it is, and no place taken") func kills() async throws {
    let place = try CommandWorkspace()
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    let (keys, batch) = (5, 40)
    var (kills, enqueued) = (0, 0)
    // Each run notes its job when it ends: a killed one does not, or it was the last thing that it did.
    let command = "a=sh -c 'exec 3>>alive; sleep 0.005; echo {} >> order'"
    let alive = try place.lifeline("alive")
    for seed in Evidence.seeds(atLeast: 8, few: 2) {
      var random = Seeded(seed: seed)
      let missing = batch - (try await unfinished(driver))
      _ = try await driver.insert(
        (0..<missing).map { index in
          let key = (enqueued + index) % keys
          return NewJob(
            "a", payload: Payload("\(key)/\(enqueued + index)"), concurrencyKey: ConcurrencyKey("k\(key)"))
        })
      enqueued += missing
      let workers = try (0..<3).map { _ in
        try place.start("work", command, "--concurrency", "4", "--durability", "normal")
      }
      // Some are done, and then a moment of the seed's choice.
      var now = batch
      while now > batch - 4 {
        let count = try await driver.count().first ?? JobCount("a")
        #expect(count.running <= keys, "\(count.running) jobs are running")
        now = count.ready + count.running + count.held
      }
      usleep(UInt32.random(in: 0...20_000, using: &random))
      for worker in workers.shuffled(using: &random) { worker.kill(SIGKILL) }
      for worker in workers { _ = try worker.end() }
      kills += workers.count
      // Their guards end what they ran, a moment after them.
      _ = try alive.rest()
    }
    let rest = try place.qudo(["work", command, "--concurrency", "4", "--until-empty"], input: Data())
    #expect(rest.status == 0)
    #expect(try await driver.count() == [])
    #expect(try await driver.failures(LogQuery()) == [])
    await driver.close()
    try checkOrder(String(contentsOfFile: place.path("order"), encoding: .utf8), keys, enqueued)
    #expect(try rows(place.path("qudo.db")) == 0)
    Evidence.report("kills of keyed jobs", "\(kills) kills, \(enqueued) jobs of \(keys) keys, each in order")
  }

  /// A job may be there twice, if its worker was killed after it; it comes after all before it, and before all after it.
  private func checkOrder(_ text: String, _ keys: Int, _ jobs: Int) throws {
    var last = Array(repeating: -1, count: keys)
    var seen: Set<Int> = []
    for line in text.split(separator: "\n") {
      let numbers = line.split(separator: "/").compactMap { Int($0) }
      try #require(numbers.count == 2)
      #expect(numbers[1] >= last[numbers[0]], "\(numbers[1]) after \(last[numbers[0]]) of key \(numbers[0])")
      last[numbers[0]] = numbers[1]
      seen.insert(numbers[1])
    }
    #expect(seen.count == jobs)
  }

  /// Returns how many places are taken, and jobs held.
  private func rows(_ path: String) throws -> Int32 {
    var (handle, statement): (OpaquePointer?, OpaquePointer?)
    defer { sqlite3_close(handle) }
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    defer { sqlite3_finalize(statement) }
    let sql = "SELECT (SELECT count(*) FROM qudo_admitted) + (SELECT count(*) FROM qudo_held)"
    try #require(sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    return sqlite3_column_int(statement, 0)
  }

  private func unfinished(_ driver: SQLiteDriver) async throws -> Int {
    try await driver.count().reduce(0) { $0 + $1.ready + $1.running + $1.held }
  }
}
