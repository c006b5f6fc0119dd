internal import Qudo

extension Snapshot {
  /// With neither kinds nor states given, a page is read in the order of the ids and costs what it has. Otherwise the
  /// ids of all the jobs in those states are read, but not the jobs, and the lowest are taken: a page then costs by
  /// how many such jobs there are.
  func find(_ query: JobQuery) throws(QudoError) -> [StoredJob] {
    guard query.limit > 0, query.states?.isEmpty != true else { return [] }
    let kinds = try numbers(of: query.kinds)
    guard kinds?.isEmpty != true else { return [] }
    let filter = Filter(kinds: kinds, states: query.states ?? Set(JobState.allCases), after: query.after, limit: query.limit)
    if let ids = query.ids { return try jobs(Set(ids).filter { $0 > query.after }.sorted(), filter) }
    guard kinds != nil || filter.states.count < JobState.allCases.count else {
      return try jobs("j.id > ?", [.integer(query.after)], filter, limit: query.limit)
    }
    return try jobs(candidates(filter), filter)
  }

  private struct Filter {
    let kinds: [Int64]?
    let states: Set<JobState>
    let after: Int64
    let limit: Int
  }

  /// The jobs with these ids, as far as they fit.
  private func jobs(_ ids: [Int64], _ filter: Filter) throws(QudoError) -> [StoredJob] {
    var found: [StoredJob] = []
    for start in stride(from: 0, to: ids.count, by: Self.chunk) where found.count < filter.limit {
      let list = IntegerList(Array(ids[start..<min(start + Self.chunk, ids.count)]))
      found += try jobs("j.id IN \(list.sql)", list.values, filter, limit: filter.limit - found.count)
    }
    return found
  }

  private func jobs(_ condition: String, _ values: [Value], _ filter: Filter, limit: Int) throws(QudoError) -> [StoredJob] {
    var values: [Value] = [.integer(now.wall.microseconds), .integer(boot), .integer(now.sinceBoot)] + values
    var conditions = [condition]
    if filter.states.count < JobState.allCases.count {
      conditions.append("state IN (\(filter.states.map { "\($0.number)" }.sorted().joined(separator: ", ")))")
    }
    if let kinds = filter.kinds.map({ IntegerList($0) }) {
      conditions.append("j.kind IN \(kinds.sql)")
      values += kinds.values
    }
    var found: [StoredJob] = []
    // A job that waits nowhere is running. The condition on `ready` and `delayed` is the whole of their keys.
    try connection.each(
      """
      SELECT j.id, (SELECT name FROM qudo_kind WHERE qudo_kind.id = j.kind),
        CASE WHEN w.id IS NOT NULL THEN 0 WHEN d.id IS NOT NULL THEN d.due > ? WHEN r.boot = ? AND r.ends > ? THEN 2 ELSE 0 END AS state,
        j.payload, j.codec, j.unique_key, j.rank, j.attempt, j.enqueued, j.due, r.ends, j.meta
      FROM qudo_job AS j
        LEFT JOIN qudo_ready AS w ON w.kind = j.kind AND w.rank = j.rank AND w.due = j.due AND w.id = j.id
        LEFT JOIN qudo_delayed AS d ON d.due = j.due AND d.id = j.id
        LEFT JOIN qudo_running AS r ON r.id = j.id
      WHERE \(conditions.joined(separator: " AND ")) ORDER BY j.id LIMIT ?
      """, values: values + [.integer(Int64(limit))]
    ) { row throws(QudoError) in found.append(job(row)) }
    return found
  }

  private func job(_ row: Statement) -> StoredJob {
    let state = JobState.allCases.first { $0.number == row.integer(2) } ?? .ready
    let ends = now.wall.advanced(by: .microseconds(row.integer(10) - now.sinceBoot))
    return StoredJob(
      id: row.integer(0), kind: Kind(row.text(1)), state: state, payload: Payload(row.blob(3), codec: CodecID(row.integer(4))),
      uniqueKey: row.isNull(5) ? nil : row.text(5), priority: -Int(row.integer(6)), attempt: Int(row.integer(7)),
      enqueued: Timestamp(microseconds: row.integer(8)), due: Timestamp(microseconds: row.integer(9)),
      leaseEnds: state == .running ? ends : nil, meta: row.isNull(11) ? nil : row.blob(11))
  }

  /// The lowest ids of the jobs in these states, with few that are not.
  private func candidates(_ filter: Filter) throws(QudoError) -> [Int64] {
    let time = Value.integer(now.wall.microseconds)
    let live: [Value] = [.integer(boot), .integer(now.sinceBoot)]
    var ids: Set<Int64> = []
    for state in filter.states {
      switch state {
      case .ready:
        try add("qudo_ready WHERE 1", [], filter, to: &ids)
        try add("qudo_delayed WHERE due <= ?", [time], filter, to: &ids)
        try add("qudo_running WHERE NOT (boot = ? AND ends > ?)", live, filter, to: &ids)
      case .delayed: try add("qudo_delayed WHERE due > ?", [time], filter, to: &ids)
      case .running: try add("qudo_running WHERE boot = ? AND ends > ?", live, filter, to: &ids)
      }
    }
    return Array(ids.sorted().prefix(filter.limit))
  }

  private func add(_ source: String, _ values: [Value], _ filter: Filter, to ids: inout Set<Int64>) throws(QudoError) {
    let kinds = filter.kinds.map { IntegerList($0) }
    let condition = kinds.map { "AND kind IN \($0.sql)" } ?? ""
    try connection.each(
      "SELECT id FROM \(source) \(condition) AND id > ? ORDER BY id LIMIT ?",
      values: values + (kinds?.values ?? []) + [.integer(filter.after), .integer(Int64(filter.limit))]
    ) { row throws(QudoError) in ids.insert(row.integer(0)) }
  }
}

extension JobState {
  /// As ``Snapshot/find(_:)`` selects it.
  fileprivate var number: Int64 {
    switch self {
    case .ready: 0
    case .delayed: 1
    case .running: 2
    }
  }
}
