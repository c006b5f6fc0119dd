import Foundation
import Qudo
import QudoSQLite
import QudoSchedules
import QudoTesting
import Testing

/// A file in a folder of its own, and a clock that stands still until a test advances it.
final class ScheduleFile: Sendable {
  /// A Sunday at noon.
  static let start = at("2026-11-29T12:00:00Z")
  let clock = ManualClock(wall: ScheduleFile.start)
  let folder: URL
  let driver: SQLiteDriver
  let ran = Ran()

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("qudo-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    driver = try SQLiteDriver(
      path: folder.appendingPathComponent("jobs.db").path, durability: .off, clock: clock)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  /// The file in another driver, as another process has it.
  func open() throws -> SQLiteDriver {
    try SQLiteDriver(path: folder.appendingPathComponent("jobs.db").path, durability: .off, clock: clock)
  }

  var queue: Queue<NoHooks> { Queue(driver) }
  var schedules: QueueSchedules { queue.schedules }

  /// A worker that notes the ticks of jobs of the kind `tick`.
  func worker(
    _ declared: [Schedule] = [], on driver: SQLiteDriver? = nil,
    _ change: (inout WorkerOptions) -> Void = { _ in }
  ) throws -> Worker<NoHooks> {
    var options = WorkerOptions()
    options.clock = clock
    options.retention = nil
    change(&options)
    let ran = ran
    let handler = JobHandler("tick") { context in
      ran.add("\(context.schedule ?? "none") \(context.scheduledFor?.short ?? "never")")
    }
    return try Worker(
      Queue(driver ?? self.driver), handlers: [handler], plugins: [Schedules(declared)], options: options)
  }

  /// What a worker that starts now runs until nothing is left.
  func ticks(_ declared: [Schedule] = [], on driver: SQLiteDriver? = nil) async throws -> [String] {
    ran.clear()
    try await worker(declared, on: driver).workUntilEmpty()
    return ran.entries
  }
}

/// The jobs that ran, in order, and a way to wait for them.
final class Ran: Sendable {
  private struct State {
    var entries: [String] = []
    var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Locked(State())

  func add(_ text: String) {
    let met = state.withLock { state in
      state.entries.append(text)
      defer { state.waiters.removeAll { $0.count <= state.entries.count } }
      return state.waiters.filter { $0.count <= state.entries.count }.map(\.continuation)
    }
    for waiter in met { waiter.resume() }
  }

  var entries: [String] { state.withLock { $0.entries } }
  func clear() { state.withLock { $0.entries = [] } }

  /// Returns when there are so many entries.
  func count(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isMet = state.withLock { state in
        if state.entries.count < count { state.waiters.append((count, continuation)) }
        return state.entries.count >= count
      }
      if isMet { continuation.resume() }
    }
  }
}

/// A job of the kind `tick` in a schedule.
func schedule(
  _ name: String, _ rule: ScheduleRule, missed: MissedTicks = .latest, skipsOverlap: Bool = false
) -> Schedule {
  Schedule(name, rule, NewJob("tick"), missed: missed, skipsOverlap: skipsOverlap)
}
