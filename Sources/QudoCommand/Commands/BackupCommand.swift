internal import ArgumentParser
internal import Qudo
internal import QudoMySQL
internal import QudoSQLite

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy the database to a file, while it is in use.",
    discussion: """
      The copy has what was committed before the backup began to read, and completes however many processes use the queue meanwhile. It \
      is one plain file, which only its owner can read. It gets its name when it is complete, synced and checked; until then it is called \
      FILE.partial. If the backup is killed, that file is left, and the next backup overwrites it. The database is only read: a file of \
      an older version is not migrated.

      Writers continue meanwhile, and the WAL grows with each commit. If it grows to a quarter of --max-wal-size before the copy is \
      complete, Qudo's writers wait up to 50 ms at a time until it is, and from three quarters on up to 5 s, so that no enqueue fails. \
      Connections of an application that writes to the file itself do not wait. If they fill the WAL to seven eighths, the backup gives \
      up with the exit status 75, and leaves no file.

      Prints the number of bytes and of ready, delayed, running and held jobs in the backup. With --json, one array with {"database", "file", \
      "bytes", "schema", "ready", "delayed", "running", "heldJobs", "takenAt", "read", "held", "took"}: read is how long the backup kept \
      checkpoints waiting, held how long it kept writers waiting, and took how long the backup took in all, in milliseconds. The numbers of jobs \
      are null for a file of an older version.

      For a server, use mariadb-dump --single-transaction or mysqldump --single-transaction.

        qudo backup /var/backups/jobs.db --database jobs.db --replace
      """)

  @Argument(help: ArgumentHelp("The file to write.", valueName: "file")) var file: String
  @OptionGroup var database: Database
  @Flag(help: "Replace an existing file, when the new one is complete.") var replace = false
  @Flag(inversion: .prefixedNo, help: "Check the copy with PRAGMA quick_check.") var check = true
  @Option(
    help: ArgumentHelp(
      "The maximum WAL size of the programs that write to the database, at least 16MiB; give it if one has a smaller maxWALSize. Default: 1GiB, as theirs.",
      valueName: "size"),
    transform: { try ByteCount(parsing: $0) })
  var maxWalSize: ByteCount?
  @Flag(help: "Print one JSON array.") var json = false

  func run() async throws {
    let path = try database.file(for: "backup")
    let report = try await SQLiteDriver.backup(
      of: path, to: file, replacing: replace, checking: check, maxWALSize: maxWalSize?.bytes ?? 1 << 30)
    guard json else {
      guard let jobs = report.jobs else {
        return try Output.line("\(report.bytes) bytes, schema \(report.schemaVersion) of an older version")
      }
      let sum = jobs.sum
      return try Output.line(
        "\(report.bytes) bytes, \(sum.ready) ready, \(sum.delayed) delayed, \(sum.running) running"
          + (sum.held > 0 ? ", \(sum.held) held" : ""))
    }
    try Output.line(
      JSONWriter.array([
        .object(
          [
            ("database", .text(report.database)), ("file", .text(report.file)),
            ("bytes", .integer(Int64(report.bytes))), ("schema", .integer(Int64(report.schemaVersion))),
          ] + JSON.numbers(report.jobs, held: "heldJobs") + [
            ("takenAt", .time(report.takenAt)), ("read", .milliseconds(report.read)),
            ("held", .milliseconds(report.held)), ("took", .milliseconds(report.took)),
          ])
      ]))
  }
}

extension Database {
  /// Returns the path of the only database, for a command that copies files.
  func file(for command: String) throws -> String {
    guard case .sqlite(let path) = try only(command).place else {
      throw QudoError(
        .unsupportedDatabase,
        "\(command) is for SQLite files: for a server, use mariadb-dump --single-transaction or mysqldump --single-transaction"
      )
    }
    return path
  }
}

extension [JobCount] {
  /// The jobs of all kinds.
  var sum: JobCount {
    reduce(JobCount("")) { sum, count in
      JobCount(
        "", ready: sum.ready + count.ready, delayed: sum.delayed + count.delayed,
        running: sum.running + count.running, held: sum.held + count.held)
    }
  }

  /// The number of jobs of paused kinds.
  var paused: Int { filter(\.isPaused).sum.all }
}

extension JobCount {
  /// The jobs of all states.
  var all: Int { ready + delayed + running + held }
}

extension JSON {
  static func milliseconds(_ duration: Duration) -> JSON { .integer(duration.wholeMicroseconds / 1000) }

  /// Returns the numbers of jobs by state.
  ///
  /// - Parameter held: The key of the number of held jobs.
  static func numbers(_ jobs: [JobCount]?, held: String = "held") -> [(key: String, value: JSON)] {
    let sum = jobs?.sum
    func number(_ count: Int?) -> JSON { count.map { .integer(Int64($0)) } ?? .null }
    return [
      ("ready", number(sum?.ready)), ("delayed", number(sum?.delayed)), ("running", number(sum?.running)),
      (held, number(sum?.held)),
    ]
  }
}
