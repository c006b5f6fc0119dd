import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

/// A newer version migrates the file while an older one, which is this one, has it open.
@Suite struct NewerSchemaTests {
  let file: TemporaryFile
  let clock = ManualClock()
  let driver: SQLiteDriver

  init() throws {
    file = try TemporaryFile()
    driver = try file.open(clock: clock)
  }

  private func migrate() throws {
    try file.execute(
      """
      ALTER TABLE qudo_ready RENAME COLUMN rank TO standing; ALTER TABLE qudo_job RENAME COLUMN codec TO coding;
      INSERT INTO qudo_schema SELECT max(version) + 1, 0, max(version) + 1, max(version) + 1 FROM qudo_schema
      """)
  }

  @Test("a worker of the older version ends", .timeLimit(.minutes(5)))
  func workerEnds() async throws {
    _ = try await driver.insert([job()])
    try migrate()
    var options = WorkerOptions()
    options.clock = clock
    let worker = try Worker(Queue(driver), handlers: [JobHandler("a") { _ in }], options: options)
    await #expect { try await worker.work() } throws: { ($0 as? QudoError)?.code == .newerSchema }
  }

  @Test("each verb says what is wrong and what to do")
  func verbs() async throws {
    _ = try await driver.insert([job()])
    _ = try await driver.jobs(matching: JobQuery())
    try migrate()
    let verbs: [@Sendable (SQLiteDriver) async throws -> Void] = [
      { _ = try await $0.insert([job()]) }, { _ = try await $0.claim(demand()) },
      { _ = try await $0.jobs(matching: JobQuery()) },
    ]
    for verb in verbs {
      await #expect { try await verb(driver) } throws: {
        guard let error = $0 as? QudoError else { return false }
        return error.code == .newerSchema && error.message.contains(file.path)
          && error.message.contains("update this program")
      }
    }
  }

  @Test("an error of a file that nobody has migrated is as before")
  func notMigrated() async throws {
    _ = try await driver.insert([job()])
    try file.execute("ALTER TABLE qudo_ready RENAME COLUMN rank TO standing")
    await #expect { try await driver.claim(demand()) } throws: { ($0 as? QudoError)?.code == .database }
  }
}
