#if MySQL
internal import Dispatch
public import Qudo

extension MySQLDriver: DiagnosingDriver {
  /// Looks for what is wrong with the server's settings and with the jobs, over a separate connection.
  ///
  /// It creates no tables and migrates none. It makes fewer checks than for a file: see "Operating Qudo".
  public func diagnose(_ options: DiagnosisOptions) async throws(QudoError) -> Diagnosis {
    let settings = pool.access.settings
    return try await withContinuation { continuation in
      DispatchQueue(label: "qudo.diagnosis").async {
        Interleaving.point()
        continuation.resume(
          returning: Result { () throws(QudoError) in try ServerDiagnosis(settings, options).diagnosis() })
      }
    }.get()
  }
}

/// The diagnosis of a server and a database on it.
struct ServerDiagnosis {
  private let settings: Settings
  private let options: DiagnosisOptions

  init(_ settings: Settings, _ options: DiagnosisOptions) {
    (self.settings, self.options) = (settings, options)
  }

  func diagnosis() throws(QudoError) -> Diagnosis {
    var diagnosis = Diagnosis(settings.name)
    let connected: (connection: Connection, facts: MySQLServerFacts, schema: Result<Rows?, QudoError>)
    do throws(QudoError) {
      connected = try DatabaseOpener.connect(settings)
      diagnosis.add("version", [])
    } catch {
      // The server answers, but Qudo cannot use it with its version or its settings.
      guard error.code == .unsupportedDatabase else { throw error }
      diagnosis.add("version", [Finding("version", .fault, error)])
      return diagnosis
    }
    let connection = connected.connection
    diagnosis.add("durability", connected.facts.losesOnPowerCut.map(durability))
    diagnosis.add("clock-difference", clock(connected.facts))
    diagnosis.add("read-only", try readOnly(connection))
    let schema = schema(connected.schema)
    diagnosis.add("schema", schema)
    guard schema.allSatisfy({ $0.severity == .note }) else { return diagnosis }
    do throws(QudoError) {
      diagnosis.add("privileges", try privileges(connection))
      try addQueue(connection, to: &diagnosis)
    } catch {
      guard error.code == .accessDenied || error.code == .corrupt else { throw error }
      let check = error.code == .corrupt ? "damaged" : "privileges"
      diagnosis.add(check, [Finding(check, .fault, error)])
    }
    return diagnosis
  }

  // MARK: Server

  /// - Parameter loss: Such as `sync_binlog is 0: set it to 1`.
  private func durability(_ loss: String) -> Finding {
    var finding = Finding("durability", .warning, QudoError(.database, loss))
    finding.message += ": a power cut at the server can lose acknowledged jobs"
    return finding
  }

  private func clock(_ facts: MySQLServerFacts) -> [Finding] {
    guard let warning = facts.clockWarning else { return [] }
    return [
      Finding(
        "clock-difference", .warning,
        "the server's clock is \(warning.isAhead ? "ahead of" : "behind") this machine's by \((warning.isAhead ? facts.clockAhead : .zero - facts.clockAhead).inUnits): it decides when jobs are due",
        advice: "set both clocks by NTP", figures: ["milliseconds": facts.clockAhead.wholeMicroseconds / 1000]
      )
    ]
  }

  private func readOnly(_ connection: Connection) throws(QudoError) -> [Finding] {
    guard let row = try connection.run("SELECT @@GLOBAL.read_only").rows?.next(),
      !["0", "OFF"].contains(row.text(0))
    else { return [] }
    return [
      Finding(
        "read-only", .fault,
        "the server is read-only, perhaps because it is a replica: nothing can be enqueued or worked on",
        advice: "use the primary, or set read_only to OFF")
    ]
  }

  private func schema(_ found: Result<Rows?, QudoError>) -> [Finding] {
    switch found {
    case .failure(let error) where error.mysql?.isOfMissingTables != true:
      return [Finding("schema", .fault, error)]
    case .failure:
      return [
        Finding(
          "schema", .fault, "the database has no Qudo tables, or very old ones",
          advice: "check the database's name, or enqueue the first job, which creates or migrates the tables")
      ]
    case .success(let rows):
      guard let row = rows?.next() else {
        return [
          Finding(
            "schema", .fault,
            "the table qudo_schema has no version: the tables are being created or restored",
            advice: "wait, then look again")
        ]
      }
      let (version, lowest) = (row.integer(0), row.integer(1))
      if lowest > Schema.version {
        return [
          Finding(
            "schema", .fault, "the database has schema \(version), and this Qudo knows \(Schema.version)",
            advice: "update this program", figures: ["version": version])
        ]
      }
      guard version < Schema.version else { return [] }
      return [
        Finding(
          "schema", .warning,
          "the database has schema \(version) of an older Qudo, and this one reads \(Schema.version)",
          advice: "open it once with a worker or an enqueue of this version", figures: ["version": version])
      ]
    }
  }

  /// Asks the server to explain statements, which takes the same privileges as executing them, and changes nothing.
  private func privileges(_ connection: Connection) throws(QudoError) -> [Finding] {
    let statements: [(name: String, sql: SQL)] = [
      ("SELECT", "EXPLAIN SELECT id FROM qudo_job WHERE id = 0"),
      ("INSERT", "EXPLAIN INSERT INTO qudo_kind(name) VALUES('')"),
      ("UPDATE", "EXPLAIN UPDATE qudo_job SET lost = 0 WHERE id = 0"),
      ("DELETE", "EXPLAIN DELETE FROM qudo_job WHERE id = 0"),
    ]
    var missing: [String] = []
    for (name, sql) in statements {
      do throws(QudoError) {
        try connection.run([sql, "ROLLBACK"])
      } catch {
        // A server that is read-only refuses even to explain a write to most users. That is a finding already.
        if error.code == .readOnly { continue }
        guard error.code == .accessDenied else { throw error }
        missing.append(name)
      }
    }
    guard !missing.isEmpty else { return [] }
    return [
      Finding(
        "privileges", .fault,
        "the user lacks the privileges \(missing.joined(separator: ", ")) on Qudo's tables",
        advice: "grant SELECT, INSERT, UPDATE and DELETE on the database, and CREATE and ALTER for migrations"
      )
    ]
  }

  // MARK: Jobs

  private static let (mostOverdue, mostFar, mostExpired) = (1000, 1000, 1000)
  /// How long ago a lease must have ended, in microseconds.
  private static let lateness: Int64 = 60_000_000

  private func addQueue(_ connection: Connection, to diagnosis: inout Diagnosis) throws(QudoError) {
    let transaction = Transaction(connection, KindCache())
    let now = Timestamp(microseconds: try transaction.look("SELECT @n").next()?.integer(0) ?? 0)
    let wait = now.advanced(by: .zero - options.maxWait).microseconds
    let far = now.advanced(by: options.maxDelay).microseconds
    let rows = try transaction.look(Self.queries(now: now, wait: wait, far: far), after: [])
    var facts = QueueFacts(now: now)
    var oldest: [Int64: Int64] = [:]
    for part in rows[0...1] {
      while let row = part.next() {
        oldest[row.integer(0)] = min(oldest[row.integer(0)] ?? .max, row.integer(1))
      }
    }
    let running = Set(rows[2].map { $0.integer(0) })
    facts.waiting = try waiting(oldest.filter { $0.value < wait }, running, transaction)
    if let row = rows[3].next(), let latest = row.integerIfAny(1) {
      let count = Int(row.integer(0))
      facts.far = QueueFacts.FarJobs(
        count: min(count, Self.mostFar), isMore: count > Self.mostFar,
        latest: Timestamp(microseconds: latest),
        job: row.integerIfAny(2) ?? 0)
    }
    let expired = rows[4].next()
    var newest = rows[5].map { $0.integer(0) }
    for (name, ends) in [("failure", rows[6]), ("status", rows[7])] {
      let ends = ends.map { (id: $0.integer(0), time: $0.integer(1)) }
      guard let first = ends.first, let last = ends.last else { continue }
      facts.logs.append(
        QueueFacts.Log(
          name, rows: last.id.clampedMinus(first.id).clampedPlus(1),
          oldest: Timestamp(microseconds: first.time)))
      newest.append(last.time)
    }
    facts.newest = newest.max().map { Timestamp(microseconds: $0) }
    facts.pauses = try transaction.pauses()
    facts.keyStops = QueueFacts.KeyStops(
      try transaction.keyStops(nil, after: 0, limit: QueueFacts.KeyStops.most + 1))
    facts.schedules = try transaction.schedules(nil)
    diagnosis = Diagnosis(
      diagnosis.database, findings: diagnosis.findings, checks: diagnosis.checks,
      schedules: facts.schedules.map(\.name))
    diagnosis.add("expired-lease", expired.map { expiredLeases($0, now) } ?? [])
    facts.add(to: &diagnosis, options)
  }

  /// The queries, each with a bounded number of rows by an index.
  static func queries(now: Timestamp, wait: Int64, far: Int64) -> [SQL] {
    [
      // Skips from group to group in the primary key.
      "SELECT kind, MIN(oldest) FROM (SELECT kind, ranking, MIN(due) AS oldest FROM qudo_ready GROUP BY kind, ranking) AS r GROUP BY kind",
      "SELECT kind, due FROM qudo_delayed WHERE due <= \(wait) ORDER BY due, id LIMIT \(mostOverdue)",
      // As many as the workers hold.
      "SELECT DISTINCT kind FROM qudo_running WHERE ends > \(now.microseconds)",
      """
      SELECT COUNT(*), MAX(due),
        (SELECT id FROM qudo_delayed WHERE due > \(far) ORDER BY due DESC, id DESC LIMIT 1) FROM (
        SELECT due, id FROM qudo_delayed WHERE due > \(far) ORDER BY due DESC, id DESC LIMIT \(mostFar + 1)) AS d
      """,
      """
      SELECT COUNT(*), MIN(ends) FROM (
        SELECT ends FROM qudo_running WHERE ends <= \(now.microseconds - lateness) ORDER BY ends, id LIMIT \(mostExpired)) AS r
      """,
      "SELECT enqueued FROM qudo_job ORDER BY id DESC LIMIT 1", logEnds("qudo_failure", "failed_at"),
      logEnds("qudo_status", "ended_at"),
    ]
  }

  private static func logEnds(_ table: SQL, _ time: SQL) -> SQL {
    """
    (SELECT id, \(time) FROM \(table) ORDER BY id LIMIT 1) UNION ALL (SELECT id, \(time) FROM \(table) ORDER BY id DESC LIMIT 1)
    """
  }

  private func waiting(_ oldest: [Int64: Int64], _ running: Set<Int64>, _ transaction: Transaction)
    throws(QudoError) -> [QueueFacts.WaitingKind]
  {
    var names: [Int64: (kind: Kind, bucket: RateBucket)] = [:]
    for part in oldest.keys.sorted().parts() {
      let rows = try transaction.look(RateRows.select(part, naming: true))
      while let row = rows.next() { names[row.integer(0)] = (Kind(row.text(5)), RateRows.bucket(row)) }
    }
    return oldest.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.compactMap { number, due in
      names[number].map {
        QueueFacts.WaitingKind(
          $0.kind, oldest: Timestamp(microseconds: due), isRunning: running.contains(number),
          bucket: $0.bucket)
      }
    }
  }

  private func expiredLeases(_ row: Row, _ now: Timestamp) -> [Finding] {
    guard let first = row.integerIfAny(1) else { return [] }
    let count = row.integer(0)
    let age = Duration.microseconds(now.microseconds.clampedMinus(first))
    return [
      Finding(
        "expired-lease", .warning,
        "the leases of \(count == Self.mostExpired ? "at least " : "")\(count) running jobs have expired, the first one \(age.inUnits) ago, and no worker has taken over",
        advice: "start a worker for these jobs: it runs them again at once",
        figures: ["jobs": count, "seconds": age.wholeSeconds])
    ]
  }
}
#endif
