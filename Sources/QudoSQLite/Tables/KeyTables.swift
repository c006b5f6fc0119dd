internal import Qudo

/// `qudo_admitted`: the places of the admitted jobs of each concurrency key. Usually empty.
struct PlaceTable {
  let connection: Connection

  /// Whether any job has a key: it has a place, or is held.
  func hasAny() throws(QudoError) -> Bool {
    if let known = connection.cache.hasKeys { return known }
    let hasAny =
      try connection.integer(
        "SELECT EXISTS(SELECT 1 FROM qudo_admitted) OR EXISTS(SELECT 1 FROM qudo_held)") == 1
    connection.cache.hasKeys = hasAny
    return hasAny
  }

  func insert(_ job: Int64, _ key: NumberedKey) throws(QudoError) {
    connection.cache.hasKeys = true
    try connection.run(
      "INSERT OR IGNORE INTO qudo_admitted(kind, key, job) VALUES(?, ?, ?)", .integer(key.kind),
      .text(key.text), .integer(job))
  }

  /// Whether any place of a key is taken.
  func hasAny(of key: NumberedKey) throws(QudoError) -> Bool {
    try connection.integer(
      "SELECT 1 FROM qudo_admitted WHERE kind = ? AND key = ? LIMIT 1", .integer(key.kind), .text(key.text))
      != nil
  }

  /// - Returns: Whether the job had a place.
  func remove(_ job: Int64, _ key: NumberedKey) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_admitted WHERE kind = ? AND key = ? AND job = ?", .integer(key.kind), .text(key.text),
      .integer(job))
    // There may be none left: then the next deletions of jobs need not look.
    connection.cache.hasKeys = nil
    return connection.changes == 1
  }

  /// Returns the rule of a key, whether jobs of it are held, and how many are admitted, or `most` if there are more: in one
  /// statement, because each enqueue of a job with a key asks.
  func use(of key: NumberedKey, upTo most: Int) throws(QudoError) -> KeyUse {
    var use = KeyUse()
    try connection.each(
      """
      SELECT (SELECT most FROM qudo_key WHERE kind = ?1 AND key = ?2), (SELECT stops FROM qudo_key WHERE kind = ?1 AND key = ?2),
        EXISTS (SELECT 1 FROM qudo_held WHERE kind = ?1 AND key = ?2),
        (SELECT count(*) FROM (
          SELECT 1 FROM qudo_admitted AS p
          WHERE p.kind = ?1 AND p.key = ?2 AND EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = p.job AND j.concurrency_key = p.key)
          LIMIT ?3)),
        (SELECT rate FROM qudo_key WHERE kind = ?1 AND key = ?2)
      """, .integer(key.kind), .text(key.text), .integer(Int64(most))
    ) { row throws(QudoError) in
      if !row.isNull(0) {
        use.rule = KeyRule(
          limit: Int(clamping: row.integer(0)), stops: row.integer(1) != 0, rate: try row.rate(4))
      }
      (use.isAnyHeld, use.places) = (row.integer(2) != 0, Int(row.integer(3)))
    }
    return use
  }

  /// Returns how many jobs of a key are admitted, or `most` if there are more. The place of a job that another program deleted does
  /// not count.
  func count(_ key: NumberedKey, atMost most: Int) throws(QudoError) -> Int {
    let count = try connection.integer(
      """
      SELECT count(*) FROM (
        SELECT 1 FROM qudo_admitted AS p
        WHERE p.kind = ?1 AND p.key = ?2 AND EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = p.job AND j.concurrency_key = p.key)
        LIMIT ?3)
      """, .integer(key.kind), .text(key.text), .integer(Int64(most)))
    return Int(count ?? 0)
  }

  /// Deletes the places of jobs that are gone. It reads all of the table; see ``Transaction/putAside(_:)``.
  ///
  /// - Returns: Their keys.
  func deleteOrphans() throws(QudoError) -> Set<NumberedKey> {
    var keys: Set<NumberedKey> = []
    try connection.each(
      """
      DELETE FROM qudo_admitted
      WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = job AND j.kind = qudo_admitted.kind AND j.concurrency_key = key)
      RETURNING kind, key
      """
    ) { row throws(QudoError) in keys.insert(NumberedKey(kind: row.integer(0), text: row.text(1))) }
    return keys
  }

  /// Returns the number of places of jobs that are gone, or that are held. It reads all rows.
  func check() throws(QudoError) -> Int64 {
    try connection.integer(
      """
      SELECT count(*) FROM qudo_admitted AS p
      WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = p.job AND j.kind = p.kind AND j.concurrency_key = p.key)
        OR EXISTS (SELECT 1 FROM qudo_held AS h WHERE h.kind = p.kind AND h.key = p.key AND h.id = p.job)
      """) ?? 0
  }
}

/// `qudo_held`: the jobs that wait for others of their concurrency key, in the order of their ids.
struct HeldTable {
  let connection: Connection

  /// Whether any job is held, or any key has a rule or is stopped. If not, a job that leaves admits none.
  func hasAnyOrRules() throws(QudoError) -> Bool {
    if let known = connection.cache.hasHeldOrRules { return known }
    let hasAny =
      try connection.integer(
        """
        SELECT EXISTS(SELECT 1 FROM qudo_held) OR EXISTS(SELECT 1 FROM qudo_key) OR EXISTS(SELECT 1 FROM qudo_stop)
        """) == 1
    connection.cache.hasHeldOrRules = hasAny
    return hasAny
  }

  func insert(_ job: Int64, _ key: NumberedKey, written: Int64?) throws(QudoError) {
    (connection.cache.hasKeys, connection.cache.hasHeldOrRules) = (true, true)
    try connection.run(
      "INSERT INTO qudo_held(kind, key, id, written) VALUES(?, ?, ?, ?)", .integer(key.kind),
      .text(key.text), .integer(job), written.map { .integer($0) } ?? .null)
  }

  /// - Returns: Whether the job was held.
  func remove(_ job: Int64, _ key: NumberedKey) throws(QudoError) -> Bool {
    try connection.run(
      "DELETE FROM qudo_held WHERE kind = ? AND key = ? AND id = ?", .integer(key.kind), .text(key.text),
      .integer(job))
    // There may be none left.
    if connection.changes == 1 { connection.cache.hasHeldOrRules = nil }
    return connection.changes == 1
  }

  /// Returns the held job of a key with the lowest id, and when its relative delay was set; nil if there is none.
  func first(_ key: NumberedKey) throws(QudoError) -> (id: Int64, written: Int64?)? {
    var found: (id: Int64, written: Int64?)?
    try connection.each(
      "SELECT id, written FROM qudo_held WHERE kind = ? AND key = ? ORDER BY id LIMIT 1", .integer(key.kind),
      .text(key.text)
    ) { row throws(QudoError) in found = (row.integer(0), row.isNull(1) ? nil : row.integer(1)) }
    return found
  }

  /// Returns whether a job is held, and when its relative delay was set.
  func written(of job: Int64, _ key: NumberedKey) throws(QudoError) -> (isHeld: Bool, written: Int64?) {
    var found: (isHeld: Bool, written: Int64?) = (false, nil)
    try connection.each(
      "SELECT written FROM qudo_held WHERE kind = ? AND key = ? AND id = ?", .integer(key.kind),
      .text(key.text), .integer(job)
    ) { row throws(QudoError) in found = (true, row.isNull(0) ? nil : row.integer(0)) }
    return found
  }

  /// Calls `body` with each kind, of `kinds` or of all, that has held jobs, and their number.
  func counts(_ kinds: IntegerList?, _ body: (_ kind: Int64, _ count: Int) -> Void) throws(QudoError) {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    try connection.each(
      "SELECT kind, count(*) FROM qudo_held \(filter) GROUP BY kind", values: kinds?.values ?? []
    ) { row throws(QudoError) in body(row.integer(0), Int(row.integer(1))) }
  }

  /// Returns how many jobs of these kinds there are, or `most` if there are more.
  func count(_ kinds: IntegerList?, atMost most: Int) throws(QudoError) -> Int {
    let filter = kinds.map { "WHERE kind IN \($0.sql)" } ?? ""
    let count = try connection.integer(
      "SELECT count(*) FROM (SELECT 1 FROM qudo_held \(filter) LIMIT ?)",
      values: (kinds?.values ?? []) + [.integer(Int64(most))])
    return Int(count ?? 0)
  }

  /// Returns the lowest `limit` ids after an id.
  func ids(_ kinds: IntegerList?, after id: Int64, limit: Int) throws(QudoError) -> [Int64] {
    var ids: [Int64] = []
    try connection.each(
      "SELECT id FROM qudo_held WHERE \(kinds.inKinds) id > ? ORDER BY id LIMIT ?",
      values: (kinds?.values ?? []) + [.integer(id), .integer(Int64(limit))]
    ) { row throws(QudoError) in ids.append(row.integer(0)) }
    return ids
  }

  /// Deletes the rows of jobs that are gone. It reads all of the table.
  ///
  /// - Returns: Their keys.
  func deleteOrphans() throws(QudoError) -> Set<NumberedKey> {
    var keys: Set<NumberedKey> = []
    try connection.each(
      """
      DELETE FROM qudo_held
      WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = qudo_held.id AND j.kind = qudo_held.kind AND j.concurrency_key = key)
      RETURNING kind, key
      """
    ) { row throws(QudoError) in keys.insert(NumberedKey(kind: row.integer(0), text: row.text(1))) }
    return keys
  }

  /// Returns the number of rows that do not agree with the jobs or whose key has no place taken and is not stopped, and of all rows. It
  /// reads all rows.
  func check() throws(QudoError) -> (bad: Int64, jobs: Int64) {
    let bad = try connection.integer(
      """
      SELECT count(*) FROM qudo_held AS h
      WHERE NOT EXISTS (SELECT 1 FROM qudo_job AS j WHERE j.id = h.id AND j.kind = h.kind AND j.concurrency_key = h.key)
        OR NOT EXISTS (SELECT 1 FROM qudo_admitted AS p WHERE p.kind = h.kind AND p.key = h.key)
          AND NOT EXISTS (SELECT 1 FROM qudo_stop AS s WHERE s.kind = h.kind AND s.key = h.key)
      """)
    return (bad ?? 0, try connection.integer("SELECT count(*) FROM qudo_held") ?? 0)
  }
}

/// `qudo_key`: the rules of the concurrency keys in use, other than that of most keys.
struct KeyRuleTable {
  let connection: Connection

  func rule(of key: NumberedKey) throws(QudoError) -> KeyRule {
    var rule = KeyRule()
    try connection.each(
      "SELECT most, stops, rate FROM qudo_key WHERE kind = ? AND key = ?", .integer(key.kind), .text(key.text)
    ) { row throws(QudoError) in
      rule = KeyRule(
        limit: Int(clamping: row.integer(0)), stops: row.integer(1) != 0, rate: try row.rate(2))
    }
    return rule
  }

  func set(_ rule: KeyRule, of key: NumberedKey) throws(QudoError) {
    guard rule != KeyRule() else { return try delete(key) }
    connection.cache.hasHeldOrRules = true
    try connection.run(
      "INSERT OR REPLACE INTO qudo_key(kind, key, most, stops, rate) VALUES(?, ?, ?, ?, ?)",
      .integer(key.kind), .text(key.text), .integer(Int64(rule.limit)), .integer(rule.stops ? 1 : 0),
      .text(rule.rate?.text))
  }

  func dropRate(of key: NumberedKey) throws(QudoError) {
    try connection.run(
      "UPDATE qudo_key SET rate = NULL WHERE kind = ? AND key = ?", .integer(key.kind), .text(key.text))
  }

  func delete(_ key: NumberedKey) throws(QudoError) {
    try connection.run(
      "DELETE FROM qudo_key WHERE kind = ? AND key = ?", .integer(key.kind), .text(key.text))
    if connection.changes == 1 { connection.cache.hasHeldOrRules = nil }
  }
}

/// What the newest enqueue of a concurrency key asked for.
struct KeyRule: Hashable {
  var limit = 1
  /// Whether a final failure stops the key.
  var stops = false
  var rate: RateLimit?
}

extension KeyRule {
  init(_ key: ConcurrencyKey) {
    // In whole microseconds, as it is stored.
    let rate = key.rate.map { rate in
      RateLimit(rate.count, per: .microseconds(rate.period.wholeMicroseconds), burst: rate.burst)
    }
    self.init(limit: key.limit, stops: key.afterFailure == .stop, rate: rate)
  }

  func key(_ text: String) -> ConcurrencyKey {
    ConcurrencyKey(text, limit: limit, rate: rate, afterFailure: stops ? .stop : .goOn)
  }
}

extension Statement {
  /// Returns the rate of a concurrency key in a column; nil for NULL.
  func rate(_ column: Int32) throws(QudoError) -> RateLimit? {
    guard !isNull(column) else { return nil }
    do { return try RateLimit(text: text(column)) } catch { throw error.of(.keyRates) }
  }
}

/// What the tables have of a concurrency key.
struct KeyUse {
  var rule = KeyRule()
  var isAnyHeld = false
  /// The number of admitted jobs.
  var places = 0
}

/// A concurrency key of a kind.
struct NumberedKey: Hashable {
  /// The kind's id in `qudo_kind`.
  let kind: Int64
  let text: String

  // By bytes, as SQLite compares them: Swift takes some texts of different bytes for equal.
  static func == (a: NumberedKey, b: NumberedKey) -> Bool {
    a.kind == b.kind && a.text.utf8.elementsEqual(b.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(kind)
    for byte in text.utf8 { hasher.combine(byte) }
  }
}
