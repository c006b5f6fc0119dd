#if QUDO_INTERLEAVINGS
import CSQLite
import Evidence
import Qudo
import QudoSQLite
import QudoTesting
import Testing

extension Interleavings {
  /// The clock stands still, so that no poll comes to the help of a worker that was not woken.
  @Suite(.enabled(if: Evidence.isAsked)) struct WakingTests {
    @Test func noWakeUpIsLost() async throws {
      await interleavings("waking idle workers", "wake-ups", seeds: 40) { seed, random in
        let (file, clock) = (try JobFile(), ManualClock())
        let (driver, other) = (try file.open(clock), try file.open(clock))
        let application = try Application(file.path)
        let runs = Runs()
        var options = WorkerOptions()
        options.concurrency = random.number(1...3)
        // Then it listens only while nothing runs, and starts again after each run.
        if random.once(in: 2) { options.maxPrefetch = 0 }
        options.clock = clock
        options.logger = quiet
        let handler = JobHandler("a") { context in
          runs.begin(context.payload.name)
          runs.end(context.payload.name, completes: true)
        }
        let worker = try Worker(Queue(driver), handlers: [handler], options: options)
        let works = (0..<random.number(1...2)).map { _ in Task { try await worker.work() } }
        // Where others enqueue as well, they wake whoever has missed it: so in half of the rounds nobody else does.
        let (callers, count) = random.once(in: 2) ? (1, 36) : (random.number(2...3), 12)
        await withTaskGroup(of: Void.self) { group in
          for caller in 0..<callers {
            let ways = (0..<count).map { _ in
              (random.number(0...4), random.once(in: 2) ? random.number(0...30) : random.number(0...400))
            }
            group.addTask {
              for (index, (way, pause)) in ways.enumerated() {
                let name = "\(caller).\(index)"
                await giveWay(pause)
                do {
                  switch way {
                  case 0...1: _ = try await driver.insert([job(name)])
                  case 2...3: _ = try await other.insert([job(name)])
                  default: try application.insert(job(name), driver)
                  }
                } catch {
                  Issue.record("seed \(seed): \(error)")
                }
                await runs.begins(name)
              }
            }
          }
        }
        for work in works { work.cancel() }
        for work in works { _ = try await work.value }
        try runs.check()
        await driver.close()
        await other.close()
        return callers * count
      }
    }
  }
}

/// An application with a connection of its own, on which it enqueues in its own transactions.
private final class Application: Sendable {
  private struct Connection: @unchecked Sendable {  // reason: it is used under the lock only
    var handle: OpaquePointer?
  }
  private let connection: Locked<Connection>

  init(_ path: String) throws {
    var handle: OpaquePointer?
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw Wrong("no connection of the application's") }
    sqlite3_exec(
      handle, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 20000", nil,
      nil, nil)
    connection = Locked(Connection(handle: handle))
  }

  deinit { connection.withLock { _ = sqlite3_close($0.handle) } }

  func insert(_ job: NewJob, _ driver: SQLiteDriver) throws {
    try connection.withLock { connection in
      let handle = connection.handle
      guard sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK else {
        throw Wrong("no transaction of the application's")
      }
      _ = try driver.insert([job], in: handle)
      guard sqlite3_exec(handle, "COMMIT", nil, nil, nil) == SQLITE_OK else {
        throw Wrong("no commit of the application's")
      }
    }
  }
}
#endif
