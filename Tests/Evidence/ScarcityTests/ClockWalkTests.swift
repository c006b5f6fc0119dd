import Evidence
import Foundation
import Logging
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Two workers on one file, each with jobs that take their time, while the wall clock is set.
@Suite(.enabled(if: Evidence.isAsked)) struct ClockWalkTests {
  /// The jobs that began, and may not end yet.
  private final class Runs: Sendable {
    private struct State {
      var counts: [String: Int] = [:]
      var isOpen = false
      var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Locked(State())

    func begin(_ name: String) async {
      await withCheckedContinuation { continuation in
        let goesOn = state.withLock { state in
          state.counts[name, default: 0] += 1
          if !state.isOpen { state.waiting.append(continuation) }
          return state.isOpen
        }
        if goesOn { continuation.resume() }
      }
    }

    func open() {
      let waiting = state.withLock { state in
        state.isOpen = true
        defer { state.waiting = [] }
        return state.waiting
      }
      for one in waiting { one.resume() }
    }

    var counts: [String: Int] { state.withLock { $0.counts } }
  }

  private static let jobs = 12

  @Test(.timeLimit(.minutes(5 + Int(Evidence.seconds) / 30)))
  func noJumpOfTheWallClockLosesAJobOrRunsOneTwice() async throws {
    var (walks, jumps, wakes) = (0, 0, 0)
    for seed in Evidence.seeds(atLeast: 15) {
      let walk = try await walk(seed)
      walks += 1
      jumps += walk.jumps
      wakes += walk.wakes
    }
    Evidence.report(
      "scarcity, clock",
      "\(walks) walks, \(jumps) jumps of the wall clock of up to two hours, \(wakes) wakes, \(walks * Self.jobs) jobs ran once"
    )
  }

  private func walk(_ seed: UInt64) async throws -> (jumps: Int, wakes: Int) {
    var random = Seeded(seed: seed)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-clock-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (clock, runs) = (ManualClock(), Runs())
    let start = clock.now().wall
    let drivers = try (0..<2).map { _ in
      try SQLiteDriver(path: folder.appendingPathComponent("jobs.db").path, durability: .normal, clock: clock)
    }
    _ = try await drivers[0].insert(
      (0..<Self.jobs).map { number in
        let due: Due = number < 4 ? .now : .after(.seconds(Int.random(in: 1...7200, using: &random)))
        return NewJob("a", payload: Payload("\(number)"), due: due)
      })
    let works = try drivers.map { driver in
      var options = WorkerOptions()
      options.concurrency = Self.jobs
      options.clock = clock
      // The clock jumps by years.
      options.retention = nil
      options.logger.logLevel = .critical
      let handler = JobHandler("a") { await runs.begin(String(decoding: $0.payload.bytes, as: UTF8.self)) }
      let worker = try Worker(Queue(driver), handlers: [handler], options: options)
      return Task { try await worker.work() }
    }
    var (jumps, wakes) = (0, 0)
    func pass() async throws {
      // Each of the two waits for its next moment: a renewal, or its poll.
      await clock.sleepers(atLeast: 2)
      clock.advance(by: .microseconds(max(0, try #require(clock.nextWake) - clock.sinceBoot())))
      await clock.sleepers(atLeast: 2)
      wakes += 1
    }
    for _ in 0..<25 {
      clock.jump(
        by: .seconds(
          Int.random(in: 0...1, using: &random) == 0 ? 3600 : Int.random(in: -7200...7200, using: &random)))
      clock.jump(by: .seconds(-3600))
      jumps += 2
      for _ in 0..<Int.random(in: 1...4, using: &random) { try await pass() }
      #expect(
        runs.counts.values.allSatisfy { $0 == 1 },
        "seed \(seed): a job of a healthy worker ran again: \(runs.counts)")
    }
    // By now all are due, whatever was done to the clock, and the workers find out at their polls.
    clock.jump(
      by: .microseconds(start.advanced(by: .seconds(86_400)).microseconds - clock.now().wall.microseconds))
    while runs.counts.count < Self.jobs {
      try await pass()
      await Task.yield()
    }
    let running = try await drivers[0].count(nil)
    #expect(running == [JobCount("a", running: Self.jobs)], "seed \(seed): \(running)")
    runs.open()
    for work in works { work.cancel() }
    for work in works { _ = try await work.value }
    #expect(try await drivers[1].count(nil) == [], "seed \(seed): jobs are left")
    #expect(try await drivers[1].failures(LogQuery()).isEmpty, "seed \(seed)")
    #expect(runs.counts.values.allSatisfy { $0 == 1 }, "seed \(seed): a job ran again: \(runs.counts)")
    for driver in drivers { await driver.close() }
    return (jumps, wakes)
  }
}
