internal import QudoSQLite

/// The plain design: SQLite's default page size and checkpoints, one table, one partial index, ids that are
/// never reused, prepared statements, and one statement per commit.
struct ReferenceFloor {
  private let database: RawDatabase
  private let insert: OpaquePointer
  private let claim: OpaquePointer
  private let complete: OpaquePointer

  init(_ path: String, _ durability: SQLiteDriver.Durability) throws {
    database = try RawDatabase(
      path,
      [
        "PRAGMA journal_mode = WAL", "PRAGMA synchronous = \(durability.rawValue)",
        """
        CREATE TABLE IF NOT EXISTS job(
          id INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL, priority INTEGER NOT NULL, run_at INTEGER NOT NULL,
          payload BLOB NOT NULL)
        """,
        "CREATE INDEX IF NOT EXISTS job_ready ON job(priority DESC, run_at) WHERE state = 0",
      ])
    insert = try database.prepare("INSERT INTO job(state, priority, run_at, payload) VALUES(0, 0, ?, ?)")
    claim = try database.prepare(
      """
      UPDATE job SET state = 1 WHERE id = (
        SELECT id FROM job WHERE state = 0 AND run_at <= ? ORDER BY priority DESC, run_at LIMIT 1)
      RETURNING id, payload
      """)
    complete = try database.prepare("DELETE FROM job WHERE id = ?")
  }

  /// Enqueues with one commit per job.
  func enqueueEach(_ count: Int, _ payload: [UInt8]) throws {
    try payload.withUnsafeBytes { bytes in
      for number in 0..<count {
        database.bind(insert, 1, Int64(number))
        database.bind(insert, 2, bytes)
        try database.step(insert)
      }
    }
  }

  func enqueue(_ count: Int, batch: Int, _ payload: [UInt8]) throws {
    for first in stride(from: 0, to: count, by: batch) {
      try database.run("BEGIN IMMEDIATE")
      try enqueueEach(min(batch, count - first), payload)
      try database.run("COMMIT")
    }
  }

  /// Claims and completes jobs one at a time, with one commit for each claim and each completion.
  func claimAndCompleteEach(_ count: Int) throws {
    for _ in 0..<count {
      database.bind(claim, 1, .max)
      guard try database.next(claim) else { return }
      let id = database.number(claim, 0)
      _ = database.payload(claim, 1)
      while try database.next(claim) {}
      database.bind(complete, 1, id)
      try database.step(complete)
    }
  }
}
