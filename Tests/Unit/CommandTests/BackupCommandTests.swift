import CSQLite
import Foundation
import Qudo
import QudoSQLite
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// `qudo backup` and `qudo restore`.
@Suite(.waitsForProcesses) struct BackupCommandTests {
  let place: CommandWorkspace

  init() throws { place = try CommandWorkspace() }

  private func keys(_ object: [String: Any]?) -> Set<String> { Set((object ?? [:]).keys) }

  @Test("a backup is made, shown, and restored") func roundTrip() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("enqueue", "b", "--delay", "1h")
    let made = try place.qudo("backup", "b.db")
    let size = try #require(
      try FileManager.default.attributesOfItem(atPath: place.path("b.db"))[.size] as? Int)
    #expect(
      made.status == 0 && made.errors == "" && made.output == "\(size) bytes, 3 ready, 1 delayed, 0 running\n"
    )
    let again = try place.qudo("backup", "b.db", "--replace", "--no-check", "--json")
    let report = try #require(try again.objects().first)
    #expect(
      keys(report) == [
        "database", "file", "bytes", "schema", "ready", "delayed", "running", "heldJobs", "takenAt", "read",
        "held",
        "took",
      ])
    #expect(report["database"] as? String == "qudo" && report["bytes"] as? Int == size)
    #expect((report["file"] as? String)?.hasSuffix("/b.db") == true && report["held"] as? Int == 0)

    try place.qudo("work", "a=true", "--until-empty")
    try place.qudo("enqueue", "c")
    let dry = try place.qudo("restore", "b.db", "--dry-run")
    #expect(dry.status == 0 && dry.errors == "")
    #expect(
      dry.lines.dropLast() == [
        "KIND  READY  DELAYED  RUNNING", "a         3        0        0", "b         0        1        0",
        "jobs to run: 4", "of these, were running when the backup was made, and begin again: 0",
        "of these, wait until they are due: 1",
        "of these, have ended since the backup, and run a second time: 3",
        "jobs of the replaced database that are not in the backup: 1",
      ])
    #expect(dry.lines.last?.hasPrefix("would restore: /") == true)
    #expect(try place.qudo("count", "--json", "--kind", "c").objects().count == 1)

    let refused = try place.qudo("restore", "b.db")
    #expect(
      refused.status == 64
        && refused.errors.contains("qudo.db exists: choose another name, or pass --replace"))
    let done = try place.qudo("restore", "b.db", "--replace", "--json")
    let plan = try #require(try done.objects().first)
    #expect(
      keys(plan) == [
        "database", "file", "backup", "bytes", "schema", "ready", "delayed", "running", "held", "paused",
        "cancelled", "expired", "kinds", "schedules", "ended", "removed", "damage", "users", "restored",
      ])
    #expect(plan["ended"] as? Int == 3 && plan["removed"] as? Int == 1 && plan["restored"] as? Bool == true)
    #expect(
      keys((plan["kinds"] as? [[String: Any]])?.first) == [
        "kind", "ready", "delayed", "running", "held", "paused",
      ])
    #expect(try place.qudo("work", "a=echo {}", "--until-empty").output == "1\n2\n3\n")
    #expect(try place.qudo("enqueue", "c").output == "6\n")
    let new = try place.qudo("restore", "b.db", "--database", "new.db")
    #expect(new.status == 0 && new.lines.last?.hasPrefix("restored: /") == true)
    #expect(new.lines.contains("jobs that have ended since the backup run a second time"))
  }

  @Test("a worker's database is not replaced, and schedules with missed ticks are named") func inUse() throws
  {
    try place.qudo("schedule", "add", "often", "tick", "--every", "100ms", "--missed", "2")
    try place.qudo("enqueue", "a", "x")
    try place.qudo("backup", "b.db")
    let worker = try place.start("work", "a=echo {}")
    #expect(try worker.output.line() == "x")
    let refused = try place.qudo("restore", "b.db", "--replace")
    #expect(refused.status == 75 && refused.output == "" && refused.errors.contains("qudo.db is in use by "))
    let dry = try place.qudo("restore", "b.db", "--dry-run", "--json")
    let users = try #require(try dry.objects().first?["users"] as? [String])
    #if os(Linux)
    #expect(
      refused.errors.contains("process \(worker.id) (qudo)") && users == ["process \(worker.id) (qudo)"])
    #expect(try place.qudo("restore", "b.db", "--dry-run").errors.contains("stop it before you restore"))
    #endif
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    // The tick that is next in the backup.
    func isOverdue() throws -> Bool {
      let plan = try place.qudo("restore", "b.db", "--dry-run", "--json").objects().first
      return (plan?["schedules"] as? [Any])?.isEmpty == false
    }
    while try !isOverdue() {}
    let plan = try #require(try place.qudo("restore", "b.db", "--replace", "--json").objects().first)
    let schedule = try #require((plan["schedules"] as? [[String: Any]])?.first)
    #expect(keys(schedule) == ["name", "kind", "nextAt", "missed"] && schedule["name"] as? String == "often")
    #expect(plan["ended"] as? Int == 1 && plan["ready"] as? Int == 1)
  }

  #if os(Linux)
  @Test("the message names the other programs, and not the command itself") func users() throws {
    try place.qudo("enqueue", "a", "x")
    try place.qudo("backup", "b.db")
    var app: OpaquePointer?
    defer { sqlite3_close(app) }
    #expect(sqlite3_open(place.path("qudo.db"), &app) == SQLITE_OK)
    #expect(sqlite3_exec(app, "SELECT count(*) FROM qudo_job", nil, nil, nil) == SQLITE_OK)
    let refused = try place.qudo("restore", "b.db", "--replace")
    #expect(refused.status == 75 && refused.errors.contains("is in use by process \(getpid()) ("))
    #expect(!refused.errors.contains("this process"), "\(refused.errors)")
  }
  #endif

  @Test("jobs that were running are shown, and begin again") func running() throws {
    try place.qudo("enqueue", "a", "x")
    let (begun, gate) = (try place.fifo("begun"), try place.fifo("gate"))
    let worker = try place.start("work", "a=sh -c 'echo yes > begun; read x < gate'")
    #expect(try begun.line() == "yes")
    #expect(try place.qudo("backup", "b.db").output.hasSuffix(" bytes, 0 ready, 0 delayed, 1 running\n"))
    gate.put("go\n")
    // The job has ended when it is listed no more.
    while try place.qudo("jobs", "--json").output != "[]\n" {}
    worker.kill(SIGTERM)
    #expect(try worker.end() == 0)
    let restored = try place.qudo("restore", "b.db", "--replace")
    #expect(restored.lines.contains("of these, were running when the backup was made, and begin again: 1"))
    #expect(restored.lines.contains("of these, have ended since the backup, and run a second time: 1"))
    #expect(try place.qudo("work", "a=sh -c 'echo $QUDO_ATTEMPT'", "--until-empty").output == "1\n")
  }

  @Test("the plan names the jobs that wait on purpose, and those that end without a run") func waits() throws
  {
    let (begun, _) = (try place.fifo("begun"), try place.fifo("gate"))
    let worker = try place.start("work", "a=sh -c 'echo yes > begun; read x < gate'")
    try place.qudo("enqueue", "a", "x")
    #expect(try begun.line() == "yes")
    // A stopped worker neither ends the job nor looks for expired ones.
    worker.kill(SIGSTOP)
    try place.qudo("cancel", "1")
    try place.qudo("enqueue", "p", "--lines", input: "1\n2\n")
    try place.qudo("enqueue", "p", "--expires", "1us", "3")
    try place.qudo("pause", "p", "--reason", "quiet")
    for _ in 0..<2 { try place.qudo("enqueue", "k", "x", "--concurrency-key", "one") }
    try place.qudo("backup", "b.db")
    worker.kill(SIGKILL)
    #expect(try worker.end() == SIGKILL)
    let lines = try place.qudo("restore", "b.db", "--database", "new.db").lines
    #expect(
      lines.dropLast() == [
        "KIND  READY  DELAYED  RUNNING  HELD  PAUSED", "k         1        0        0     1",
        "p         2        0        0     0  yes", "jobs to run: 4",
        "of these, were running when the backup was made, and begin again: 0",
        "of these, are held until earlier jobs of their concurrency keys have ended: 1",
        "of these, are of paused kinds, and wait until the kinds are resumed: 2",
        "jobs that were to be cancelled while they were running, and end without a run: 1",
        "jobs whose expiry has passed, and that end without a run: 1",
        "jobs that have ended since the backup run a second time",
      ])
    let plan = try #require(
      try place.qudo("restore", "b.db", "--database", "new.db", "--dry-run", "--json").objects().first)
    #expect(
      plan["paused"] as? Int == 2 && plan["cancelled"] as? Int == 1 && plan["expired"] as? Int == 1
        && plan["held"] as? Int == 1 && plan["running"] as? Int == 0)
    #expect((plan["kinds"] as? [[String: Any]])?.map { $0["paused"] as? Bool } == [false, true])
  }

  @Test("a backup that cannot be used leaves the database as it was") func unusable() throws {
    try place.qudo("enqueue", "a", "--lines", input: "1\n2\n3\n")
    try place.qudo("backup", "good.db")
    let before = try Data(contentsOf: URL(fileURLWithPath: place.path("qudo.db")))
    var damaged = try Data(contentsOf: URL(fileURLWithPath: place.path("good.db")))
    damaged.replaceSubrange(4096..<20_480, with: Data(repeating: 0x5A, count: 16_384))
    try damaged.write(to: URL(fileURLWithPath: place.path("damaged.db")))
    try Data("no database\n".utf8).write(to: URL(fileURLWithPath: place.path("none.db")))
    _ = try place.shell("cp good.db newer.db")
    var newer: OpaquePointer?
    #expect(sqlite3_open(place.path("newer.db"), &newer) == SQLITE_OK)
    #expect(
      sqlite3_exec(
        newer,
        "PRAGMA journal_mode = DELETE; INSERT INTO qudo_schema SELECT max(version) + 1, 0, 1, max(version) + 1 FROM qudo_schema",
        nil, nil, nil) == SQLITE_OK)
    sqlite3_close(newer)
    for (name, text) in [
      ("damaged.db", "the file is damaged"), ("newer.db", "update this program"),
      ("none.db", "not a SQLite database"), ("missing.db", "there is no such file"),
    ] {
      for option in ["--dry-run", "--replace"] {
        let result = try place.qudo("restore", name, option)
        #expect(
          result.status != 0 && result.output == "" && result.errors.contains(text)
            && result.errors.contains(name), "\(name): \(result.errors)")
      }
      #expect(try Data(contentsOf: URL(fileURLWithPath: place.path("qudo.db"))) == before, "\(name)")
      #expect(!place.exists("qudo.db.partial"), "\(name)")
    }
    #expect(try place.qudo("restore", "good.db", "--replace").status == 0)
  }

  @Test("--max-wal-size takes sizes") func maxWALSize() throws {
    try place.qudo("enqueue", "a", "x")
    for size in ["16777216", "16384KiB", "512MiB", "2GiB", "16777216B"] {
      #expect(try place.qudo("backup", "b.db", "--replace", "--max-wal-size", size).status == 0, "\(size)")
    }
    for size in ["soon", "", "12MB", "-1", "99999999999999999999", "9999999999999GiB", "16777215", "1 GiB"] {
      let result = try place.qudo("backup", "c.db", "--max-wal-size=\(size)")
      #expect(result.status == 64 && !place.exists("c.db"), "\(size): \(result.errors)")
    }
    #expect(try place.qudo("backup", "c.db", "--max-wal-size", "1MiB").errors.contains("below 16 MiB"))
  }

  @Test("servers and several databases are refused") func refused() throws {
    for command in ["backup", "restore"] {
      let several = try place.qudo(command, "b.db", "--database", "x.db", "--database", "y.db")
      #expect(several.status == 64 && several.errors.contains("\(command) takes one --database"))
      let missing = try place.qudo(command, "b.db", "--database", "none.db")
      #expect(missing.status == 75 && !place.exists("none.db") && !place.exists("b.db"), "\(missing.errors)")
      #if MySQL
      let server = try place.qudo(command, "b.db", "--database", "mysql://u:p@127.0.0.1:1/d")
      #expect(
        server.status == 1 && server.errors.contains("mariadb-dump --single-transaction"), "\(server.errors)")
      #endif
    }
  }

  #if os(Linux)
  @Test("a limit of the file size is a full disk, and leaves no file") func fileSize() throws {
    let lines =
      (0..<200).map { "\($0)" + String(repeating: "x", count: 5_000) }.joined(separator: "\n") + "\n"
    _ = try place.qudo(["enqueue", "a", "--lines"], input: Data(lines.utf8))
    // In blocks of 512 bytes: 256 KiB.
    let result = try place.shell(#"trap '' XFSZ; ulimit -f 512; exec "$qudo" backup b.db"#)
    #expect(result.status == 1 && result.errors.contains("the disk is full"), "\(result.errors)")
    #expect(!place.exists("b.db") && !place.exists("b.db.partial"))
    let restored = try place.shell(
      #""$qudo" backup b.db >/dev/null; trap '' XFSZ; ulimit -f 512; exec "$qudo" restore b.db --database new.db"#
    )
    #expect(restored.status == 1 && restored.errors.contains("the disk is full"), "\(restored.errors)")
    #expect(!place.exists("new.db") && !place.exists("new.db.partial"))
  }

  /// Only root can become another user.
  private static let canBecome = geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0

  @Test(
    "without the permission, the message says so; to read the file is enough for a backup",
    .enabled(if: canBecome))
  func permissions() throws {
    try place.qudo("enqueue", "a", "x")
    // The command as another user, who may have no access to the folder in which it was built.
    let other =
      #"chmod 755 .; cp "$qudo" q; chmod 755 q; exec setpriv --reuid 65534 --regid 65534 --clear-groups"#
    let unreadable = try place.shell("\(other) ./q backup /tmp/qudo-none.db")
    #expect(
      unreadable.status == 75 && unreadable.errors.contains("the file cannot be read"), "\(unreadable.errors)"
    )
    #expect(chmod(place.path("qudo.db"), 0o644) == 0)
    let folder = try place.shell("\(other) ./q backup b.db")
    #expect(folder.status == 1 && folder.errors.contains("Permission denied"), "\(folder.errors)")
    let made = try place.shell("mkdir -m 777 open; \(other) ./q backup open/b.db")
    #expect(made.status == 0 && made.output.hasSuffix("1 ready, 0 delayed, 0 running\n"), "\(made.errors)")
    let restored = try place.shell("\(other) ./q restore open/b.db --replace")
    #expect(restored.status == 1 && restored.errors.contains("run as its owner"), "\(restored.errors)")
    #expect(try place.qudo("count", "--json").objects().count == 1)
  }
  #endif

  // MARK: The article

  private func article() throws -> String {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../Sources/Qudo/Qudo.docc/Operating.md")
    let text = try String(contentsOf: path, encoding: .utf8)
    return try #require(text.components(separatedBy: "## Back up, restore, move\n").last)
      .components(separatedBy: "\n### Litestream")[0]
  }

  private func blocks(_ language: String) throws -> [String] {
    try article().components(separatedBy: "```\(language)\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
  }

  /// A line of the article with this test's paths in it.
  private func here(_ line: String) throws -> String {
    line.replacing("/usr/local/bin/qudo", with: "\"$qudo\"").replacing("/var/backups/", with: "backups/")
      .replacing("/var/lib/jobs/", with: "lib/")
  }

  @Test("the article's commands, and those of its units and its crontab, run") func commands() throws {
    _ = try place.shell(#"mkdir backups lib; "$qudo" enqueue a x --database lib/jobs.db"#)
    let units = try blocks("ini").flatMap { $0.split(separator: "\n") }
    var lines = units.compactMap {
      $0.hasPrefix("ExecStart=") ? String($0.dropFirst("ExecStart=".count)) : nil
    }
    let cron = try blocks("crontab").flatMap { $0.split(separator: "\n").map(String.init) }
    lines += cron.map { $0.split(separator: " ", maxSplits: 5).last.map(String.init) ?? "" }
    let shell = try blocks("sh").flatMap { $0.split(separator: "\n").map(String.init) }
    lines += shell.filter { !$0.hasPrefix("qudo work") }
    #expect(lines.count == 8)
    for line in lines {
      let command = try here(line.hasPrefix("qudo ") ? "/usr/local/bin/" + line : line)
      let result = try place.shell(command)
      #expect(result.status == 0, "\(line): \(result.errors)")
    }
    // The five fields are those that Qudo's own schedules take.
    for line in cron {
      let fields = line.split(separator: " ", maxSplits: 5).prefix(5).joined(separator: " ")
      #expect(try place.qudo("schedule", "add", "x", "k", "--cron", fields).status == 0, "\(line)")
    }
    #expect(cron.count == 2 && place.exists("backups/jobs.db"))
    // The jobs of the queue's own schedules.
    let work = try #require(shell.first { $0.hasPrefix("qudo work") })
    for name in ["backup", "compact"] {
      #expect(try place.qudo("schedule", "run", name, "--database", "lib/jobs.db").status == 0)
    }
    let command = try here(
      work.replacing("qudo backup", with: "./q backup").replacing("qudo compact", with: "./q compact"))
    let result = try place.shell(
      #"cp "$qudo" q; "# + command.replacing("qudo work", with: #""$qudo" work"#) + " --until-empty --fail")
    #expect(result.status == 0 && result.errors.contains("completed 2, failed 0"), "\(result.errors)")
  }

  @Test(
    "the article's units are units",
    .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")))
  func units() throws {
    let blocks = try blocks("ini")
    #expect(blocks.count == 2)
    let names = ["qudo-backup.service", "qudo-backup.timer"]
    for (name, text) in zip(names, blocks) {
      let unit = text.replacing("User=jobs", with: "User=root").replacing(
        "/usr/local/bin/qudo", with: "/bin/true")
      try Data((unit + "\n").utf8).write(to: URL(fileURLWithPath: place.path(name)))
    }
    let result = try place.shell("systemd-analyze verify ./\(names[0]) ./\(names[1]) 2>&1")
    #expect(!result.output.contains("qudo-backup"), "\(result.output)")
    for calendar in try article().matches(of: #/OnCalendar=([^\n`]+)/#) {
      #expect(
        try place.shell("systemd-analyze calendar '\(calendar.output.1)'").status == 0, "\(calendar.output.1)"
      )
    }
  }
}
