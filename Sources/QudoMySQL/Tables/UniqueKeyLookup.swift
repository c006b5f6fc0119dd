#if MySQL
internal import Qudo

/// The hold of a waiting job on its unique key, as stored in its row.
enum KeyHold: Int64 {
  /// The job has no key, or its key is free.
  case none
  /// The key becomes free when the job starts.
  case untilStarted
  /// The key becomes free when the job ends.
  case untilFinished
  /// The key becomes free when the job ends, or rests if the job completes: see ``RestRows``.
  case rests

  /// - Parameter number: Any number from a row: see ``Candidate/flags``.
  init(_ number: Int64) { self = KeyHold(rawValue: number & Self.bits) ?? .none }

  /// The bits of the column `flags` that say it.
  private static let bits: Int64 = 3

  init(_ unique: UniqueKey?) { self.init(unique?.scope, rests: unique?.throttle != nil) }

  /// - Parameters:
  ///   - scope: The column `unique_scope` of a job that has not begun.
  ///   - rests: Whether the job has a row in `qudo_rest`.
  init(scope: Int64?, rests: Bool) {
    self.init(scope.map { UniqueKey.Scope(rawValue: $0) ?? .untilFinished }, rests: rests)
  }

  private init(_ scope: UniqueKey.Scope?, rests: Bool) {
    switch scope {
    case nil: self = .none
    case .untilStarted: self = .untilStarted
    case .untilFinished: self = rests ? .rests : .untilFinished
    }
  }

  /// Whether the job holds its key until it ends.
  var outlastsStart: Bool { self == .untilFinished || self == .rests }
}

/// The unique keys that live jobs hold, or that rest, among those that an insert asks for.
struct UniqueKeyLookup {
  struct Key: Hashable {
    let kind: Int64
    let bytes: [UInt8]
  }

  struct Holder {
    let id: Int64
    /// When the job was first enqueued.
    let enqueued: Timestamp
    /// The position of the job's row; nil if the job does not wait, if it is unknown whether it is held, or if it is completed and
    /// its key rests.
    var place: RowPosition?
    var concurrencyKey: NumberedKey?
    /// The column `flags` of the job if it is held.
    let heldFlags: Int64
  }

  /// The position of a waiting job's row.
  struct RowPosition {
    enum Table { case ready, delayed, held }
    var table: Table
    let ranking: Int64
    let due: Int64
    let flags: Int64
  }

  private var holders: [Key: Holder] = [:]
  /// Keys whose job is missing: their rest has ended, or the jobs were running during the migration to schema 3.
  private(set) var stale: [(key: Key, job: Int64, hasRest: Bool)] = []

  subscript(key: Key) -> Holder? {
    get { holders[key] }
    set { holders[key] = newValue }
  }

  /// The concurrency keys of the holders.
  var concurrencyKeys: [NumberedKey] { holders.values.compactMap(\.concurrencyKey) }

  /// The unique keys whose holders have a concurrency key and are neither ready nor delayed: they are held or running.
  var unplaced: [Key] {
    holders.filter { $0.value.place == nil && $0.value.concurrencyKey != nil }.map(\.key)
  }

  /// The maximum number of keys in one statement.
  private static let chunk = 500

  /// - Parameter locks: Whether the jobs and their positions must stay the same until the commit.
  static func look(up keys: Set<Key>, locks: Bool) -> [SQL] {
    var statements: [SQL] = []
    for (kind, keys) in Dictionary(grouping: keys, by: \.kind).sorted(by: { $0.key < $1.key }) {
      let texts = keys.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
      for start in stride(from: 0, to: texts.count, by: chunk) {
        let list = texts[start..<min(start + chunk, texts.count)].map { text -> SQL in "\(text)" }.joined(",")
        statements.append(
          """
          SELECT h.kind, h.name, h.job, j.ranking, j.due, r.flags, d.flags, j.id, j.enqueued, j.concurrency_key, j.unique_scope, j.expires,
            s.job, s.ends > @n
          FROM qudo_unique AS h
          LEFT JOIN qudo_job AS j ON j.id = h.job
          LEFT JOIN qudo_ready AS r ON r.kind = j.kind AND r.ranking = j.ranking AND r.due = j.due AND r.id = j.id
          LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
          LEFT JOIN qudo_rest AS s ON s.job = h.job
          WHERE h.kind = \(kind) AND h.name IN (\(list))\(locks ? " FOR UPDATE" : "" as SQL)
          """)
      }
    }
    return statements
  }

  mutating func add(_ rows: Rows) throws(QudoError) {
    try rows.forEach { row throws(QudoError) in
      let key = Key(kind: row.integer(0), bytes: row.bytes(1))
      guard !row.isNull(7) else {
        if row.integerIfAny(13) == 1 {
          holders[key] = Holder(
            id: row.integer(2), enqueued: Timestamp(microseconds: 0), place: nil, heldFlags: 0)
        } else {
          stale.append((key, row.integer(2), !row.isNull(12)))
        }
        return
      }
      let (ready, delayed) = (row.integerIfAny(5), row.integerIfAny(6))
      let place = (ready ?? delayed).map { flags in
        RowPosition(
          table: ready == nil ? .delayed : .ready, ranking: row.integer(3), due: row.integer(4), flags: flags)
      }
      holders[key] = Holder(
        id: row.integer(2), enqueued: Timestamp(microseconds: row.integer(8)), place: place,
        concurrencyKey: row.bytesIfAny(9).map { NumberedKey(kind: key.kind, name: $0) },
        heldFlags: KeyHold(scope: row.integerIfAny(10), rests: !row.isNull(12)).rawValue
          | (row.isNull(11) ? 0 : ExpiryRows.bit)
          | KeyRows.bit)
    }
  }
}
#endif
