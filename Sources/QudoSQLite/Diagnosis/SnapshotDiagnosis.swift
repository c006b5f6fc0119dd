internal import CSQLite
internal import Qudo

/// The diagnosis of what is in a file, in one read transaction.
struct SnapshotDiagnosis {
  private let snapshot: Snapshot
  private let reader: ListingReader
  private let place: String
  private let options: DiagnosisOptions
  private var connection: Connection { snapshot.connection }

  init(_ snapshot: Snapshot, _ reader: ListingReader, _ place: String, _ options: DiagnosisOptions) {
    (self.snapshot, self.reader, self.place, self.options) = (snapshot, reader, place, options)
  }

  /// Adds the findings. Damage that a check meets is a finding, too, and ends the checks of the tables.
  ///
  /// - Throws: Any other error; what was found so far is kept.
  func add(to diagnosis: inout Diagnosis) throws(QudoError) {
    let first = index
    diagnosis.add("write-lock", writeLock)
    diagnosis.add("wal", wal(since: first))
    do throws(QudoError) {
      diagnosis.add("sqlite", try library())
      let isReadable = try addSchema(to: &diagnosis)
      if isReadable { try addQueue(to: &diagnosis) }
      diagnosis.add("free-pages", try freePages())
      if options.checksIntegrity { diagnosis.add("integrity", try integrity(ofTables: isReadable)) }
      diagnosis.add("damaged", [])
    } catch {
      guard error.code == .corrupt else { throw error }
      diagnosis.add("damaged", [FileDiagnosis.damage(error)])
    }
  }

  // MARK: SQLite

  private func library() throws(QudoError) -> [Finding] {
    guard WALResetBug.isInLibrary else { return [] }
    let version = SQLiteDriver.libraryVersion
    if try connection.hasForeignTables() {
      return [
        Finding(
          "sqlite", .warning,
          "SQLite \(version) has the WAL-reset bug, and the file has tables of an application: its own checkpoints can damage the file",
          advice:
            "call SQLiteDriver.prepareConnection on each of the application's connections, or use SQLite 3.51.3, 3.50.7 or 3.44.6"
        )
      ]
    }
    return [
      Finding(
        "sqlite", .note,
        "SQLite \(version) has the WAL-reset bug: Qudo avoids it, but other programs that write to the file can damage it",
        advice:
          "let other programs, such as the sqlite3 shell, only read; or use SQLite 3.51.3, 3.50.7 or 3.44.6")
    ]
  }

  /// The index of the WAL; nil if the connection reads without it, because nobody has the file open.
  private var index: WALIndex? {
    guard !isImmutable, FileStatus(place + "-wal") != nil, FileStatus(place + "-shm") != nil else {
      return nil
    }
    return WALIndex(connection)
  }

  /// Whether the connection reads the file alone, because nobody has it open and this user may not write to it.
  private var isImmutable: Bool {
    sqlite3_db_filename(connection.handle, "main").map { sqlite3_uri_boolean($0, "immutable", 0) != 0 }
      ?? true
  }

  /// Twice the number of frames after which Qudo begins a checkpoint.
  private static let mostFrames: Int64 = 4000

  /// - Parameter first: The index when this diagnosis began. Its own read transaction began no earlier, and is no blocker.
  private func wal(since first: WALIndex?) -> [Finding] {
    guard let first, var index, index.left >= Self.mostFrames else { return [] }
    // Only who reads for long keeps the WAL from being copied.
    let shm = FileStatus(place + "-shm")
    var blockers = index.blockers(LockList.current(), shm, since: first)
    for _ in 0..<FileDiagnosis.looks where !blockers.isEmpty {
      usleep(25_000)
      guard let now = self.index else { return [] }
      index = now
      blockers.formIntersection(now.blockers(LockList.current(), shm, since: first))
    }
    guard index.left >= Self.mostFrames else { return [] }
    let size = Self.size(index.bytesLeft)
    let figures = ["bytes": index.bytesLeft, "fileBytes": FileStatus(place + "-wal")?.size ?? 0]
    guard !blockers.isEmpty else {
      return [
        Finding(
          "wal", .note, "\(size) of the WAL wait for a checkpoint, and no reader prevents it",
          advice: "enqueue a job or start a worker: Qudo's next commits copy the WAL", figures: figures)
      ]
    }
    let names = SystemFile.processes(blockers, orElse: "a reader")
    return [
      Finding(
        "wal", .warning,
        "\(size) of the WAL cannot be copied into the file, because \(names) keeps a read transaction open; the WAL grows",
        advice:
          "if it is a backup or a check, wait for its end; else end the transaction or the process: at the maximum WAL size (1 GiB by default), enqueues fail with busy",
        figures: figures.merging(blockers.min().map { ["process": $0] } ?? [:]) { $1 })
    ]
  }

  private var writeLock: [Finding] {
    let held = FileDiagnosis.heldLocks(place) { index?.change }
    // A process that holds Qudo's lock usually holds SQLite's, too.
    let others = held.sqlite.subtracting(held.qudo)
    var found: [Finding] = []
    if !held.qudo.isEmpty {
      found.append(
        Finding(
          "write-lock", .warning,
          "\(SystemFile.processes(held.qudo, orElse: "a process")) has held Qudo's write lock for half a second and committed nothing: others cannot enqueue or work",
          advice: "look whether it is stopped or its disk hangs; continue it (kill -CONT) or end it",
          figures: held.qudo.min().map { ["process": $0] } ?? [:]))
    }
    if !others.isEmpty {
      found.append(
        Finding(
          "write-lock", .warning,
          "\(SystemFile.processes(others, orElse: "a process")) has had a write transaction of SQLite open for half a second and committed nothing: others cannot enqueue or work",
          advice:
            "let it commit or roll back, or end it; an application must not wait for anything in a transaction",
          figures: others.min().map { ["process": $0] } ?? [:]))
    }
    return found
  }

  private func freePages() throws(QudoError) -> [Finding] {
    let pages = try connection.integer("PRAGMA page_count") ?? 0
    let free = try connection.integer("PRAGMA freelist_count") ?? 0
    let size = try connection.integer("PRAGMA page_size") ?? 0
    let bytes = free.clampedTimes(size)
    guard bytes >= 64 << 20, free.clampedTimes(2) >= pages else { return [] }
    let isForeign = try connection.hasForeignTables()
    return [
      Finding(
        "free-pages", .note,
        "\(Self.size(bytes)) of the file are free pages, of \(Self.size(pages.clampedTimes(size)))",
        advice: isForeign
          ? "new jobs use them; to shrink the file, let the application VACUUM it"
          : "new jobs use them; to shrink the file, compact it (qudo compact)",
        figures: ["bytes": bytes, "fileBytes": pages.clampedTimes(size)])
    ]
  }

  static func size(_ bytes: Int64) -> String {
    bytes >= 10 << 30 ? "\(bytes >> 30) GiB" : bytes >= 10 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
  }

  // MARK: Schema

  /// Returns whether this version can read the tables.
  private func addSchema(to diagnosis: inout Diagnosis) throws(QudoError) -> Bool {
    // A connection that reads the file alone does not know the mode.
    let mode = isImmutable ? "wal" : try connection.journalMode()
    if mode != "wal", FileStatus(place)?.size ?? 0 > 0 {
      diagnosis.add(
        "journal-mode",
        [
          Finding(
            "journal-mode", .fault,
            "the database is not in WAL mode but in the mode \(mode), and Qudo refuses it",
            advice: "set it while no program has the file open (sqlite3 FILE 'PRAGMA journal_mode = WAL')")
        ])
    } else {
      diagnosis.add("journal-mode", [])
    }
    do throws(QudoError) {
      try reader.checkSchema(connection)
      diagnosis.add("schema", [])
      return true
    } catch {
      guard error.code != .corrupt || error.cause == nil else { throw error }
      diagnosis.add("schema", [Finding("schema", isOlder ? .warning : .fault, error)])
      return false
    }
  }

  private var isOlder: Bool {
    guard let version = try? connection.schemaTable.version() else { return false }
    return version > 0 && version < Schema.version
  }

  // MARK: Queue

  private func addQueue(to diagnosis: inout Diagnosis) throws(QudoError) {
    diagnosis.database = try snapshot.infoTable.name() ?? diagnosis.database
    diagnosis.add("durability", try durability())
    let leases = try LeaseDiagnosis(snapshot)
    diagnosis.add("dead-worker", leases.dead)
    diagnosis.add("expired-lease", leases.expired)
    var facts = QueueFacts(now: snapshot.now.wall)
    facts.workers = leases.workers
    facts.waiting = try waiting(leases.kinds)
    facts.pauses = try snapshot.pauseTable.read().filter { !$0.isOver(snapshot.now.wall) }.map(\.pause)
    facts.keyStops = QueueFacts.KeyStops(
      try snapshot.stopTable.page(nil, after: 0, limit: QueueFacts.KeyStops.most + 1))
    facts.far = try far()
    facts.schedules = try snapshot.scheduleTable.all()
    var newest = [
      try snapshot.jobTable.lastEnqueued(), try snapshot.instanceTable.lastOpened(),
    ].compactMap { $0.map { Timestamp(microseconds: $0) } }
    for (name, ends) in [
      ("failure", try snapshot.failureTable.ends()), ("status", try snapshot.statusTable.ends()),
    ] {
      guard let ends else { continue }
      facts.logs.append(QueueFacts.Log(name, rows: ends.rows, oldest: ends.oldest))
      newest.append(ends.newest)
    }
    facts.newest = newest.max()
    diagnosis = Diagnosis(
      diagnosis.database, findings: diagnosis.findings, checks: diagnosis.checks,
      schedules: facts.schedules.map(\.name))
    facts.add(to: &diagnosis, options)
  }

  private func durability() throws(QudoError) -> [Finding] {
    // Where the kernel does not tell, both seem to be held.
    if snapshot.locks.hasUnsynced, !snapshot.locks.hasSynced {
      return [
        Finding(
          "durability", .warning,
          "a process has the file open at durability off: a power cut can lose all jobs, or damage the file",
          advice: "open it at full or normal in all processes (--durability), unless its jobs may be lost")
      ]
    }
    guard try snapshot.infoTable.isUnsynced() else { return [] }
    return [
      Finding(
        "durability", .note,
        "the file was last written at durability off: until a process opens it at full or normal, a power cut can damage it",
        advice: "open it once at full (qudo schema)")
    ]
  }

  /// The number of kinds, of priorities of a kind, and of due jobs that no claim has promoted, at which a look stops.
  private static let (mostKinds, mostPriorities, mostOverdue) = (10_000, 100, 1000)

  private func waiting(_ running: Set<Int64>?) throws(QudoError) -> [QueueFacts.WaitingKind] {
    var oldest: [Int64: Int64] = [:]
    for kind in try snapshot.readyTable.kinds(from: .min, to: .max, atMost: Self.mostKinds) {
      oldest[kind] = try snapshot.readyTable.oldest(of: kind, atMost: Self.mostPriorities)
    }
    let limit = snapshot.now.wall.advanced(by: .zero - options.maxWait)
    for (kind, due) in try snapshot.delayedTable.overdue(limit, limit: Self.mostOverdue) {
      oldest[kind] = min(oldest[kind] ?? .max, due)
    }
    var all: [QueueFacts.WaitingKind] = []
    for (number, due) in oldest.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) })
    where due < limit.microseconds {
      guard let kind = try snapshot.kindTable.name(of: number) else { continue }
      all.append(
        QueueFacts.WaitingKind(
          kind, oldest: Timestamp(microseconds: due), isRunning: running.map { $0.contains(number) },
          bucket: try snapshot.rateTable.bucket(of: number)))
    }
    return all
  }

  private func far() throws(QudoError) -> QueueFacts.FarJobs? {
    let most = 1000
    let limit = snapshot.now.wall.advanced(by: options.maxDelay)
    guard let found = try snapshot.delayedTable.far(limit, limit: most + 1) else { return nil }
    return QueueFacts.FarJobs(
      count: min(found.count, most), isMore: found.count > most, latest: Timestamp(microseconds: found.due),
      job: found.job)
  }

  // MARK: Integrity

  private func integrity(ofTables isReadable: Bool) throws(QudoError) -> [Finding] {
    let report = try connection.checkIntegrity(.full)
    let problems = report.problems
    if !problems.isEmpty {
      let first = problems.prefix(3).joined(separator: "; ")
      return [
        Finding(
          "integrity", .fault, "SQLite's integrity check found damage: \(first)",
          advice:
            "stop its processes, check the disk, and restore a backup, or copy what can be read (sqlite3 FILE .dump): see \"Operating Qudo\"",
          figures: ["problems": Int64(problems.count)])
      ]
    }
    return application(report) + (isReadable ? try tables() : [])
  }

  /// The notes about an application's own tables.
  private func application(_ report: IntegrityReport) -> [Finding] {
    var seen: Set<String> = []
    let violations = report.violations.filter { seen.insert($0.table).inserted }.map { table, text in
      Finding(
        "integrity", .note, subject: table,
        "rows of the application's table \(table) violate its own constraints (\(text)); the file is not damaged",
        advice: "change the rows or the table in the application")
    }
    let unchecked = report.unchecked.map { table in
      Finding(
        "integrity", .note, subject: table,
        "the application's table \(table) cannot be checked here: it needs functions or collations of the application's own",
        advice: "run PRAGMA integrity_check on a connection of the application")
    }
    return violations.capped("tables") + unchecked.capped("tables")
  }

  /// Each job must be ready, delayed, running or held, and nothing else.
  private func tables() throws(QudoError) -> [Finding] {
    let states: [(String, (bad: Int64, jobs: Int64))] = [
      ("qudo_ready", try snapshot.readyTable.check()), ("qudo_delayed", try snapshot.delayedTable.check()),
      ("qudo_running", try snapshot.runningTable.check()), ("qudo_held", try snapshot.heldTable.check()),
      ("qudo_admitted", (try snapshot.placeTable.check(), 0)),
      ("qudo_group", (try snapshot.groupTable.check(), 0)),
      ("qudo_key_rate", (Int64(try snapshot.keyRateTable.wrong().count), 0)),
    ]
    var found: [Finding] = []
    for (table, (bad, _)) in states where bad > 0 {
      found.append(
        Finding(
          "integrity", .warning, subject: table,
          "\(bad) rows of \(table) do not agree with the jobs: another program modified Qudo's tables",
          advice: "let a worker run, which repairs the rows that it meets; change jobs with Qudo only",
          figures: ["rows": bad]))
    }
    let jobs = try snapshot.jobTable.count()
    let named = states.reduce(Int64(0)) { $0.clampedPlus($1.1.jobs) }
    if found.isEmpty, jobs != named {
      let difference = jobs.clampedMinus(named)
      found.append(
        Finding(
          "integrity", .fault,
          difference > 0
            ? "\(difference) jobs are neither ready nor delayed nor running nor held, so that no worker finds them"
            : "\(-difference) jobs are in more than one state, so that they run more than once",
          advice: "another program modified Qudo's tables: restore a backup, or enqueue the jobs again",
          figures: ["jobs": difference.magnitude > Int64.max ? .max : abs(difference)]))
    }
    return found
  }
}
