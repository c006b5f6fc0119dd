internal import ArgumentParser
internal import Qudo
internal import QudoImport
internal import QudoSQLite

struct Import: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Import the SQLite file of the Perl job queue Qudo.",
    discussion: """
      Stop the old workers first. One transaction imports jobs, exception_log and job_status, with their kinds, payloads, unique \
      keys, times, priorities and attempts. The old file is only read. If any row cannot be imported, none is, and the command says \
      which row and why.

      A second import of the same file imports only what is new. If another unfinished job has a job's unique key, the import skips \
      the job, reports it and exits with 1; a later import can import it.

      Prints the result of each row. With --json, one array whose elements are {"database", "table", "old", "new", "kind", "result", \
      "holder"}: table is func, job, exception_log or job_status, old and new are the ids there and here, and result is imported, \
      alreadyImported, conflict (holder is the job that has the unique key), or with --dry-run importable.

        qudo import old.db --database jobs.db --dry-run
        qudo import old.db --database jobs.db --codec json
      """)

  enum PayloadCodec: String, CaseIterable, ExpressibleByArgument {
    case raw, json, messagepack

    var id: CodecID {
      switch self {
      case .raw: .raw
      case .json: .json
      case .messagepack: .messagePack
      }
    }
  }

  @Argument(help: ArgumentHelp("The old file.", valueName: "path")) var old: String
  @OptionGroup var database: Database
  @OptionGroup var durability: DurabilityOption
  @Option(
    help: ArgumentHelp(
      "The encoding of the old arguments: raw, json or messagepack. Their bytes are kept unchanged.",
      valueName: "codec"),
    transform: Self.codec)
  var codec: PayloadCodec = .raw
  @Option(
    help: ArgumentHelp(
      "The name under which later imports recognize the old database. Default: its full path.",
      valueName: "name")) var source: String?
  @Option(help: ArgumentHelp("The maximum size of an argument, in bytes.", valueName: "bytes"))
  var payloadLimit = Limits().payloadBytes
  @Flag(help: "Make jobs that a worker has grabbed ready at once. Default: when their grab expires.")
  var ignoreGrabs = false
  @Flag(help: "Print what would be imported; write nothing.") var dryRun = false
  @Flag(help: "Print one JSON array.") var json = false

  private static func codec(_ text: String) throws -> PayloadCodec {
    if let codec = PayloadCodec(rawValue: text) { return codec }
    guard text.lowercased() == "storable" else {
      throw ValidationError("the codec must be raw, json or messagepack")
    }
    throw ValidationError(
      "only Perl can read Storable data. Use --codec raw to keep the bytes, or rewrite the arguments as JSON with Perl first"
    )
  }

  func validate() throws {
    guard payloadLimit >= 0 else { throw ValidationError("--payload-limit must not be negative") }
  }

  private var options: ImportOptions {
    var options = ImportOptions(codec: codec.id, source: source, ignoresGrabs: ignoreGrabs)
    options.limits.payloadBytes = payloadLimit
    return options
  }

  func run() async throws {
    let path = try database.path("import")
    // Compare before opening either file: opening the new one may write to it.
    let new = FileIdentity(path)
    if let new, new == FileIdentity(old) {
      throw CommandError("the old file and the new file are the same file. Choose another --database")
    }
    let file = try PerlQudoFile(path: old, options: options)
    if dryRun, new == nil {
      return try show(file.planImport(), database: SQLiteDriver.defaultName(forPath: path))
    }
    try await database.useFile("import", durability: durability.durability, create: !dryRun) { driver in
      try show(
        await dryRun ? driver.planImport(from: file) : driver.importAll(from: file), database: driver.name)
    }
  }

  private func show(_ report: ImportReport, database: String) throws {
    try Listing.show(report.rows, database: database, json: json, nothing: "the old file is empty")
    var isWhole = true
    for row in report.rows {
      guard case .conflict(let job) = row.outcome else { continue }
      isWhole = false
      printError(
        "job \(row.old) of the old file has the unique key of job \(job), which is not finished. Import it later"
      )
    }
    if !isWhole { throw ExitCode.failure }
  }
}

extension ImportReport.Row: Listed {
  static var columns: [Table.Column] { ["TABLE", .number("OLD"), .number("NEW"), "KIND", "RESULT"] }

  var cells: [String] {
    [table.rawValue, "\(old)", new.map { "\($0)" } ?? "", SafeText.terminalSafe(kind.name), result.text]
  }

  private var result: (name: String, holder: Int64?, text: String) {
    switch outcome {
    case .imported: ("imported", nil, "imported")
    case .importable: ("importable", nil, "importable")
    case .alreadyImported: ("alreadyImported", nil, "imported before")
    case .conflict(let job): ("conflict", job, "job \(job) has its unique key")
    }
  }

  func json(database: String) -> JSON {
    .object([
      ("database", .text(database)), ("table", .text(table.rawValue)), ("old", .integer(old)),
      ("new", new.map { .integer($0) } ?? .null),
      ("kind", .text(kind.name)), ("result", .text(result.name)),
      ("holder", result.holder.map { .integer($0) } ?? .null),
    ])
  }
}
