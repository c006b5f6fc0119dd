import CSQLite
import Foundation
import MariaDBServer
import Qudo
import QudoSQLite
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// `qudo doctor`, on queues with faults that other processes made.
@Suite(.waitsForProcesses) struct DoctorTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  /// Of the machine, and not of the file.
  private let ofMachine = ["sqlite", "file-system", "mount", "disk-space"]

  private func findings(_ arguments: String...) throws -> (rows: [[String: Any]], status: Int32) {
    let result = try place.qudo(["doctor", "--json"] + arguments, input: Data())
    #expect(result.errors == "")
    return (
      try result.objects().filter { !ofMachine.contains($0["check"] as? String ?? "") }, result.status
    )
  }

  /// The warnings that the temporary folder and the system's SQLite come with.
  private func hasWarnings() throws -> Bool {
    try place.qudo("enqueue", "k", "--database", "new.db")
    return try place.qudo("doctor", "--database", "new.db").status != 0
  }

  @Test("no problems: one line that says what was checked, and status 0") func nothing() throws {
    try place.qudo("enqueue", "k")
    let result = try place.qudo("doctor", "--integrity")
    #expect(try findings().rows.isEmpty)
    guard try !hasWarnings() else { return }
    #expect(result.status == 0 && result.errors == "")
    let last = try #require(result.lines.last)
    #expect(last.hasPrefix("qudo: no problems"))
    #expect(
      last.hasSuffix(
        "; checked: path, rights, mount, disk-space, file-system, write-lock, wal, sqlite, journal-mode, schema, durability, dead-worker, expired-lease, kind-idle, oldest-ready, paused, stopped-key, far-due, clock, log-growth, schedules, free-pages, integrity, damaged"
      ))
  }

  @Test("text and JSON of a warning, and status 1") func warning() throws {
    try place.qudo("enqueue", "k", "--at", "2150-01-01T00:00:00Z")
    let text = try place.qudo("doctor")
    #expect(text.status == 1 && text.errors == "")
    #expect(
      text.output.contains(
        """
        warning: qudo: far-due
          one job is due more than 366d from now, the last one (1) at 2150-01-01T00:00:00.000000Z
          -> if the program that enqueued them took milliseconds for seconds, or the like, change them (qudo change --at) or cancel them

        """))
    #expect(text.lines.last?.hasPrefix("qudo: ") == true)
    let (rows, status) = try findings()
    #expect(status == 1 && rows.count == 1)
    let row = try #require(rows.first)
    #expect(
      Set(row.keys) == ["database", "check", "severity", "message", "advice", "subject", "figures"])
    #expect(row["database"] as? String == "qudo" && row["check"] as? String == "far-due")
    #expect(row["severity"] as? String == "warning" && row["subject"] is NSNull)
    #expect(row["figures"] as? [String: Int] == ["job": 1, "jobs": 1])
  }

  @Test("a killed worker's job") func deadWorker() throws {
    let alive = try place.lifeline("alive")
    try place.qudo("enqueue", "k")
    let worker = try place.start("work", "k=sh -c 'echo $$ >> pids; exec 3>>alive; echo up >&3; sleep 77'")
    #expect(try alive.line() == "up")
    #expect(try findings().rows.isEmpty)
    worker.kill(SIGKILL)
    #expect(try worker.end() == SIGKILL)
    let row = try #require(try findings().rows.first)
    #expect(row["check"] as? String == "dead-worker")
    #expect(row["figures"] as? [String: Int] == ["jobs": 1, "process": Int(worker.id)])
    #expect(
      row["message"] as? String
        == "process \(worker.id) has ended while it held a job, and no worker has taken over")
  }

  #if os(Linux)
  @Test("a stopped process that holds the write lock") func writeLock() throws {
    let driver = try SQLiteDriver(path: place.path("qudo.db"))
    let descriptor = open(place.path("qudo.db-wal"), O_RDWR | O_CLOEXEC)
    defer { close(descriptor) }
    try #require(flock(descriptor, LOCK_EX) == 0)
    let (rows, status) = try findings()
    #expect(rows.map { $0["check"] as? String } == ["write-lock"] && status == 1)
    #expect((rows.first?["figures"] as? [String: Int])?["process"] == Int(getpid()))
    withExtendedLifetime(driver) {}
  }

  @Test("another process's read transaction that keeps the WAL from being copied") func pinnedWAL()
    async throws
  {
    let driver = try SQLiteDriver(path: place.path("qudo.db"), durability: .normal)
    var reader: OpaquePointer?
    try #require(sqlite3_open(place.path("qudo.db"), &reader) == SQLITE_OK)
    defer { sqlite3_close_v2(reader) }
    try #require(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let job = NewJob("k", payload: Payload([UInt8](repeating: 7, count: 100_000)))
    for _ in 0..<12 { _ = try await driver.insert(Array(repeating: job, count: 10)) }
    let (rows, status) = try findings()
    #expect(rows.map { $0["check"] as? String } == ["wal"] && status == 1)
    #expect((rows.first?["figures"] as? [String: Int])?["process"] == Int(getpid()))
    #expect((rows.first?["message"] as? String)?.contains("because process \(getpid()) (") == true)
    await driver.close()
  }

  @Test("a process that recovers the file after a crash") func recovering() async throws {
    let driver = try SQLiteDriver(path: place.path("live.db"))
    _ = try await driver.insert([NewJob("k")])
    _ = try place.shell("cp live.db qudo.db; cp live.db-wal qudo.db-wal; chmod 600 qudo.db*")
    await driver.close()
    // An index that nobody has filled yet, and the locks of the one who fills it: writers, recovery, and that it is in use.
    try Data(count: 32_768).write(to: URL(fileURLWithPath: place.path("qudo.db-shm")))
    chmod(place.path("qudo.db-shm"), 0o600)
    let shm = open(place.path("qudo.db-shm"), O_RDWR | O_CLOEXEC)
    defer { close(shm) }
    for (byte, type) in [(120, F_WRLCK), (122, F_WRLCK), (128, F_RDLCK)] {
      var lock = flock()
      (lock.l_type, lock.l_whence, lock.l_start, lock.l_len) = (Int16(type), Int16(SEEK_SET), off_t(byte), 1)
      try #require(fcntl(shm, F_SETLK, &lock) == 0)
    }
    let (rows, status) = try findings()
    #expect(rows.map { $0["check"] as? String } == ["locked"] && status == 1, "\(rows)")
    #expect(rows.first?["severity"] as? String == "warning")
    #expect((rows.first?["message"] as? String)?.contains("recovers the file after a crash") == true)
    #expect((rows.first?["figures"] as? [String: Int])?["process"] == Int(getpid()))
  }

  /// Whether this user may become another one.
  static let canBeNobody =
    geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0

  @Test("a user who may only read", .enabled(if: canBeNobody)) func readOnly() throws {
    try place.qudo("enqueue", "k")
    chmod(place.folder.path, 0o755)
    chmod(place.path("qudo.db"), 0o644)
    let result = try place.shell("setpriv --reuid 65534 --clear-groups $qudo doctor --integrity")
    // The built command may be where nobody else may look.
    guard !result.errors.contains("ermission denied") else { return }
    #expect(result.errors == "" && result.output.contains("this user may not write to the file"))
    #expect(result.output.contains("; checked: ") && !result.output.contains("fault"))
    #expect(!place.exists("qudo.db-wal"))
  }
  #endif

  @Test("limits are options: far due times, and the bounds of the logs that the workers keep") func limits()
    throws
  {
    try place.qudo("enqueue", "k", "--at", "2150-01-01T00:00:00Z")
    #expect(try findings("--max-delay", "99999d").rows.isEmpty)
    var app: OpaquePointer?
    defer { sqlite3_close(app) }
    try #require(sqlite3_open(place.path("qudo.db"), &app) == SQLITE_OK)
    let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
    try #require(
      sqlite3_exec(
        app,
        """
        INSERT INTO qudo_failure(id, job, kind, attempt, failed_at, reason, final, message, rank)
        VALUES(1, 1, 1, 1, \(now - 1_728_000_000_000), 0, 1, '', 0), (1200000, 1, 1, 1, \(now), 0, 1, '', 0)
        """, nil, nil, nil) == SQLITE_OK)
    func logs(_ arguments: String...) throws -> [String?] {
      let result = try place.qudo(["doctor", "--json", "--max-delay", "99999d"] + arguments, input: Data())
      return try result.objects().filter { $0["check"] as? String == "log-growth" }.map {
        $0["severity"] as? String
      }
    }
    #expect(try logs() == ["warning"] && logs("--retention-rows", "none") == ["note"])
    #expect(try logs("--retention-rows", "1100000", "--retention-age", "30d") == [])
    #expect(try logs("--retention-rows", "none", "--retention-age", "none") == [])
    for wrong in [["--max-delay", "far"], ["--retention-rows", "-1"], ["--retention-age", "old"]] {
      #expect(try place.qudo(["doctor"] + wrong, input: Data()).status == 64)
    }
  }

  @Test("text from the file cannot control the terminal") func escapes() throws {
    try place.qudo("enqueue", "k")
    try place.qudo("pause", "k\u{1B}[31m", "--reason", "a\nfault: qudo: b")
    let result = try place.qudo("doctor")
    #expect(result.output.contains("the kind k\\u{1b}[31m is paused since"))
    #expect(result.output.contains("a\\nfault: qudo: b") && !result.output.contains("\u{1B}"))
  }

  @Test("what cannot be reached, and what is no queue") func unreachable() throws {
    let missing = try place.qudo("doctor", "--database", "none.db", "--json")
    #expect(
      missing.status == 75 && missing.output == ""
        && missing.errors.hasPrefix("qudo: none.db: there is no file"))
    #expect(!place.exists("none.db"))
    #expect(try place.qudo("doctor", "--max-wait", "soon").status == 64)
    try Data(repeating: 65, count: 5000).write(to: place.folder.appendingPathComponent("bad.db"))
    let bad = try place.qudo("doctor", "--database", "bad.db")
    #expect(bad.status == 1 && bad.errors == "" && bad.output.hasPrefix("fault: bad: schema\n"))
    #expect(bad.output.contains("the file is not a SQLite database\n  -> check the path\n"))
    try place.qudo("enqueue", "k")
    let both = try place.qudo("doctor", "--database", "qudo.db", "--database", "none.db")
    #expect(
      both.status == 1 && both.output.contains("qudo: ") && both.errors.contains("none.db: there is no file"))
  }

  @Test("a schedule of the same name in two databases") func twice() throws {
    for name in ["a.db", "b.db"] {
      try place.qudo("schedule", "add", "nightly", "k", "--every", "1h", "--database", name)
    }
    let (rows, status) = try findings("--database", "a.db", "--database", "b.db")
    #expect(status == 1 && rows.map { $0["check"] as? String } == ["schedule-twice", "schedule-twice"])
    #expect(rows.map { $0["database"] as? String } == ["a", "b"])
    #expect(rows.allSatisfy { $0["subject"] as? String == "nightly" })
  }

  #if MySQL
  @Test("a server") func server() async throws {
    let server = try await MariaDBServer.shared()
    let url = server.url(try await server.makeDatabase(), options: "name=far")
    let empty = try place.qudo("doctor", "--database", url)
    #expect(
      empty.status == 1 && empty.output.contains("fault: far: schema\n  the database has no Qudo tables"))
    #expect(!empty.output.contains(server.password))
    try place.qudo("enqueue", "k", "--at", "2150-01-01T00:00:00Z", "--database", url)
    let (rows, status) = try findings("--database", url)
    #expect(status == 1 && rows.contains { $0["check"] as? String == "far-due" }, "\(rows)")
  }
  #endif
}
