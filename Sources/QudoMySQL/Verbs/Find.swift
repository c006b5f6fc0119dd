#if MySQL
internal import Qudo

extension Transaction {
  /// Returns the jobs that match a query.
  ///
  /// Without kinds and states, a page is read in id order, and its cost depends on its own size. Otherwise
  /// the statement reads the ids of all matching jobs, but not the jobs, and takes the lowest ids, so the
  /// cost of a page depends on the number of matches. Because it is one statement, it sees the state of one
  /// moment. It locks nothing.
  func find(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    guard query.filter.looksIntoMetadata else { return try findRoughly(query) }
    return try query.collect(findRoughly, id: \.id) { jobs in jobs.filter { query.filter.fits($0.metadata) } }
  }

  private func findRoughly(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    let states = query.states ?? Set(JobState.allCases)
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    let ofKind: SQL = (kinds.map { " AND j.kind IN \(list: $0)" } ?? "") + conditions(query.filter)
    let columns = Self.columns(query.payloadPrefix)
    let ofState = states.map { state -> SQL in "\(state.number)" }.joined(",")
    if let ids = query.ids {
      var found: [StoredJob] = []
      for part in Set(ids).filter({ $0 > query.after }).sorted().parts() where found.count < query.limit {
        found += try jobs(
          """
          \(Self.select(columns, of: part)) WHERE j.id IN \(list: part)\(ofKind) HAVING state IN (\(ofState)) ORDER BY j.id LIMIT \(query.limit - found.count)
          """)
      }
      return found
    }
    guard !query.filter.looksIntoJobs else {
      return try jobs(
        """
        \(Self.select(columns)) WHERE j.id > \(query.after)\(ofKind) HAVING state IN (\(ofState)) ORDER BY j.id LIMIT \(query.limit)
        """)
    }
    guard kinds != nil || states.count < JobState.allCases.count else {
      return try jobs(
        "\(Self.select(columns)) WHERE j.id > \(query.after) ORDER BY j.id LIMIT \(query.limit)")
    }
    return try jobs(
      "\(Self.select(columns)) JOIN (\(ids(states, kinds, query))) AS page ON page.id = j.id ORDER BY j.id")
  }

  /// Returns the ids of the jobs that match a query, in order, within the transaction.
  ///
  /// - Parameter kinds: The numbers of the query's kinds.
  func ids(matching query: JobQuery, kinds: [Int64]?) throws(QudoError) -> [Int64] {
    guard query.filter.looksIntoMetadata else { return try idsRoughly(query, kinds) }
    return try query.collect({ page throws(QudoError) in try idsRoughly(page, kinds) }, id: \.self) {
      ids throws(QudoError) in
      let metadata = try metadata(of: ids)
      return ids.filter { metadata[$0].map(query.filter.fits) == true }
    }
  }

  private func idsRoughly(_ query: JobQuery, _ kinds: [Int64]?) throws(QudoError) -> [Int64] {
    let states = query.states ?? Set(JobState.allCases)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    let ofKind: SQL = (kinds.map { " AND j.kind IN \(list: $0)" } ?? "") + conditions(query.filter)
    let ofState = states.map { state -> SQL in "\(state.number)" }.joined(",")
    var statements: [SQL]
    if let ids = query.ids {
      statements = Set(ids).filter { $0 > query.after }.sorted().parts().map { part -> SQL in
        """
        \(Self.select("j.id", of: part)) WHERE j.id IN \(list: part)\(ofKind) HAVING state IN (\(ofState)) ORDER BY j.id LIMIT \(query.limit)
        """
      }
    } else if query.filter.looksIntoJobs {
      statements = [
        """
        \(Self.select("j.id")) WHERE j.id > \(query.after)\(ofKind) HAVING state IN (\(ofState)) ORDER BY j.id LIMIT \(query.limit)
        """
      ]
    } else if kinds != nil || states.count < JobState.allCases.count {
      statements = [ids(states, kinds, query)]
    } else {
      statements = ["SELECT id FROM qudo_job WHERE id > \(query.after) ORDER BY id LIMIT \(query.limit)"]
    }
    guard !statements.isEmpty else { return [] }
    var found = try read(statements).flatMap { rows in rows.map { $0.integer(0) } }
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    if found.isEmpty { found = try read(statements).flatMap { rows in rows.map { $0.integer(0) } } }
    return Array(found.prefix(query.limit))
  }

  private func metadata(of ids: [Int64]) throws(QudoError) -> [Int64: JobMetadata] {
    var metadata: [Int64: JobMetadata] = [:]
    // A SELECT that the server was told to stop may return too few rows, so look again for what is missing.
    for _ in 0..<2 {
      let rest = ids.filter { metadata[$0] == nil }
      guard !rest.isEmpty else { break }
      for rows in try read(rest.parts().map { "SELECT id, meta FROM qudo_job WHERE id IN \(list: $0)" }) {
        for (id, stored) in rows.map({ ($0.integer(0), JobMetadata(bytes: $0.bytes(1))) }) {
          metadata[id] = stored
        }
      }
    }
    return metadata
  }

  /// Returns the conditions of a filter on the job `j`, but for ids, kinds and states, with an AND before each. `JobConditions` of
  /// QudoSQLite has the same.
  private func conditions(_ filter: JobFilter) -> SQL {
    var sql: SQL = ""
    if let prefix = filter.uniqueKeyPrefix {
      let bytes = Array(prefix.utf8)
      sql += " AND LEFT(j.unique_key, \(bytes.count)) = \(bytes)"
    }
    if let key = filter.concurrencyKey { sql += " AND j.concurrency_key = \(Array(key.utf8))" }
    if let group = filter.group { sql += " AND g.grp = \(Array(group.utf8))" }
    if let ranks = filter.ranks {
      sql += " AND j.ranking BETWEEN \(ranks.lowerBound) AND \(ranks.upperBound)"
    }
    if let times = filter.enqueuedAt {
      sql +=
        " AND j.enqueued >= \(times.lowerBound.microseconds) AND j.enqueued < \(times.upperBound.microseconds)"
    }
    if let times = filter.dueAt {
      sql +=
        " AND \(Self.due) >= \(times.lowerBound.microseconds) AND \(Self.due) < \(times.upperBound.microseconds)"
    }
    if let bytes = filter.payloadContains { sql += " AND INSTR(j.payload, \(bytes)) > 0" }
    // A job that meets these may still lack the entries: see ``JobFilter/metadataBytes``.
    for bytes in filter.metadataBytes { sql += " AND INSTR(j.meta, \(bytes)) > 0" }
    return sql
  }

  /// The place of the state in a row of a listing: after ``columns(_:)``.
  fileprivate static let stateColumn = 15

  /// Returns the columns of a ``StoredJob``. If you add one, ``stateColumn`` moves.
  ///
  /// - Parameter payloadPrefix: How many bytes of each payload to read at most; nil for all.
  private static func columns(_ payloadPrefix: Int?) -> SQL {
    let payload: SQL = payloadPrefix.map { "LEFT(j.payload, \($0))" } ?? "j.payload"
    return
      "j.id, k.name, \(payload), j.codec, j.unique_key, j.ranking, j.attempt, j.enqueued, \(due), j.meta, u.ends, j.lost, j.expires, j.concurrency_key, NULLIF(g.grp, '')"
  }

  /// The true due time: the row of a job at a place among the groups has the place instead.
  private static let due: SQL = "COALESCE(g.due, j.due)"

  /// Selects the state at `@n`. The running jobs are ordered by lease expiry; grouped, they become a
  /// temporary table of the statement, with a lookup by id.
  ///
  /// - Parameter ids: The only jobs that the caller selects; nil for any.
  private static func select(
    _ columns: SQL = columns(nil), of ids: ArraySlice<Int64>? = nil
  ) -> SQL {
    let ofIDs: SQL = ids.map { "WHERE id IN \(list: $0) " } ?? ""
    return """
      SELECT \(columns),
        IF(w.id IS NOT NULL, 0, IF(d.id IS NOT NULL, IF(d.due > @n, 1, 0), IF(h.id IS NOT NULL, 3, IF(u.ends > @n, 2, 0)))) AS state
      FROM qudo_job AS j JOIN qudo_kind AS k ON k.id = j.kind
      LEFT JOIN qudo_ready AS w ON w.kind = j.kind AND w.ranking = j.ranking AND w.due = j.due AND w.id = j.id
      LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
      LEFT JOIN qudo_held AS h ON h.kind = j.kind AND h.name = j.concurrency_key AND h.id = j.id
      LEFT JOIN qudo_group AS g ON g.job = j.id
      LEFT JOIN (SELECT id, MAX(ends) AS ends FROM qudo_running \(ofIDs)GROUP BY id) AS u ON u.id = j.id
      """
  }

  /// Returns the query for the lowest ids of the jobs in these states. Each table may contribute a whole
  /// page.
  private func ids(_ states: Set<JobState>, _ kinds: [Int64]?, _ query: JobQuery) -> SQL {
    let sources: [(state: JobState, from: SQL)] = [
      (.ready, "qudo_ready WHERE"), (.ready, "qudo_delayed WHERE due <= @n AND"),
      (.ready, "qudo_running WHERE ends <= @n AND"),
      (.delayed, "qudo_delayed WHERE due > @n AND"), (.running, "qudo_running WHERE ends > @n AND"),
      (.held, "qudo_held WHERE"),
    ]
    let ofKind: SQL = kinds.map { "kind IN \(list: $0) AND" } ?? ""
    let arms = sources.filter { states.contains($0.state) }.map { source -> SQL in
      "(SELECT id FROM \(source.from) \(ofKind) id > \(query.after) ORDER BY id LIMIT \(query.limit))"
    }
    return "SELECT id FROM (\(arms.joined(" UNION ALL "))) AS arms ORDER BY id LIMIT \(query.limit)"
  }

  private func jobs(_ sql: SQL) throws(QudoError) -> [StoredJob] { try look(sql).map { StoredJob($0) } }

  /// Returns the query for those jobs of a part that are live. Each of its rows is a ``StoredJob``.
  static func live(_ part: ArraySlice<Int64>) -> SQL { "\(select(of: part)) WHERE j.id IN \(list: part)" }
}

extension StoredJob {
  /// - Parameter row: A row of a listing.
  init(_ row: Row) {
    let states: [JobState] = [.ready, .delayed, .running, .held]
    let state = states[Int(row.integer(Transaction.stateColumn))]
    self.init(
      id: row.integer(0), kind: Kind(row.text(1)), state: state,
      payload: Payload(row.bytes(2), codec: CodecID(row.integer(3))),
      uniqueKey: row.textIfAny(4), priority: 0 &- Int(row.integer(5)), attempt: Int(row.integer(6)),
      enqueuedAt: Timestamp(microseconds: row.integer(7)), dueAt: Timestamp(microseconds: row.integer(8)),
      leaseExpiresAt: state == .running
        ? Timestamp(microseconds: min(row.integer(10), Timestamp.latest.microseconds)) : nil,
      metadata: JobMetadata(bytes: row.bytes(9)),
      expiresAt: row.integerIfAny(12).map { Timestamp(microseconds: $0) },
      expiredLeases: Int(row.integer(11)),
      concurrencyKey: row.textIfAny(13), group: row.textIfAny(14))
  }
}

extension JobState {
  fileprivate var number: Int64 {
    switch self {
    case .ready: 0
    case .delayed: 1
    case .running: 2
    case .held: 3
    }
  }
}
#endif
