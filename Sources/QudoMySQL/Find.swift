#if MySQL
internal import Qudo

extension Transaction {
  /// With neither kinds nor states given, a page is read in the order of the ids and costs what it has. Otherwise the
  /// ids of all the jobs that fit are read, but not the jobs, and the lowest are taken: a page then costs by how many
  /// there are. It is one statement, and so what it sees is of one moment; nothing is locked.
  func find(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    let states = query.states ?? Set(JobState.allCases)
    let kinds = try numbers(of: query.kinds)
    guard query.limit > 0, !states.isEmpty, kinds?.isEmpty != true else { return [] }
    if let ids = query.ids {
      var found: [StoredJob] = []
      let ofKind: SQL = kinds.map { " AND j.kind IN \(list: $0)" } ?? ""
      let ofState = states.map { state -> SQL in "\(state.number)" }.joined(",")
      for part in Set(ids).filter({ $0 > query.after }).sorted().parts() where found.count < query.limit {
        found += try jobs(
          """
          \(Self.select) WHERE j.id IN \(list: part)\(ofKind) HAVING state IN (\(ofState)) ORDER BY j.id LIMIT \(query.limit - found.count)
          """)
      }
      return found
    }
    guard kinds != nil || states.count < JobState.allCases.count else {
      return try jobs("\(Self.select) WHERE j.id > \(query.after) ORDER BY j.id LIMIT \(query.limit)")
    }
    return try jobs(
      "\(Self.select) JOIN (\(ids(states, kinds, query))) AS page ON page.id = j.id ORDER BY j.id")
  }

  /// The state as it is at `@n`. The running are ordered by the end of their leases: grouped they become a table of their own for the
  /// statement, which is looked up by id.
  private static let select: SQL = """
    SELECT j.id, k.name, j.payload, j.codec, j.unique_key, j.ranking, j.attempt, j.enqueued, j.due, j.meta, u.ends,
      IF(w.id IS NOT NULL, 0, IF(d.id IS NOT NULL, IF(d.due > @n, 1, 0), IF(u.ends > @n, 2, 0))) AS state
    FROM qudo_job AS j JOIN qudo_kind AS k ON k.id = j.kind
    LEFT JOIN qudo_ready AS w ON w.kind = j.kind AND w.ranking = j.ranking AND w.due = j.due AND w.id = j.id
    LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
    LEFT JOIN (SELECT id, MAX(ends) AS ends FROM qudo_running GROUP BY id) AS u ON u.id = j.id
    """

  /// The lowest ids of the jobs in these states. Each table is asked for as many as are wanted of all.
  private func ids(_ states: Set<JobState>, _ kinds: [Int64]?, _ query: JobQuery) -> SQL {
    let sources: [(state: JobState, from: SQL)] = [
      (.ready, "qudo_ready WHERE"), (.ready, "qudo_delayed WHERE due <= @n AND"),
      (.ready, "qudo_running WHERE ends <= @n AND"),
      (.delayed, "qudo_delayed WHERE due > @n AND"), (.running, "qudo_running WHERE ends > @n AND"),
    ]
    let ofKind: SQL = kinds.map { "kind IN \(list: $0) AND" } ?? ""
    let arms = sources.filter { states.contains($0.state) }.map { source -> SQL in
      "(SELECT id FROM \(source.from) \(ofKind) id > \(query.after) ORDER BY id LIMIT \(query.limit))"
    }
    return "SELECT id FROM (\(arms.joined(" UNION ALL "))) AS arms ORDER BY id LIMIT \(query.limit)"
  }

  private func jobs(_ sql: SQL) throws(QudoError) -> [StoredJob] {
    let rows = try look(sql)
    let states: [JobState] = [.ready, .delayed, .running]
    return rows.map { row in
      let state = states[Int(row.integer(11))]
      return StoredJob(
        id: row.integer(0), kind: Kind(row.text(1)), state: state,
        payload: Payload(row.bytes(2), codec: CodecID(row.integer(3))),
        uniqueKey: row.textIfAny(4), priority: 0 &- Int(row.integer(5)), attempt: Int(row.integer(6)),
        enqueuedAt: Timestamp(microseconds: row.integer(7)), dueAt: Timestamp(microseconds: row.integer(8)),
        leaseExpiresAt: state == .running
          ? Timestamp(microseconds: min(row.integer(10), Timestamp.latest.microseconds)) : nil,
        metadata: JobMetadata(bytes: row.bytes(9)))
    }
  }
}

extension JobState {
  fileprivate var number: Int64 {
    switch self {
    case .ready: 0
    case .delayed: 1
    case .running: 2
    }
  }
}
#endif
