import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting

/// The files that a scenario begins with.
enum Start: Sendable, CaseIterable {
  case missing
  case empty
  /// Of schema 1, with a job in each state.
  case old
  /// A process died: all is in the WAL.
  case crashed
  /// Its WAL is about to be checkpointed.
  case fullWAL

  /// By the ends of their names.
  func files() async throws -> [String: [UInt8]] {
    if let files = Self.made.withLock({ $0[self] }) { return files }
    let files = try await make()
    Self.made.withLock { $0[self] = files }
    return files
  }

  private static let made = Locked<[Start: [String: [UInt8]]]>([:])

  var table: JobTable {
    switch self {
    case .missing, .empty: JobTable()
    case .old: JobTable(ready: ["ready"], running: ["running"], delayed: ["delayed"], failures: ["broke"])
    case .crashed: JobTable(ready: ["a", "b", "c"])
    case .fullWAL: JobTable(ready: ["b"], running: ["a"])
    }
  }

  private func make() async throws -> [String: [UInt8]] {
    switch self {
    case .missing: return [:]
    case .empty: return try await Self.make { _ in }
    case .old: return try Self.makeOld()
    case .crashed:
      return try await Self.make(isClosed: false) { _ = try await $0.insert(["a", "b", "c"].map(newJob)) }
    case .fullWAL: return try await Self.make(isClosed: false, Self.fill)
    }
  }

  private static func fill(_ driver: SQLiteDriver) async throws {
    _ = try await driver.insert(["a", "b"].map(newJob))
    guard var lease = try await driver.claim(ClaimRequest([.init("a")], limit: 1)).jobs.first?.lease else {
      return
    }
    let wal = driver.reader.path + "-wal"
    while let size = try FileManager.default.attributesOfItem(atPath: wal)[.size] as? Int,
      size < 1_990 * (2048 + 24)
    {
      if let next = try await driver.renew([lease], for: .seconds(1000)).first, let next { lease = next }
    }
  }

  /// What a driver leaves.
  private static func make(isClosed: Bool = true, _ body: (SQLiteDriver) async throws -> Void) async throws
    -> [String: [UInt8]]
  {
    let folder = try Folder([:])
    let driver = try SQLiteDriver(
      path: folder.path, name: "jobs", durability: .off, clock: ManualClock(), logger: Folder.quiet)
    try await body(driver)
    if isClosed { await driver.close() }
    // The locks of an open file are lost by this; nobody else needs them.
    let files = folder.files()
    if !isClosed { await driver.close() }
    return files
  }

  private static func makeOld() throws -> [String: [UInt8]] {
    guard let first = Schema.migrations.first else { return [:] }
    let folder = try Folder([:])
    try folder.run(
      """
      PRAGMA journal_mode = WAL;
      BEGIN;
      \(first.sql)
      INSERT INTO qudo_schema VALUES(1, 1700000000000000, 1, 1);
      INSERT INTO qudo_info VALUES('name', 'old');
      INSERT INTO qudo_kind VALUES(1, 'a');
      INSERT INTO qudo_boot VALUES(1, 'boot-1');
      INSERT INTO qudo_job(id, kind, rank, due, enqueued, attempt, lost, state, codec, unique_key, unique_scope, payload) VALUES
        (3, 1, 0, 1000, 900, 1, 0, 0, 0, NULL, NULL, CAST('ready' AS BLOB)), (4, 1, 0, 1000, 900, 2, 0, 0, 0, 'k', 0, CAST('running' AS BLOB)),
        (5, 1, 0, 1800000000000000, 900, 1, 0, 0, 0, NULL, NULL, CAST('delayed' AS BLOB));
      INSERT INTO qudo_ready VALUES(1, 0, 1000, 3);
      INSERT INTO qudo_running VALUES(1, 999000000, 4, 77, 1, 5, 1000);
      INSERT INTO qudo_delayed VALUES(1800000000000000, 5, 1, 0);
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, unique_key, codec, payload) VALUES
        (1, 1, 1, 950, 0, 1, 'broke', -2, 'key', 0, CAST('broke' AS BLOB));
      UPDATE qudo_info SET value = 2 WHERE key = 'highest_id';
      COMMIT;
      """)
    return folder.files()
  }
}
