#if MySQL
internal import Qudo

/// The concurrency keys that jobs have. Jobs without one never touch these tables.
///
/// `qudo_key` has a row for each key that is in use or stopped: its rule, and the numbers of its admitted and of its held jobs, and of the
/// failures that stop it. `qudo_held` has a row for each held job, which is in none of the other tables of states. While jobs of a key that
/// is not stopped are held, as many are admitted as the limit allows, or more.
///
/// A transaction that enqueues or ends a job of a key, or changes a held one, locks the key's row first, and only then reads its held
/// jobs: by then, whatever others did with the key is committed. It locks jobs in `qudo_unique` and the tables of states before keys,
/// and keys in their order.
///
/// The counts come from the row itself and not from a statement that counts: a `SELECT` that the server was told to stop may find no
/// rows and report success, see ``Write``, and then more jobs would be admitted than the limit allows.
enum KeyRows {
  /// The bit of the column `flags` of a waiting job that may have a concurrency key.
  static let bit: Int64 = 8

  /// Returns statements that create the keys that are missing, and lock the others.
  ///
  /// - Parameter keys: In ascending order.
  static func make(_ keys: [NumberedKey]) -> [SQL] {
    keys.parts().map { part in
      let rows = part.map { key -> SQL in "(\(key.kind),\(key.name),1,0,0,0,0)" }
      return """
        INSERT INTO qudo_key(kind, name, allowed, admitted, held, stops, stopped) VALUES\(rows.joined(","))
        ON DUPLICATE KEY UPDATE allowed = qudo_key.allowed
        """
    }
  }

  /// Returns queries that lock keys. A server that was told to stop one may return, and lock, too few.
  ///
  /// - Parameter keys: In ascending order. Sessions that lock keys in the same order do not deadlock.
  static func lock(_ keys: [NumberedKey]) -> [SQL] {
    keys.parts().map { part in
      """
      SELECT kind, name, allowed, admitted, held, stops, stopped, rate FROM qudo_key FORCE INDEX(PRIMARY) WHERE \(condition(part))
      ORDER BY kind, name FOR UPDATE
      """
    }
  }

  /// Returns a statement that stores keys.
  static func store(_ rows: some Collection<(NumberedKey, KeyCounts)>) -> SQL {
    let values = rows.map { key, counts -> SQL in
      "(\(key.kind),\(key.name),\(counts.rule.most),\(counts.admitted),\(counts.held),\(counts.rule.stops ? 1 : 0),\(counts.stopped),\(counts.rule.rate))"
    }
    return """
      INSERT INTO qudo_key(kind, name, allowed, admitted, held, stops, stopped, rate) VALUES\(values.joined(","))
      ON DUPLICATE KEY UPDATE allowed = VALUES(allowed), admitted = VALUES(admitted), held = VALUES(held), stops = VALUES(stops),
        stopped = VALUES(stopped), rate = VALUES(rate)
      """
  }

  /// - Parameter keys: In ascending order.
  static func condition(_ keys: ArraySlice<NumberedKey>) -> SQL {
    var groups = Groups<Int64, SQL>()
    for key in keys { groups.add("\(key.name)", to: key.kind) }
    return groups.all.map { kind, names -> SQL in "(kind = \(kind) AND name IN (\(names.joined(","))))" }
      .joined(" OR ")
  }

  /// Returns the query for a page of keys, in the order of the primary key.
  ///
  /// - Parameters:
  ///   - kinds: The numbers of kinds; nil for all.
  ///   - names: The keys; nil for all.
  ///   - last: The last key of the page before.
  static func page(_ kinds: [Int64]?, _ names: [[UInt8]]?, after last: NumberedKey?, limit: Int) -> SQL {
    let inKinds: SQL = kinds.map { "k.kind IN \(list: $0[...]) AND " } ?? ""
    let inNames: SQL =
      names.map { names in
        "k.name IN (\(names.map { name -> SQL in "\(name)" }.joined(","))) AND "
      } ?? ""
    let behind: SQL =
      last.map { "(k.kind > \($0.kind) OR (k.kind = \($0.kind) AND k.name > \($0.name))) AND " } ?? ""
    return """
      SELECT k.kind, (SELECT n.name FROM qudo_kind AS n WHERE n.id = k.kind), k.name, k.allowed, k.stops, k.rate, k.admitted, k.held,
        k.stopped, r.kind IS NOT NULL, r.full_at, r.written_at, r.spacing, r.throttled_until, @n
      FROM qudo_key AS k FORCE INDEX(PRIMARY) LEFT JOIN qudo_key_rate AS r ON r.kind = k.kind AND r.name = k.name
      WHERE \(inKinds)\(inNames)\(behind)(k.admitted > 0 OR k.held > 0 OR k.stopped > 0) ORDER BY k.kind, k.name LIMIT \(max(0, limit))
      """
  }

  /// The columns of a held job. `h` is its row in `qudo_held`, and `j` its row in `qudo_job`.
  private static let columns: SQL =
    "h.id, h.kind, h.name, j.ranking, j.due, j.unique_scope, j.expires, j.kind, EXISTS(SELECT 1 FROM qudo_rest WHERE qudo_rest.job = h.id), EXISTS(SELECT 1 FROM qudo_group AS g WHERE g.job = h.id)"

  /// Returns the query for the held jobs of a key with the lowest ids.
  ///
  /// - Parameter id: Only jobs after this one.
  static func front(_ key: NumberedKey, after id: Int64, limit: Int64) -> SQL {
    """
    SELECT \(columns) FROM (
      SELECT kind, name, id FROM qudo_held WHERE kind = \(key.kind) AND name = \(key.name) AND id > \(id) ORDER BY id LIMIT \(limit)) AS h
    LEFT JOIN qudo_job AS j ON j.id = h.id ORDER BY h.id
    """
  }

  /// Returns queries for those of some jobs that are held.
  static func held(_ jobs: [NumberedKey: [Int64]]) -> [SQL] {
    points(jobs).conditions.map { condition in
      """
      SELECT \(columns) FROM (SELECT kind, name, id FROM qudo_held WHERE \(condition)) AS h
      LEFT JOIN qudo_job AS j ON j.id = h.id
      """
    }
  }

  /// The rows of jobs in `qudo_held`.
  static func points(_ jobs: [NumberedKey: [Int64]]) -> PointPredicate {
    var points = PointPredicate()
    for (key, ids) in jobs.sorted(by: { $0.key < $1.key }) {
      for id in ids.sorted() { points.add("kind = \(key.kind) AND name = \(key.name)", id) }
    }
    return points
  }

  /// - Parameter row: A row of ``front(_:after:limit:)`` or ``held(_:)``.
  /// - Returns: Nil if the job is missing.
  static func job(_ row: Row) -> Candidate? {
    guard !row.isNull(7) else { return nil }
    return Candidate(
      kind: row.integer(1), ranking: row.integer(3), due: row.integer(4), id: row.integer(0),
      hold: KeyHold(scope: row.integerIfAny(5), rests: row.integer(8) == 1), mayExpire: !row.isNull(6),
      mayBeKeyed: true,
      source: .held(NumberedKey(kind: row.integer(1), name: row.bytes(2))),
      mayBeGrouped: row.integer(9) == 1)
  }
}

/// A concurrency key of a kind.
struct NumberedKey: Hashable, Comparable {
  /// The kind's number in the database.
  let kind: Int64
  let name: [UInt8]

  init(kind: Int64, name: [UInt8]) { (self.kind, self.name) = (kind, name) }

  /// - Returns: Nil for a job without a key.
  init?(_ job: NewJob, kind: Int64) {
    guard let key = job.concurrencyKey else { return nil }
    self.init(kind: kind, name: Array(key.key.utf8))
  }

  /// In the order of the table, which compares bytes.
  static func < (a: NumberedKey, b: NumberedKey) -> Bool {
    a.kind != b.kind ? a.kind < b.kind : a.name.lexicographicallyPrecedes(b.name)
  }
}

/// What the newest enqueue of a concurrency key asked for.
struct KeyRule: Equatable {
  /// The limit.
  var most: Int64 = 1
  /// Whether a final failure stops the key.
  var stops = false
  /// The text of the rate; nil for none.
  var rate: [UInt8]?

  init(most: Int64 = 1, stops: Bool = false, rate: [UInt8]? = nil) {
    (self.most, self.stops, self.rate) = (most, stops, rate)
  }

  /// - Parameter key: Nil for a job without a key.
  init(_ key: ConcurrencyKey?) {
    self.init(
      most: Int64(key?.limit ?? 1), stops: key?.afterFailure == .stop,
      rate: key?.rate.map { Array($0.text.utf8) })
  }
}

/// The columns of a key.
struct KeyCounts: Equatable {
  var rule: KeyRule
  /// The number of admitted jobs.
  var admitted: Int64
  /// The number of held jobs.
  var held: Int64
  /// The number of failures that stop the key.
  var stopped: Int64
  /// Whether a job has the key.
  var isUsed: Bool { admitted > 0 || held > 0 }
}

/// What a transaction that has locked a concurrency key knows of it.
struct LockedKey {
  var counts: KeyCounts
  /// The row of the key, when this transaction's statements have run; nil if there is none.
  var stored: KeyCounts?
  /// The held jobs with the lowest ids, in order: all that have an id up to ``end``.
  var front: [Candidate] = []
  var end = Int64.min
  /// The held ones of the new jobs that an insert is about to write, by their positions. Their ids are above all others.
  var new: [Int] = []

  /// - Parameter row: A row of ``KeyRows/lock(_:)``.
  init(_ row: Row) {
    counts = KeyCounts(
      rule: KeyRule(most: row.integer(2), stops: row.integer(5) != 0, rate: row.bytesIfAny(7)),
      admitted: row.integer(3), held: row.integer(4), stopped: row.integer(6))
    stored = counts
  }

  /// How many held jobs are left to be read.
  var unread: Int64 { counts.held - Int64(front.count + new.count) }

  /// How many held jobs the limit admits.
  var room: Int64 {
    counts.stopped > 0 ? 0 : max(0, min(counts.rule.most - counts.admitted, counts.held))
  }

  /// Forgets what was read of the held jobs: they have changed.
  mutating func forgetFront() { (front, end) = ([], .min) }
}
#endif
