#if MySQL
internal import Qudo

/// Unique keys that live jobs hold, as far as an insert asks for them.
struct Holders {
  struct Key: Hashable {
    let kind: Int64
    let bytes: [UInt8]
  }

  struct Holder {
    let id: Int64
    /// Nil for a job that does not wait.
    var place: Place?
  }

  /// Where a job waits.
  struct Place {
    enum Table { case ready, delayed }
    let table: Table
    let ranking: Int64
    let due: Int64
    let frees: Int64
  }

  private var holders: [Key: Holder] = [:]

  subscript(key: Key) -> Holder? {
    get { holders[key] }
    set { holders[key] = newValue }
  }

  /// How many keys are asked for in one statement.
  private static let chunk = 500

  /// - Parameter locks: whether the jobs, and where they wait, must stay as they are until the commit.
  static func look(up keys: Set<Key>, locks: Bool) -> [SQL] {
    var statements: [SQL] = []
    for (kind, keys) in Dictionary(grouping: keys, by: \.kind).sorted(by: { $0.key < $1.key }) {
      let texts = keys.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
      for start in stride(from: 0, to: texts.count, by: chunk) {
        let list = texts[start..<min(start + chunk, texts.count)].map { text -> SQL in "\(text)" }.joined(",")
        statements.append("""
          SELECT j.kind, j.held_key, j.id, j.ranking, j.due, r.frees, d.frees FROM qudo_job AS j
          LEFT JOIN qudo_ready AS r ON r.kind = j.kind AND r.ranking = j.ranking AND r.due = j.due AND r.id = j.id
          LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
          WHERE j.kind = \(kind) AND j.held_key IN (\(list))\(locks ? " FOR UPDATE" : "" as SQL)
          """)
      }
    }
    return statements
  }

  mutating func add(_ rows: Rows) throws(QudoError) {
    try rows.forEach { row throws(QudoError) in
      let (ready, delayed) = (row.integerIfAny(5), row.integerIfAny(6))
      let place = (ready ?? delayed).map { frees in
        Place(table: ready == nil ? .delayed : .ready, ranking: row.integer(3), due: row.integer(4), frees: frees)
      }
      holders[Key(kind: row.integer(0), bytes: row.bytes(1))] = Holder(id: row.integer(2), place: place)
    }
  }
}
#endif
