internal import Qudo

/// `qudo_info`: facts about the file, each under a key.
struct InfoTable {
  let connection: Connection

  /// Returns the highest id ever given to a job, and the file's generation.
  ///
  /// It is read whenever another connection changed the file, so it looks at the tables that are usually empty, too.
  func identity() throws(QudoError) -> (highestID: Int64, generation: [UInt8]) {
    var found: (highestID: Int64, generation: [UInt8])?
    try connection.each(
      """
      SELECT max(coalesce((SELECT max(id) FROM qudo_job), 0), (SELECT value FROM qudo_info WHERE key = 'highest_id')),
        (SELECT value FROM qudo_info WHERE key = 'generation'),
        EXISTS(SELECT 1 FROM qudo_pause), EXISTS(SELECT 1 FROM qudo_cancellation),
        EXISTS(SELECT 1 FROM qudo_admitted) OR EXISTS(SELECT 1 FROM qudo_held), EXISTS(SELECT 1 FROM qudo_rest), EXISTS(SELECT 1 FROM qudo_group),
        EXISTS(SELECT 1 FROM qudo_key_rate)
      """
    ) { row throws(QudoError) in
      guard let highest = try row.number(0) else { return }
      found = (highest, row.blob(1))
      if row.integer(2) == 0 { connection.cache.pauses = [] }
      connection.cache.hasMarks = row.integer(3) != 0
      connection.cache.hasKeys = row.integer(4) != 0
      connection.cache.hasRests = row.integer(5) != 0
      connection.cache.hasGroups = row.integer(6) != 0
      connection.cache.hasKeyRates = row.integer(7) != 0
    }
    guard let found else {
      throw QudoError(
        .corrupt,
        "qudo_info has no valid highest_id: another program modified the file. Restore it from a backup")
    }
    connection.hints.highestID = found.highestID
    return found
  }

  /// Returns the highest id ever given to a job, for a listing: it notes nothing about the file.
  func highestID() throws(QudoError) -> Int64 {
    try connection.integer(
      """
      SELECT max(coalesce((SELECT max(id) FROM qudo_job), 0),
        coalesce((SELECT value FROM qudo_info WHERE key = 'highest_id'), 0))
      """) ?? 0
  }

  func setHighestID(_ id: Int64) throws(QudoError) {
    try connection.run("UPDATE qudo_info SET value = ? WHERE key = 'highest_id'", .integer(id))
  }

  /// Returns whether a state table has a job with a higher id.
  func isNamed(above id: Int64) throws(QudoError) -> Bool {
    try connection.integer(
      """
      SELECT EXISTS(SELECT 1 FROM qudo_ready WHERE last > ?1) OR EXISTS(SELECT 1 FROM qudo_delayed WHERE id > ?1)
        OR EXISTS(SELECT 1 FROM qudo_running WHERE last > ?1) OR EXISTS(SELECT 1 FROM qudo_held WHERE id > ?1)
      """, .integer(id)) == 1
  }

  /// Replaces a generation with a new random one, and reserves all ids up to `highest`. The first generation is
  /// kept.
  func renewGeneration(_ generation: [UInt8], highestID: Int64) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_info SET value = max(value, ?) WHERE key = 'highest_id'", .integer(highestID))
    try connection.run(
      "INSERT OR IGNORE INTO qudo_info(key, value) SELECT 'origin', value FROM qudo_info WHERE key = 'generation' AND value = ?",
      .blob(generation))
    try connection.run(
      "UPDATE qudo_info SET value = randomblob(16) WHERE key = 'generation' AND value = ?", .blob(generation))
  }

  /// Reads something, so that the transaction has its snapshot.
  func takeSnapshot() throws(QudoError) {
    _ = try connection.integer("SELECT 1 FROM qudo_info WHERE key = 'generation'")
  }

  /// Returns the 16 random bytes that identify the file.
  func generation() throws(QudoError) -> [UInt8] {
    var stored: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'generation'") { row throws(QudoError) in
      stored = row.blob(0)
    }
    guard stored.count == 16 else {
      throw QudoError(
        .corrupt,
        "qudo_info has no valid generation: another program modified the file. Restore it from a backup")
    }
    return stored
  }

  /// Returns the first generation of a file that was restored; nil for others.
  ///
  /// The keys by which other services know a job are made from it, so that a job that a restored file runs a second
  /// time has the same key.
  func origin() throws(QudoError) -> [UInt8]? {
    var stored: [UInt8]?
    try connection.each("SELECT value FROM qudo_info WHERE key = 'origin'") { row throws(QudoError) in
      stored = row.blob(0)
    }
    return stored?.count == 16 ? stored : nil
  }

  /// Returns the database's name, or nil if the file has none.
  func name() throws(QudoError) -> String? {
    var stored: String?
    try connection.each("SELECT value FROM qudo_info WHERE key = 'name'") { row throws(QudoError) in
      stored = row.text(0)
    }
    return stored
  }

  /// Gives the database a name, unless it has one.
  func setNameIfAbsent(_ name: String) throws(QudoError) {
    try connection.run("INSERT OR IGNORE INTO qudo_info(key, value) VALUES('name', ?)", .text(name))
  }

  /// Returns the key at which the next check for expired receipts begins.
  func receiptCursor() throws(QudoError) -> [UInt8] {
    var cursor: [UInt8] = []
    try connection.each("SELECT value FROM qudo_info WHERE key = 'receipt_cursor'") { row throws(QudoError) in
      cursor = row.blob(0)
    }
    return cursor
  }

  func setReceiptCursor(_ key: [UInt8]) throws(QudoError) {
    try connection.run(
      "INSERT OR REPLACE INTO qudo_info(key, value) VALUES('receipt_cursor', ?)", .blob(key))
  }

  /// Whether a driver that does not sync may have written to the file since the last sync.
  func isUnsynced() throws(QudoError) -> Bool {
    try connection.integer("SELECT 1 FROM qudo_info WHERE key = 'unsynced'") != nil
  }

  func setUnsynced(_ isUnsynced: Bool) throws(QudoError) {
    if isUnsynced {
      try connection.run("INSERT OR IGNORE INTO qudo_info(key, value) VALUES('unsynced', 1)")
    } else {
      try connection.run("DELETE FROM qudo_info WHERE key = 'unsynced'")
    }
  }

  /// Takes SQLite's write lock, and changes nothing.
  func takeWriteLock() throws(QudoError) { try connection.run("DELETE FROM qudo_info WHERE 0") }
}
