import CSQLite
import Foundation
import Qudo
@testable import QudoSQLite
import QudoTesting
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a diagnosis finds in files that really have the fault.
@Suite struct DiagnosisTests {
  let file: TemporaryFile
  let clock = ManualClock()

  init() throws { file = try TemporaryFile() }

  /// The findings but for those of the machine: its SQLite and its temporary folder.
  private func findings(_ options: DiagnosisOptions = DiagnosisOptions(), at path: String? = nil) async throws
    -> [Finding]
  {
    try await SQLiteDriver.diagnose(path: path ?? file.path, options, clock: clock).findings.filter {
      !["sqlite", "file-system", "mount", "disk-space"].contains($0.check)
    }
  }

  private var checking: DiagnosisOptions {
    var options = DiagnosisOptions()
    options.checksIntegrity = true
    return options
  }

  private func lines(_ options: DiagnosisOptions = DiagnosisOptions()) async throws -> [String] {
    try await findings(options).map { "\($0.severity): \($0.check): \($0.message)" }
  }

  // MARK: Place

  @Test("a queue at work has nothing to mend, and a driver finds the same") func healthy() async throws {
    let driver = try SQLiteDriver(path: file.path, clock: clock)
    _ = try await driver.insert((0..<20).map { job("\($0)", due: $0 % 2 == 0 ? .now : .after(.seconds(9))) })
    _ = try await driver.claim(demand(3))
    #expect(try await lines(checking) == [])
    let diagnosis = try await driver.diagnose(checking)
    #expect(diagnosis.database == "jobs" && diagnosis.severity ?? .note == .note)
    #expect(
      diagnosis.checks == [
        "path", "rights", "mount", "disk-space", "file-system", "write-lock", "wal", "sqlite", "journal-mode",
        "schema",
        "durability", "dead-worker", "expired-lease", "kind-idle", "oldest-ready", "paused", "stopped-key",
        "far-due",
        "clock", "log-growth", "schedules", "free-pages", "integrity", "damaged",
      ])
    await driver.close()
    let normal = try file.open(clock: clock)
    #expect(try await normal.diagnose().findings.map(\.check).contains("durability"))
  }

  @Test("a file that is not there is an error, and is not made") func missing() async throws {
    await expect(code: .cannotOpen) { _ = try await SQLiteDriver.diagnose(path: file.path) }
    await expect(code: .invalidArgument) { _ = try await SQLiteDriver.diagnose(path: "") }
    #expect(!FileManager.default.fileExists(atPath: file.path))
  }

  @Test("rights of other users") func rights() async throws {
    _ = try file.open(clock: clock)
    chmod(file.path, 0o644)
    // Nobody else comes through the folder.
    chmod(file.folder.path, 0o700)
    #expect(try await findings() == [])
    chmod(file.folder.path, 0o755)
    var found = try await findings()
    #expect(found.map(\.severity) == [.note] && found[0].message.contains("may read \(file.path)"))
    chmod(file.path, 0o666)
    chmod(file.folder.path, 0o777)
    found = try await findings()
    #expect(found.map(\.check) == ["rights", "rights"] && found.allSatisfy { $0.severity == .warning })
    #expect(found[0].message.contains("may write to \(file.path)") && found[0].advice.contains("chmod"))
    #expect(found[1].message.contains("the folder \(file.folder.path)"))
  }

  #if os(Linux)
  @Test(
    "a file in memory", .enabled(if: Mount.of("/dev/shm")?.type == "tmpfs" && access("/dev/shm", W_OK) == 0))
  func memory() async throws {
    let path = "/dev/shm/qudo-test-\(UUID().uuidString).db"
    defer { for ending in ["", "-wal", "-shm"] { unlink(path + ending) } }
    await (try SQLiteDriver(path: path)).close()
    let found = try await SQLiteDriver.diagnose(path: path).findings
    #expect(
      found.contains {
        $0.check == "file-system" && $0.severity == .warning && $0.message.contains("tmpfs at /dev/shm")
      })
  }
  #endif

  @Test("mounts and their options, as the kernel lists them") func mounts() throws {
    let list = """
      22 1 254:0 / / rw,relatime - ext4 /dev/root rw,nobarrier
      30 22 0:25 / /run rw,nosuid shared:2 - tmpfs tmpfs rw,size=1g
      31 22 8:1 / /mnt/my\\040disk ro,noatime - xfs /dev/sda1 rw
      32 22 0:40 / /mnt/far rw - fuse.sshfs host:/ rw
      33 22 0:41 / /var/lib rw - overlay overlay rw,lowerdir=/a
      """
    func found(_ path: String) -> [String] {
      (Mount.of(path, in: list)?.findings ?? []).map { "\($0.severity) \($0.check)" }
    }
    #expect(Mount.of("/mnt/my disk/q.db", in: list)?.point == "/mnt/my disk")
    #expect(found("/home/q.db") == ["warning mount"] && found("/run/q.db") == ["warning file-system"])
    #expect(
      found("/mnt/my disk/q.db") == ["warning mount"] && found("/mnt/far/q.db") == ["warning file-system"])
    #expect(found("/var/lib/q.db") == ["note file-system"] && found("/runner/q.db") == ["warning mount"])
    #expect(Mount.of("/x", in: "nonsense") == nil)
  }

  @Test("how much free space is little, beside the file and what its WAL may need") func diskSpace() {
    let (mega, giga) = (Int64(1) << 20, Int64(1) << 30)
    func found(_ free: Int64, _ file: Int64, wal: Int64 = 0, files: Int64? = nil) -> Finding.Severity? {
      let found = DiskSpace(free: free, freeFiles: files).findings(file: file, wal: wal)
      #expect(found.count <= 1 && found.allSatisfy { $0.check == "disk-space" })
      return found.first?.severity
    }
    // A small file on a small disk: 64 MiB at least, and what a WAL may need is worth a note.
    #expect(found(64 * mega - 1, mega) == .warning && found(64 * mega, mega) == .note)
    #expect(found(giga - 1, mega) == .note && found(giga, mega) == nil)
    // The WAL has its gigabyte already.
    #expect(found(giga, mega, wal: giga) == .note && found(giga + mega, mega, wal: giga) == nil)
    // A tenth of a larger file, and a note until a copy fits.
    #expect(found(500 * mega - 1, 5000 * mega) == .warning && found(500 * mega, 5000 * mega) == .note)
    #expect(found(5000 * mega - 1, 5000 * mega) == .note && found(5000 * mega, 5000 * mega) == nil)
    // A gigabyte of a very large one.
    #expect(found(giga - 1, 1000 * giga) == .warning && found(giga, 1000 * giga) == .note)
    #expect(found(.max, .max, wal: .max) == nil)
    #expect(found(100 * giga, mega, files: 15) == .warning && found(100 * giga, mega, files: 16) == nil)
  }

  #if os(Linux)
  @Test("a full file system", .enabled(if: SmallDisk.canMount)) func fullDisk() async throws {
    let disk = try SmallDisk()
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    // As a crash leaves it: the -shm is to be made.
    for ending in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: file.path + ending, toPath: disk.folder + "/jobs.db" + ending)
    }
    let fill = open(disk.folder + "/fill", O_WRONLY | O_CREAT, 0o600)
    let bytes = [UInt8](repeating: 1, count: 4096)
    while write(fill, bytes, bytes.count) > 0 {}
    close(fill)
    let found = try await SQLiteDriver.diagnose(path: disk.folder + "/jobs.db", clock: clock).findings.filter
    {
      ["disk-space", "disk"].contains($0.check)
    }
    #expect(
      found.map(\.check) == ["disk", "disk-space"] && found.map(\.severity) == [.fault, .warning], "\(found)")
    #expect(found.last?.figures["bytes"] == 0 && (found.last?.figures["walBytes"] ?? 0) > 0)
  }
  #endif

  // MARK: Files that are none

  @Test("a file that is not a database, and one without tables") func foreign() async throws {
    try Data("this is no database, however long one looks at it, and that is what it says".utf8)
      .write(to: URL(fileURLWithPath: file.path))
    chmod(file.path, 0o600)
    var found = try await findings()
    #expect(found.map(\.check) == ["schema"] && found[0].severity == .fault)
    #expect(
      found[0].message.hasSuffix("the file is not a SQLite database") && found[0].advice == "check the path")
    unlink(file.path)
    try file.execute("CREATE TABLE mine(a)")
    chmod(file.path, 0o600)
    found = try await findings()
    #expect(found.map(\.check) == ["journal-mode", "schema"] && found.allSatisfy { $0.severity == .fault })
    #expect(found[1].message == "the file has no Qudo tables")
    // Two names of one file.
    try FileManager.default.linkItem(atPath: file.path, toPath: file.path + "2")
    #expect(try await findings().map(\.check) == ["path"])
  }

  @Test("a newer schema is a fault, an older one a warning") func schemas() async throws {
    _ = try file.open(clock: clock)
    try file.execute(
      "INSERT INTO qudo_schema SELECT max(version) + 1, 0, max(version) + 1, max(version) + 1 FROM qudo_schema"
    )
    var found = try await findings()
    #expect(found.map(\.check) == ["schema"] && found[0].severity == .fault)
    #expect(found[0].advice == "update this program")
    try file.execute(
      """
      DELETE FROM qudo_schema WHERE version >= (SELECT max(version) - 1 FROM qudo_schema); DROP TABLE qudo_schedule
      """)
    found = try await findings()
    #expect(found.map(\.check) == ["schema"] && found[0].severity == .warning)
    #expect(found[0].message.contains("of an older Qudo"))
  }

  @Test("flipped bytes: at the beginning they are found at once, further on with a check of the whole file")
  func damage() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert((0..<500).map { job(String(repeating: "\($0) ", count: 100)) })
    await driver.close()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
    let root = try #require(
      Int(try file.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'qudo_job'").first ?? ""))
    // An interior page of the jobs: what it points to.
    for offset in 8..<40 { bytes[(root - 1) * 2048 + offset] ^= 0xFF }
    try bytes.write(to: URL(fileURLWithPath: file.path))
    chmod(file.path, 0o600)
    let found = try await findings(checking)
    #expect(
      found.contains { $0.severity == .fault && ["integrity", "damaged"].contains($0.check) }, "\(found)")
    for offset in 100..<2048 { bytes[offset] ^= 0xFF }
    try bytes.write(to: URL(fileURLWithPath: file.path))
    let schema = try await findings()
    #expect(schema.contains { $0.severity == .fault && $0.check == "damaged" }, "\(schema)")
  }

  @Test("a payload's page that is damaged is found with a check of the whole file only") func damagedPage()
    async throws
  {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert((0..<500).map { job(String(repeating: "\($0) ", count: 100)) })
    await driver.close()
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
    let text = try #require(bytes.range(of: Data(String(repeating: "200 ", count: 100).utf8)))
    // The header of the leaf page that has the payload.
    let page = text.lowerBound / 2048 * 2048
    for offset in 3..<8 { bytes[page + offset] ^= 0xFF }
    try bytes.write(to: URL(fileURLWithPath: file.path))
    chmod(file.path, 0o600)
    #expect(try await lines() == [])
    let found = try await findings(checking)
    #expect(found.map(\.check) == ["integrity"] && found[0].severity == .fault, "\(found)")
    #expect(!found[0].message.contains("\n") && found[0].message.contains("Page "))
    #expect(found[0].advice.contains("restore a backup") && (found[0].figures["problems"] ?? 0) > 0)
  }

  @Test("values of other types, as another program may write them") func values() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1"), job("2", due: .after(.seconds(60)))])
    try file.execute("UPDATE qudo_ready SET due = 'soon'")
    let found = try await findings(checking)
    #expect(found.map(\.check) == ["damaged"] && found[0].severity == .fault, "\(found)")
    #expect(found.first?.message == "a value is not a number")
  }

  @Test("tables that do not agree with each other") func tables() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert((0..<9).map { job("\($0)", due: $0 < 4 ? .now : .after(.seconds(60))) })
    #expect(try await lines(checking) == [])
    try file.execute("DELETE FROM qudo_delayed WHERE id = 9")
    var found = try await findings(checking)
    #expect(found.map(\.check) == ["integrity"] && found[0].severity == .fault)
    #expect(found[0].message.hasPrefix("1 jobs are neither ready nor delayed nor running nor held"))
    try file.execute("DELETE FROM qudo_job WHERE id IN (1, 8, 9)")
    found = try await findings(checking)
    #expect(found.map(\.subject) == ["qudo_ready", "qudo_delayed"] && found[0].severity == .warning)
  }

  @Test("a job in two states") func twoStates() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1"), job("2")])
    _ = try await driver.claim(demand(1))
    try file.execute(
      "INSERT INTO qudo_ready(kind, rank, due, last, first) SELECT kind, rank, due, id, id FROM qudo_job WHERE id = 1"
    )
    let found = try await findings(checking)
    #expect(found.map(\.check) == ["integrity"] && found[0].severity == .fault, "\(found)")
    #expect(found.first?.message == "1 jobs are in more than one state, so that they run more than once")
    #expect(found.first?.figures == ["jobs": 1])
  }

  /// Statements that make tables of an application, with an index on a collation and one on a function of its own.
  private func makeApplicationTables() throws {
    let app = try AppConnection(file.path)
    #expect(
      sqlite3_create_collation(app.handle, "ours", SQLITE_UTF8, nil) { _, n, a, m, b in
        Int32(memcmp(a!, b!, Int(min(n, m)))) != 0 ? memcmp(a!, b!, Int(min(n, m))) : n - m
      } == SQLITE_OK)
    #expect(
      sqlite3_create_function(
        app.handle, "twice", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, nil,
        { context, _, values in sqlite3_result_int(context, 2 * sqlite3_value_int(values?[0])) }, nil, nil)
        == SQLITE_OK)
    try app.run(
      """
      CREATE TABLE named(a TEXT COLLATE ours); CREATE INDEX "it's" ON named(a); INSERT INTO named VALUES('x'), ('y');
      CREATE TABLE "num'bered"(a, CHECK (twice(a) > 0)); CREATE INDEX by_twice ON "num'bered"(twice(a));
      INSERT INTO "num'bered" VALUES(1), (2); CREATE TABLE plain(a PRIMARY KEY, b CHECK (b > 0));
      INSERT INTO plain VALUES('p', 1)
      """)
  }

  @Test("an application's tables with its own collations and functions, beside --integrity")
  func application()
    async throws
  {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert((0..<500).map { job(String(repeating: "\($0) ", count: 100)) })
    try makeApplicationTables()
    var found = try await findings(checking)
    #expect(
      found.map { "\($0.severity) \($0.check) \($0.subject ?? "")" } == [
        "note integrity named", "note integrity num'bered",
      ], "\(found)")
    #expect(found.first?.message.contains("functions or collations of the application's own") == true)
    // A backup checks what can be checked, too.
    let backup = try await driver.backup(to: file.path + ".backup")
    #expect(backup.jobs == [JobCount("a", ready: 500)])
    await driver.close()
    // Damage of the other tables is found all the same.
    var bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
    let text = try #require(bytes.range(of: Data(String(repeating: "200 ", count: 100).utf8)))
    let page = text.lowerBound / 2048 * 2048
    for offset in 3..<8 { bytes[page + offset] ^= 0xFF }
    try bytes.write(to: URL(fileURLWithPath: file.path))
    chmod(file.path, 0o600)
    found = try await findings(checking)
    #expect(found.map(\.severity).first == .fault && found.first?.check == "integrity", "\(found)")
    await expect(code: .corrupt) {
      try await SQLiteDriver.backup(of: file.path, to: file.path + ".backup", replacing: true)
    }
  }

  @Test("rows that violate an application's own constraints are no damage") func violations() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    try file.execute(
      """
      CREATE TABLE mine(a, b CHECK (b > 0)); PRAGMA ignore_check_constraints = 1;
      INSERT INTO mine WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT NULL, -1 FROM n;
      PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, 'a,', 'a NOT NULL,') WHERE name = 'mine'
      """)
    let found = try await findings(checking)
    #expect(found.map(\.check) == ["integrity"] && found[0].severity == .note, "\(found)")
    #expect(
      found.first?.message
        == "rows of the application's table mine violate its own constraints (NULL value in mine.a); the file is not damaged"
    )
    #expect(try await driver.backup(to: file.path + ".backup").jobs == [JobCount("a", ready: 1)])
    // Damage is not hidden behind them.
    try file.execute(
      """
      PRAGMA writable_schema = 1; CREATE TABLE "~z"(a); CREATE INDEX z ON "~z"(a); INSERT INTO "~z" VALUES(1);
      UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'qudo_failure_job') WHERE name = 'z'
      """)
    #expect(try await findings(checking).first?.severity == .fault)
  }

  @Test("a diagnosis leaves a file and its WAL as they are") func readOnly() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    // As a crash leaves it.
    let copy = file.folder.appendingPathComponent("copy.db").path
    for ending in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: file.path + ending, toPath: copy + ending)
    }
    func bytes() throws -> [Data] {
      try ["", "-wal"].map { try Data(contentsOf: URL(fileURLWithPath: copy + $0)) }
    }
    let before = try bytes()
    #expect(try await findings(checking, at: copy).isEmpty)
    #expect(try bytes() == before && before[1].count > 0)
  }

  // MARK: Locks

  #if os(Linux)
  /// A connection that is not Qudo's, with statements executed.
  private final class Foreign {
    var handle: OpaquePointer?
    init(_ path: String, _ statements: String...) throws {
      try #require(sqlite3_open(path, &handle) == SQLITE_OK)
      for sql in statements { try execute(sql) }
    }
    func execute(_ sql: String) throws { try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK) }
    deinit { sqlite3_close_v2(handle) }
  }

  @Test("who holds Qudo's write lock") func writeLock() async throws {
    let driver = try file.open(clock: clock)
    let lock = try WriteLock(path: file.path)
    try lock.take(within: .seconds(60))
    let found = try await findings()
    #expect(found.map(\.check) == ["write-lock"] && found[0].severity == .warning)
    #expect(found[0].figures == ["process": Int64(getpid())])
    #expect(found[0].message.contains("this process (\(getpid())) has held Qudo's write lock"))
    lock.giveBack()
    #expect(try await lines() == [])
    await driver.close()
  }

  @Test("who holds SQLite's write lock") func transaction() async throws {
    let driver = try file.open(clock: clock)
    let foreign = try Foreign(file.path, "BEGIN IMMEDIATE")
    let found = try await findings()
    #expect(found.map(\.check) == ["write-lock"] && found[0].figures == ["process": Int64(getpid())])
    #expect(found[0].message.contains("a write transaction of SQLite"))
    try foreign.execute("COMMIT")
    #expect(try await lines() == [])
    await driver.close()
  }

  @Test("free pages beside an application's tables, which Qudo does not compact") func foreignFreePages()
    async throws
  {
    _ = try file.open(clock: clock)
    try file.execute("CREATE TABLE mine(a); INSERT INTO mine VALUES(zeroblob(80000000)); DELETE FROM mine")
    let found = try await findings()
    #expect(found.map(\.check) == ["free-pages"] && found[0].advice.contains("let the application VACUUM it"))
  }

  @Test("who has locked the whole file") func locked() async throws {
    _ = try file.open(clock: clock)
    let foreign = try Foreign(
      file.path, "PRAGMA locking_mode = EXCLUSIVE", "UPDATE qudo_info SET value = value")
    let found = try await findings()
    #expect(found.map(\.check) == ["locked"] && found[0].severity == .fault, "\(found)")
    #expect(found.first?.figures == ["process": Int64(getpid())])
    withExtendedLifetime(foreign) {}
  }

  @Test("a long-running read transaction that keeps the WAL from being copied") func pinnedWAL() async throws
  {
    let driver = try file.open(clock: clock)
    let foreign = try Foreign(file.path, "BEGIN", "SELECT count(*) FROM qudo_job")
    let payload = String(repeating: "x", count: 100_000)
    for _ in 0..<12 { _ = try await driver.insert((0..<10).map { _ in job(payload) }) }
    let found = try await findings()
    #expect(found.map(\.check) == ["wal"] && found[0].severity == .warning, "\(found)")
    #expect(found.first?.figures["process"] == Int64(getpid()))
    #expect((found.first?.figures["bytes"] ?? 0) > 8_000_000)
    try foreign.execute("COMMIT")
    let free = try await findings()
    #expect(free.map(\.check) == ["wal"] && free[0].severity == .note, "\(free)")
    // The next commits copy it.
    _ = try await driver.insert((0..<50).map { _ in job(payload) })
    #expect(try await lines() == [])
  }

  @Test("the list of locks") func lockList() throws {
    let status = try #require(FileStatus(file.folder.path))
    let (major, minor) = ((status.device >> 8) & 0xFFF, status.device & 0xFF | (status.device >> 12) & ~0xFF)
    func hex(_ number: UInt64) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }
    let list = LockList(
      """
      1: POSIX  ADVISORY  READ 17 \(hex(major)):\(hex(minor)):\(status.inode) 120 127
      1: -> POSIX  ADVISORY  WRITE 18 \(hex(major)):\(hex(minor)):\(status.inode) 120 127
      2: FLOCK  ADVISORY  WRITE 19 \(hex(major)):\(hex(minor)):\(status.inode) 0 EOF
      3: OFDLCK ADVISORY  READ  -1 \(hex(major)):\(hex(minor)):\(status.inode) 2 2
      4: POSIX  ADVISORY  READ 20 \(hex(major)):\(hex(minor)):\(status.inode + 1) 120 120
      nonsense
      """)
    #expect(list.locks(of: status).count == 3)
    #expect(list.holders(of: status, .posix, byte: 123) == [17] && list.holders(of: status, .flock) == [19])
    #expect(list.holders(of: status, .posix, byte: 128).isEmpty && list.holders(of: nil, .posix).isEmpty)
    #expect(list.holders(of: status, .posix, isExclusive: true).isEmpty)
  }
  #endif

  // MARK: Settings

  @Test("durability off, while a driver is open and after it") func durability() async throws {
    let driver = try SQLiteDriver(path: file.path, durability: .off, clock: clock)
    var found = try await findings()
    #expect(found.map(\.check) == ["durability"] && found[0].severity == .warning)
    await driver.close()
    found = try await findings()
    #expect(found.map(\.check) == ["durability"] && found[0].severity == .note)
    await (try file.open(clock: clock)).close()
    #expect(try await lines() == [])
  }

  @Test("tables of an application, with a SQLite that has the WAL-reset bug") func bug() async throws {
    _ = try file.open(clock: clock)
    func found() async throws -> [Finding.Severity] {
      try await SQLiteDriver.diagnose(path: file.path).findings.filter { $0.check == "sqlite" }.map(
        \.severity)
    }
    #expect(try await found() == (WALResetBug.isInLibrary ? [.note] : []))
    try file.execute("CREATE TABLE mine(a)")
    #expect(try await found() == (WALResetBug.isInLibrary ? [.warning] : []))
  }

  @Test("a file of free pages") func freePages() async throws {
    _ = try file.open(clock: clock)
    try file.execute(
      """
      INSERT INTO qudo_kind(id, name) VALUES(7, 'x');
      INSERT INTO qudo_failure(job, kind, attempt, failed_at, reason, final, message, rank, payload)
        VALUES(1, 7, 1, 1700000000000000, 0, 1, '', 0, zeroblob(80000000));
      DELETE FROM qudo_failure
      """)
    let found = try await findings()
    #expect(found.map(\.check) == ["free-pages"] && found[0].severity == .note, "\(found)")
    #expect((found.first?.figures["bytes"] ?? 0) > 64 << 20 && found[0].advice.contains("qudo compact"))
  }

  // MARK: Jobs

  @Test("a kind that no worker seems to perform, one that has a backlog, and a paused one") func kinds()
    async throws
  {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([
      job("1"), job("2", kind: "b"), job("3", kind: "b", priority: -5), job("4", kind: "c"),
      job("5", kind: "d", due: .after(.seconds(60))),
    ])
    try await driver.pause(["c"], until: nil, reason: "quiet")
    clock.advance(by: .seconds(599))
    #expect(try await findings().map(\.check) == ["paused"])
    clock.advance(by: .seconds(3001))
    // A worker begins with b.
    _ = try await driver.claim(demand(1, "b"))
    let found = try await findings()
    #expect(found.map(\.check) == ["kind-idle", "kind-idle", "oldest-ready", "paused"], "\(found)")
    #expect(
      found.map(\.subject) == ["a", "d", "b", "c"]
        && found.map(\.severity) == [.warning, .warning, .note, .note])
    #expect(
      found[0].message
        == "the oldest ready job of the kind a has waited for 1h, and no job of the kind is running; one process that claimed jobs lives"
    )
    #expect(found[0].figures == ["seconds": 3600, "workers": 1] && found[1].figures["seconds"] == 3540)
    #expect(found[3].message.contains("without an end: quiet"))
    var options = DiagnosisOptions()
    options.maxWait = .seconds(7200)
    #expect(try await findings(options).map(\.check) == ["paused"])
    await driver.close()
  }

  @Test("with more running jobs than are looked at, nobody knows whether a kind is idle") func manyRunning()
    async throws
  {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1"), job("2", kind: "b")])
    _ = try await driver.claim(demand(1, leaseDuration: .seconds(7200)))
    // The jobs of a lease are ranges of ids: a claim of 100,001 jobs.
    try file.execute("UPDATE qudo_running SET first = 1000000, last = 1100000")
    clock.advance(by: .seconds(3600))
    let found = try await findings()
    #expect(found.map(\.check) == ["oldest-ready"] && found[0].subject == "b", "\(found)")
    #expect(
      found.first?.message.hasSuffix("whether others of the kind run is unknown, because too many jobs do")
        == true)
    try file.execute("UPDATE qudo_running SET first = 1000001")
    #expect(try await findings().map(\.check) == ["kind-idle"])
  }

  @Test("a kind that its rate holds up is not idle") func rated() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1"), job("2"), job("3")])
    let rate = RateLimit(1, per: .seconds(1800))
    clock.advance(by: .seconds(3600))
    let claim = try await driver.claim(ClaimRequest([.init("a", rate: rate)], limit: 3))
    _ = try await driver.settle(claim.jobs.map { Settlement($0.lease, .completed()) }, claiming: nil)
    var found = try await findings()
    #expect(
      found.map(\.check) == ["oldest-ready"]
        && found[0].message.hasSuffix("because the rate of the kind lets no more begin"))
    try await driver.throttle("a", rate, for: .seconds(7200))
    clock.advance(by: .seconds(7000))
    found = try await findings()
    #expect(
      found.map(\.check) == ["oldest-ready"]
        && found[0].message.contains("because a job throttled the kind until"))
    // Nobody has claimed of it since it may begin.
    clock.advance(by: .seconds(3600))
    #expect(try await findings().map(\.check) == ["kind-idle"])
    await driver.close()
  }

  @Test("more kinds than anybody reads") func manyKinds() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert((0..<50).map { job(kind: Kind("k\($0)")) })
    clock.advance(by: .seconds(3600))
    let found = try await findings()
    #expect(found.count == 21 && found.allSatisfy { $0.check == "kind-idle" })
    #expect(
      found.last?.message == "the same holds for 30 other kinds" && found.last?.figures == ["kinds": 30])
  }

  @Test("jobs that are due in the far future") func farDue() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([
      job("1", due: .after(.seconds(86_400 * 300))), job("2", due: .after(.seconds(86_400 * 3000))),
      job("3", due: .after(.seconds(86_400 * 2000))),
    ])
    let found = try await findings()
    #expect(found.map(\.check) == ["far-due"] && found[0].severity == .warning)
    #expect(found[0].figures == ["jobs": 2, "job": 2])
    #expect(found[0].message.hasPrefix("2 jobs are due more than 366d from now, the last one (2) at 2032-"))
    var options = DiagnosisOptions()
    options.maxDelay = .seconds(86_400 * 2500)
    #expect(try await findings(options).first?.figures == ["jobs": 1, "job": 2])
    options.maxDelay = .seconds(86_400 * 3001)
    #expect(try await findings(options) == [])
  }

  @Test("a worker that has ended, and one that hangs") func leases() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1"), job("2")])
    _ = try await driver.claim(demand(2))
    clock.advance(by: .seconds(119))
    #expect(try await lines() == [])
    clock.advance(by: .seconds(2))
    var found = try await findings()
    #expect(found.map(\.check) == ["expired-lease"] && found[0].severity == .warning)
    #expect(found[0].figures == ["jobs": 2, "seconds": 61, "process": Int64(getpid())])
    await driver.close()
    found = try await findings()
    #expect(found.map(\.check) == ["dead-worker"] && found[0].severity == .warning)
    #expect(found[0].figures == ["jobs": 2, "process": Int64(getpid())])
    let next = try file.open(clock: clock)
    _ = try await next.claim(demand(2))
    #expect(try await lines() == [])
    await next.close()
  }

  @Test("a clock that was set back") func clockJump() async throws {
    let driver = try file.open(clock: clock)
    _ = try await driver.insert([job("1")])
    clock.jump(by: .seconds(-5))
    #expect(try await lines() == [])
    clock.jump(by: .seconds(-7200))
    let found = try await findings()
    #expect(found.map(\.check) == ["clock"] && found[0].figures == ["seconds": 7205])
    #expect(found[0].message.contains("2h ahead of its clock"))
  }

  @Test("logs that nobody prunes") func logs() async throws {
    _ = try file.open(clock: clock)
    let now = clock.now().wall.microseconds
    try file.execute(
      """
      INSERT INTO qudo_kind(id, name) VALUES(7, 'x');
      INSERT INTO qudo_failure(id, job, kind, attempt, failed_at, reason, final, message, rank) VALUES
        (1, 1, 7, 1, \(now), 0, 1, '', 0), (1200000, 1, 7, 1, \(now), 0, 1, '', 0);
      INSERT INTO qudo_status(job, kind, status, started_at, ended_at, codec) VALUES(1, 7, 0, 0, \(now - 1_728_000_000_000), 0)
      """)
    let found = try await findings()
    #expect(found.map(\.severity) == [.warning, .note] && found.map(\.subject) == ["failure", "status"])
    #expect(found[0].figures["rows"] == 1_200_000 && found[1].figures["seconds"] == 1_728_000)
    #expect(
      found[0].message.hasSuffix("; workers keep 1000000") && found[1].message.hasSuffix("; workers keep 14d")
    )
    var options = DiagnosisOptions()
    // Between two looks of a worker a log grows: by 100,000 rows, or by a tenth.
    options.retention = Retention(maxAge: .seconds(19 * 86_400), maxRows: 1_100_000)
    #expect(try await findings(options) == [])
    options.retention = Retention(maxAge: .seconds(19 * 86_400 - 1), maxRows: 1_091_000)
    #expect(try await findings(options).map(\.subject) == ["status"])
    options.retention = Retention(maxAge: nil, maxRows: 1_000)
    #expect(try await findings(options).map(\.subject) == ["failure"])
    options.retention = nil
    #expect(try await findings(options) == [])
  }

  // MARK: Schedules

  @Test("schedules that are paused, ended, late, or enqueue what nobody performs") func schedules()
    async throws
  {
    let driver = try file.open(clock: clock)
    let now = clock.now().wall
    var paused = StoredSchedule(name: "paused", rule: "r", kind: "k")
    (paused.isPaused, paused.reason) = (true, "quiet")
    _ = try await driver.store([
      paused, StoredSchedule(name: "ended", rule: "r", kind: "k"),
      StoredSchedule(name: "late", rule: "r", kind: "k", nextTick: now),
      StoredSchedule(name: "idle", rule: "r", kind: "a", nextTick: now.advanced(by: .seconds(9000))),
      StoredSchedule(name: "well", rule: "r", kind: "k", nextTick: now.advanced(by: .seconds(9000))),
    ])
    _ = try await driver.insert([job("1")])
    clock.advance(by: .seconds(3600))
    let found = try await findings()
    #expect(
      found.map { "\($0.severity) \($0.check) \($0.subject ?? "")" } == [
        "warning kind-idle a", "warning schedule-idle idle", "warning schedule-late late",
        "note schedule-ended ended", "note schedule-paused paused",
      ])
  }

  @Test("a schedule in two databases") func twice() async throws {
    var all = [
      Diagnosis("a", checks: ["schedules"], schedules: ["x", "y"]),
      Diagnosis("b", checks: ["schedules"], schedules: ["y"]),
      Diagnosis("c"),
    ]
    Diagnosis.compareSchedules(&all)
    #expect(all.map { $0.findings.map(\.subject) } == [["y"], ["y"], []])
    #expect(
      all[1].findings[0].message == "the schedule y is also in a: each tick enqueues a job in each of them")
    #expect(all[0].checks.last == "schedule-twice" && all[2].checks == [] && all[0].severity == .warning)
  }
}
