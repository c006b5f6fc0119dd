internal import QudoSQLite

/// The fastest known design with every schema and setting that measured faster: narrow tables in claim order,
/// ids from memory, statements over id ranges, small pages, few checkpoints, a large cache, and the file
/// locked by one process. It has no leases, kinds, attempts or logs.
struct BestFloor {
  private let database: RawDatabase
  private let insert: OpaquePointer
  private let makeReady: OpaquePointer
  private let read: OpaquePointer
  private let start: OpaquePointer
  private let leave: OpaquePointer
  private let stop: OpaquePointer
  private let complete: OpaquePointer
  private var highest: Int64 = 0

  init(_ path: String, _ durability: SQLiteDriver.Durability) throws {
    database = try RawDatabase(
      path,
      [
        "PRAGMA page_size = 4096", "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = \(durability.rawValue)", "PRAGMA wal_autocheckpoint = 2000",
        "PRAGMA cache_size = -65536",
        "CREATE TABLE job(id INTEGER PRIMARY KEY, payload BLOB NOT NULL)",
        "CREATE TABLE ready(rank INTEGER, due INTEGER, id INTEGER, PRIMARY KEY(rank, due, id)) WITHOUT ROWID",
        "CREATE TABLE running(id INTEGER PRIMARY KEY)",
      ])
    insert = try database.prepare("INSERT INTO job(id, payload) VALUES(?, ?)")
    makeReady = try database.prepare("INSERT INTO ready SELECT 0, 0, id FROM job WHERE id BETWEEN ? AND ?")
    read = try database.prepare(
      "SELECT ready.id, payload FROM ready JOIN job USING(id) ORDER BY rank, due, ready.id LIMIT ?")
    start = try database.prepare(
      "INSERT INTO running SELECT id FROM ready WHERE (rank, due, id) <= (0, 0, ?)")
    leave = try database.prepare("DELETE FROM ready WHERE (rank, due, id) <= (0, 0, ?)")
    stop = try database.prepare("DELETE FROM running WHERE id BETWEEN ? AND ?")
    complete = try database.prepare("DELETE FROM job WHERE id BETWEEN ? AND ?")
  }

  mutating func enqueue(_ count: Int, batch: Int, _ payload: [UInt8]) throws {
    try payload.withUnsafeBytes { bytes in
      for first in stride(from: 0, to: count, by: batch) {
        let ids = highest + 1...highest + Int64(min(batch, count - first))
        try database.run("BEGIN IMMEDIATE")
        for id in ids {
          database.bind(insert, 1, id)
          database.bind(insert, 2, bytes)
          try database.step(insert)
        }
        try step(makeReady, ids)
        try database.run("COMMIT")
        highest = ids.upperBound
      }
    }
  }

  /// Completes the last batch and claims the next in one transaction.
  ///
  /// - Returns: the number of jobs.
  func drain(batch: Int) throws -> Int {
    var count = 0
    var last: ClosedRange<Int64>?
    while true {
      try database.run("BEGIN IMMEDIATE")
      if let last {
        try step(stop, last)
        try step(complete, last)
      }
      last = nil
      database.bind(read, 1, Int64(batch))
      while try database.next(read) {
        let id = database.number(read, 0)
        _ = database.payload(read, 1)
        last = (last?.lowerBound ?? id)...id
        count += 1
      }
      if let last {
        database.bind(start, 1, last.upperBound)
        try database.step(start)
        database.bind(leave, 1, last.upperBound)
        try database.step(leave)
      }
      try database.run("COMMIT")
      if last == nil { return count }
    }
  }

  private func step(_ statement: OpaquePointer, _ ids: ClosedRange<Int64>) throws {
    database.bind(statement, 1, ids.lowerBound)
    database.bind(statement, 2, ids.upperBound)
    try database.step(statement)
  }
}
