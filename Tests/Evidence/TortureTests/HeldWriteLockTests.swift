import Foundation
import ProcessSupport
import Qudo
import QudoSQLite
import QudoTesting
import Testing

/// Another process keeps all of Qudo's writers from the file, and stands still.
@Suite(.timeLimit(.minutes(5))) struct HeldTurnTests {
  @Test("stops an idle worker and closes the file beside a stopped process that keeps the turn") func closes()
    async throws
  {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "qudo-held-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let (database, log) = (
      folder.appendingPathComponent("held.db").path, folder.appendingPathComponent("holder.log").path
    )
    let driver = try SQLiteDriver(path: database, busyTimeout: .milliseconds(300))
    _ = try await driver.insert([NewJob("other")])
    let worker = try Worker(Queue(driver), handlers: [JobHandler("a") { _ in }], concurrency: 1)
    let work = Task { try await worker.work() }
    let holder = try ChildProcess(try built("TortureProcess").path, ["hold-turn", database, log, "1"])
    defer {
      holder.kill(SIGKILL)
      _ = holder.end(within: 60)
      try? FileManager.default.removeItem(at: folder)
    }
    while (try? String(contentsOfFile: log, encoding: .utf8))?.isEmpty ?? true {
      try await Task.sleep(for: .milliseconds(5))
    }
    holder.stop()
    async let late = { () async -> QudoError.Code? in
      do throws(QudoError) {
        _ = try await driver.insert([NewJob("late")])
        return nil
      } catch { return error.code }
    }()
    work.cancel()
    _ = try await work.value
    #expect(await late == .busy)
    await driver.close()
    #expect(holder.isRunning)
    holder.kill(SIGKILL)
    _ = holder.end(within: 60)
    let again = try SQLiteDriver(path: database)
    #expect(try await again.count() == [JobCount("other", ready: 1)])
    await again.close()
  }
}
