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

/// Workers of a kind with a limit are killed with SIGKILL, several at once, at random moments: the limit is never exceeded, and
/// no place is lost.
///
/// `QUDO_EVIDENCE_SECONDS` says for how long that goes on; by default it is a few kills, and
/// more in CI, which sets `QUDO_CI`.
@Suite(.waitsForProcesses, .timeLimit(.minutes(5 + Int(Evidence.seconds) / 60))) struct LimitKillTests {
  @Test("kills leave the limit as it is, and no place taken") func kills() async throws {
    let place = try CommandWorkspace()
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    let (limit, batch) = (2, 40)
    var (kills, looks, enqueued) = (0, 0, 0)
    for seed in Evidence.seeds(atLeast: 8, few: 2) {
      var random = Seeded(seed: seed)
      // As many as there were before the last kills.
      let missing = batch - (try await waiting(driver))
      _ = try await driver.insert((0..<missing).map { _ in NewJob("a") })
      enqueued += missing
      let before = batch
      let workers = try (0..<3).map { _ in
        try place.start(
          "work", "a=sleep 0.005", "--limit", "a=\(limit)", "--concurrency", "4", "--durability", "normal")
      }
      // Some are done, and then a moment of the seed's choice.
      var now = before
      while now > before - 4 {
        let count = try await driver.count().first ?? JobCount("a")
        #expect(count.running <= limit, "\(count.running) jobs are running")
        now = count.ready + count.running
        looks += 1
      }
      usleep(UInt32.random(in: 0...20_000, using: &random))
      for worker in workers.shuffled(using: &random) { worker.kill(SIGKILL) }
      for worker in workers { _ = try worker.end() }
      kills += workers.count
    }
    let work = ["--limit", "a=\(limit)", "--concurrency", "4", "--until-empty"]
    let rest = try place.qudo(["work", "a=true"] + work, input: Data())
    #expect(rest.status == 0)
    // If a dead worker still held a place, these could not wait for each other.
    _ = try await driver.insert((0..<limit).map { _ in NewJob("a") })
    let meet = "touch held.$QUDO_JOB_ID; until [ $(ls | grep -c held) = \(limit) ]; do sleep 0.01; done"
    #expect(try place.qudo(["work", "a=sh -c '\(meet)'"] + work, input: Data()).status == 0)
    #expect(try await driver.count() == [])
    #expect(try await driver.failures(LogQuery()) == [])
    await driver.close()
    Evidence.report(
      "kills at a limit", "\(kills) kills, \(enqueued) jobs, \(looks) looks, never above \(limit)")
  }

  private func waiting(_ driver: SQLiteDriver) async throws -> Int {
    try await driver.count().reduce(0) { $0 + $1.ready + $1.running }
  }
}
