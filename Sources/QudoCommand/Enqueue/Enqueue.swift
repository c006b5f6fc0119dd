internal import ArgumentParser
internal import Qudo

struct Enqueue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue a job, or one per line of standard input.",
    discussion: """
      Prints the job's id once it is on the disk, with several databases as DATABASE/ID; with --json an object {"id", "database"}, and "existing": true where \
      --on-conflict keep kept the job that was there, or --idempotency-key found the enqueue done.

      --lines makes a job of each line of standard input, byte for byte but for the newline: a carriage return before it stays, \
      the bytes need not be UTF-8, an empty line is an empty payload, and a last line without a newline counts. --null does the same \
      between NUL bytes, as find -print0 writes them. Lines that come together share a transaction, up to 1,000 of them and some 2 MiB, and are \
      acknowledged together; no line waits for the next. If one is too long, those before it stay enqueued, and the message says which \
      it was. Whatever ends it before the end of the input, the message says from which line to go on.

      A server that restarts, fails over, or is cut off is waited for until the --deadline of each batch. If it has got a batch and its \
      answer was lost, the batch is sent again under the same keys, and is there once. What is unknown even then goes to the next \
      database under --on-unknown elsewhere: each such line is named on standard error, and with --json has "mayBeDoubled": true. \
      With --on-unknown stop the command ends.

      Jobs that go to a file because the servers before it were away stay there: only a worker with that --database runs them. At the \
      end the command says how many went where.

      A payload that is JSON, a number or a word such as true among it, is stored as JSON, any other as raw bytes. The bytes are the \
      same, and qudo work passes on both alike; a typed handler decodes JSON with its JSON codec, and raw bytes with its queue's first \
      codec. --codec json refuses what is not JSON; --codec raw stores all as raw bytes. Write -- before a payload that begins with -.

        qudo enqueue mail.send '{"to":"ada@example.org"}' --priority 5 --delay 10m
        qudo enqueue report --at 2036-03-01T06:00:00+01:00
        qudo enqueue report --unique-key daily --on-conflict keep
        find . -type f -print0 | qudo enqueue hash --null
      """)

  @OptionGroup var database: Database
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The kind of job: 1 to 255 bytes.") var kind: String
  @Argument(help: "The payload: at most 1 MiB. Default: empty.") var payload: String?
  @Option(help: ArgumentHelp("Take the payload from a file, as it is; - is standard input.", valueName: "path")) var payloadFile: String?
  @Flag(help: "A job per line of standard input.") var lines = false
  @Flag(name: [.customShort("0"), .customLong("null")], help: "A job per NUL-terminated piece of standard input.") var null = false
  @Option(help: ArgumentHelp(
    "What the payload is stored as: json or raw. Default: json if it is JSON, else raw.", valueName: "codec"))
  var codec: PayloadCodec?
  @OptionGroup var options: JobOptions
  @Option(help: ArgumentHelp(
    """
    Names the enqueue: if it was done within a day, it is not done again, and the id is that of the job it made. With --lines or --null each \
    line has a key of its own, made of this and its number. A key holds within one database. Default: none.
    """, valueName: "key"))
  var idempotencyKey: String?
  @OptionGroup var unknown: UnknownOption
  @Flag(help: "Print an object per job instead of its id.") var json = false

  enum PayloadCodec: String, CaseIterable, ExpressibleByArgument {
    case json, raw
  }

  private var isStream: Bool { lines || null }

  func validate() throws {
    if lines, null { throw ValidationError("--lines and --null exclude each other") }
    if isStream, payload != nil || payloadFile != nil || options.uniqueKey != nil {
      throw ValidationError("\(null ? "--null" : "--lines") takes neither a payload nor --unique-key")
    }
    // Most often a variable that is not set: all that is enqueued with it would be one enqueue.
    if idempotencyKey?.isEmpty == true { throw ValidationError("--idempotency-key is empty") }
    if payload != nil, payloadFile != nil { throw ValidationError("give a payload or --payload-file, not both") }
    // What no database would take is refused before one is made.
    do { try Limits().check(job(Array((payload ?? "").utf8), .raw)) } catch { throw ValidationError(error.message) }
    if !isStream, payloadFile == nil {
      do { _ = try codec(of: Array((payload ?? "").utf8)) } catch { throw ValidationError(error.description) }
    }
  }

  func run() async throws {
    let urls = try database.urls()
    try await database.use(durability: durability.durability, create: true, fleet, enqueues: true) { databases in
      var run = EnqueueRun(
        databases, urls, kind: kind, json: json, key: idempotencyKey, isStream: isStream, order: fleet.order,
        onUnknown: unknown.policy(fleet.order, databases: urls.count))
      defer { run.tellWhatFellBack() }
      if isStream {
        try await stream(&run)
      } else {
        let payload = try readPayload(limit: Limits().payloadBytes)
        try await run.enqueue([job(payload, try codec(of: payload))])
      }
    }
  }

  private func readPayload(limit: Int) throws -> [UInt8] {
    guard let path = payloadFile else { return Array((payload ?? "").utf8) }
    if path == "-" { return try InputFile.standardInput.readAll(limit: limit) }
    return try InputFile.at(path).readAll(limit: limit)
  }

  func codec(of payload: [UInt8], line: Int? = nil) throws(CommandError) -> CodecID {
    if codec == .raw { return .raw }
    guard let fault = JSONScanner.fault(in: payload) else { return .json }
    guard codec == .json else { return .raw }
    let what = line.map { "line \($0)" } ?? "the payload"
    throw CommandError("\(what) is not JSON: at byte \(fault.byte), \(fault.problem)")
  }

  func job(_ payload: [UInt8], _ codec: CodecID) -> NewJob {
    NewJob(Kind(kind), payload: Payload(payload, codec: codec), unique: options.unique, priority: options.priority, due: options.due)
  }
}
