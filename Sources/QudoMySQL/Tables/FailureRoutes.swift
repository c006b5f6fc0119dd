#if MySQL
internal import Qudo

/// The kinds that final failures go to. The table `qudo_route` is usually empty.
///
/// A settlement that fails for good locks its lease first, and the same statement returns the target of the job's kind.
/// So without a route, it costs neither a statement nor a round trip. With one, it reads the job's metadata in another
/// round trip, and the server copies the payload.
enum FailureRoutes {
  /// Returns a column with the number of the target; 0 for none, and NULL if the server was told to stop.
  static func target(_ kind: SQL) -> SQL {
    "(SELECT COALESCE(MIN(t.target), 0) FROM qudo_route AS t WHERE t.kind = \(kind))"
  }
}

extension Transaction {
  /// Runs the whole verb that sets routes. It writes nothing if nothing changes, because each worker calls it.
  func run(routing routes: [FailureRoute]) throws(QudoError) {
    if try wasCommitted() != nil { return }
    var wanted: [Kind: Kind?] = [:]
    for route in routes { wanted[route.kind] = .some(route.target) }
    guard !wanted.isEmpty else { return }
    let stored = try failureRoutes()
    let current = Dictionary(stored.map { ($0.kind, $0.target) }, uniquingKeysWith: { first, _ in first })
    // A SELECT that the server was told to stop may return no rows: see ``Write``. Then this writes what is there.
    let changed = wanted.filter { kind, target in (current[kind] ?? nil) != target }
    guard !changed.isEmpty else { return }
    try makeKinds(changed.flatMap { kind, target in target.map { [kind, $0] } ?? [] })
    var (removed, rows): ([Int64], [(kind: Int64, target: Int64)]) = ([], [])
    for (kind, target) in changed {
      let number = try requireNumber(of: kind)
      if let target {
        rows.append((number, try requireNumber(of: target)))
      } else {
        removed.append(number)
      }
    }
    for part in removed.sorted().parts() { write("DELETE FROM qudo_route WHERE kind IN \(list: part)") }
    for part in rows.sorted(by: <).parts() {
      let values = part.map { row -> SQL in "(\(row.kind),\(row.target))" }
      write("REPLACE INTO qudo_route(kind, target) VALUES\(values.joined(","))")
    }
    try commit()
  }

  /// Returns the kinds that have a route, in the order of their names.
  func failureRoutes() throws(QudoError) -> [FailureRoute] {
    let rows = try look(
      """
      SELECT k.name, k.id, t.name, t.id FROM qudo_route AS r
      JOIN qudo_kind AS k ON k.id = r.kind JOIN qudo_kind AS t ON t.id = r.target
      """)
    var routes: [FailureRoute] = []
    try rows.forEach { row throws(QudoError) in
      let (kind, target) = (Kind(row.text(0)), Kind(row.text(2)))
      know(kind, row.integer(1))
      know(target, row.integer(3))
      routes.append(FailureRoute(kind, to: target))
    }
    return routes.sorted { $0.kind < $1.kind }
  }

  /// Reads the jobs of final failures that are to enqueue others.
  ///
  /// - Parameter targets: The jobs, with the numbers of the kinds that they enqueue.
  func routed(_ targets: [Int64: Int64]) throws(QudoError) -> [Int64: RoutedJob] {
    var jobs: [Int64: RoutedJob] = [:]
    guard !targets.isEmpty else { return jobs }
    for rows in try read(targets.keys.sorted().parts().map { RoutedJob.look(for: $0) }) {
      try rows.forEach { row throws(QudoError) in
        let id = row.integer(0)
        if let target = targets[id] { jobs[id] = RoutedJob(row, target) }
      }
    }
    // A SELECT that the server was told to stop may return no rows: see ``Write``.
    guard jobs.count == targets.count else { throw .short(jobs.count, targets.count) }
    return jobs
  }

  /// Enqueues the jobs of final failures, in their order. Call this before the failed jobs are deleted, because the
  /// server copies their payloads.
  func enqueue(_ failures: [(job: RoutedJob, reason: FailureReason, message: String)]) throws(QudoError) {
    for (job, reason, message) in failures {
      wakes = true
      var place: GroupPlace?
      if mayBeGrouped(job.target) {
        let request = PlaceRequest(
          queue: GroupQueue(kind: job.target, ranking: job.ranking), group: nil)
        var places = try places(for: [request])
        place = places?.place(request, due: now.microseconds, now: now.microseconds)
      }
      let due = place?.place ?? now.microseconds
      if place == nil {
        entries.add(job.target, ranking: job.ranking)
      } else {
        entries.add(job.target, ScanCursors.Key(ranking: job.ranking, due: due, id: .min))
      }
      let metadata = job.metadata(reason, message)
      let answer = InsertAnswer()
      write(
        """
        INSERT INTO qudo_job(kind, ranking, due, enqueued, codec, meta, payload)
        SELECT \(job.target), ranking, \(due), \(now.microseconds), codec, \(metadata.bytes), payload
        FROM qudo_job WHERE id = \(job.id)
        """, count: 1
      ) { result in
        answer.ids = [result.insertID]
        self.effects.highest = result.insertID
      }
      write(
        """
        INSERT INTO qudo_ready(kind, ranking, due, id, flags) \
        VALUES(\(job.target), \(job.ranking), \(due), LAST_INSERT_ID(), \(KeyHold.none.rawValue | (place == nil ? 0 : GroupRows.bit)))
        """)
      if let place {
        storeGroups([
          "(LAST_INSERT_ID(),\(job.target),\(job.ranking),\(place.group),\(place.place),\(place.due))"
        ])
      }
      write(receipt.write(answer, 1))
    }
  }
}

/// A job whose final failure enqueues another one.
struct RoutedJob {
  let id: Int64
  let kind: Kind
  let attempt: Int
  let ranking: Int64
  private let metadata: JobMetadata
  /// The number of the new job's kind.
  let target: Int64

  static func look(for ids: ArraySlice<Int64>) -> SQL {
    """
    SELECT j.id, k.name, j.attempt, j.ranking, j.meta FROM qudo_job AS j JOIN qudo_kind AS k ON k.id = j.kind
    WHERE j.id IN \(list: ids)
    """
  }

  init(_ row: Row, _ target: Int64) {
    (id, kind, attempt, ranking) = (
      row.integer(0), Kind(row.text(1)), Int(row.integer(2)), row.integer(3)
    )
    metadata = JobMetadata(bytes: row.bytes(4))
    self.target = target
  }

  /// Returns the metadata of the new job.
  func metadata(_ reason: FailureReason, _ message: String) -> JobMetadata {
    let failed = FailedJob(id: id, kind: kind, reason: reason, attempt: attempt, message: message)
    // The kind and the payload do not matter here: the server has them.
    return FailureRoute.job(
      kind, after: failed, payload: Payload([]), priority: 0 &- Int(ranking), metadata: metadata
    ).metadata
  }
}
#endif
