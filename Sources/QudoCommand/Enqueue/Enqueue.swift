internal import ArgumentParser
internal import Qudo

struct Enqueue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue a job, or one per line of standard input.",
    discussion: """
      Prints the job's id once it is stored; with several databases, DATABASE/ID. With --json, prints an object {"id", \
      "database"}, with "existing": true if --on-conflict keep kept an existing job or --idempotency-key found an earlier enqueue.

      --lines enqueues a job for each line of standard input. The payload is the line without its newline, byte for byte: a \
      carriage return stays, the bytes need not be UTF-8, an empty line is an empty payload, and a last line without a newline \
      counts. --null splits at NUL bytes instead, as find -print0 writes them. Lines that arrive together share one transaction, up \
      to 1,000 lines or about 2 MiB; no line waits for the next. If a line is too long, the lines before it stay enqueued, and the \
      error names the line. If the command stops early, its message says from which line to continue.

      Each batch waits for a server that restarts, fails over or is cut off, for up to --call-timeout. If the answer is lost, the \
      command sends the batch again under the same keys, so that the server stores it once. If the outcome stays unknown, \
      --on-unknown elsewhere enqueues the batch in the next database and reports each line that may be doubled, on standard error \
      and with --json as "mayBeDoubled": true. With --on-unknown stop the command ends.

      If the servers before a file are unavailable, jobs go to the file and stay there: only a worker with that --database runs \
      them. At the end the command says how many jobs went where.

      With --max-waiting, a kind that nothing drains cannot fill the disk. If a batch of lines would exceed it, none of the batch is \
      enqueued, and the error says from which line to continue. With several databases, the limit applies to each: one that is full \
      refuses the batch, and the next one is not tried.

      A payload that is valid JSON, including a bare number or true, is stored as JSON; any other payload is stored as raw bytes. \
      The bytes are the same, and qudo work passes both on unchanged. A typed handler decodes JSON with its JSON codec, and raw \
      bytes with its queue's first codec. --codec json rejects other payloads; --codec raw stores every payload as raw bytes. Write \
      -- before a payload that begins with -.

        qudo enqueue mail.send '{"to":"ada@example.org"}' --priority 5 --delay 10m
        qudo enqueue report --at 2036-03-01T06:00:00+01:00
        qudo enqueue report --unique-key daily --on-conflict keep
        qudo enqueue reindex 7 --debounce page-7 --delay 5s --max-delay 1m
        qudo enqueue sync 7 --follow-up account-7
        qudo enqueue digest --unique-key daily --on-conflict keep --throttle 1h
        qudo enqueue thumbnail cat.jpg --group customer-7
        find . -type f -print0 | qudo enqueue hash --null
      """)

  @OptionGroup var database: Database
  @OptionGroup var fleet: FleetOptions
  @OptionGroup var durability: DurabilityOption
  @Argument(help: "The kind of job: 1 to 255 bytes.") var kind: String
  @Argument(help: "The payload: at most 1 MiB. Default: empty.") var payload: String?
  @Option(
    help: ArgumentHelp("Read the payload from a file, unchanged; - is standard input.", valueName: "path"))
  var payloadFile: String?
  @Flag(help: "Enqueue a job for each line of standard input.") var lines = false
  @Flag(
    name: [.customShort("0"), .customLong("null")],
    help: "Enqueue a job for each NUL-terminated item of standard input.") var null = false
  @Option(
    help: ArgumentHelp(
      "The codec of the stored payload: json or raw. Default: json if it is valid JSON, else raw.",
      valueName: "codec"))
  var codec: PayloadCodec?
  @OptionGroup var options: JobOptions
  @Option(
    help: ArgumentHelp(
      """
      Identifies this enqueue. If it was already done within a day, it is not repeated, and the id of the first job is printed. With \
      --lines or --null each line has its own key, made from this one and the line number. A key applies to one database. Default: none.
      """, valueName: "key"))
  var idempotencyKey: String?
  @OptionGroup var unknown: UnknownOutcomeOption
  @Flag(help: "Print an object per job instead of its id.") var json = false

  private var isStream: Bool { lines || null }

  func validate() throws {
    if lines, null { throw ValidationError("--lines and --null exclude each other") }
    if isStream, payload != nil || payloadFile != nil || options.hasUniqueKey {
      let option =
        options.debounce != nil ? "--debounce" : options.followUp != nil ? "--follow-up" : "--unique-key"
      throw ValidationError("\(null ? "--null" : "--lines") takes neither a payload nor \(option)")
    }
    // Usually an unset variable: all enqueues with an empty key would count as one.
    if idempotencyKey?.isEmpty == true { throw ValidationError("--idempotency-key must not be empty") }
    if payload != nil, payloadFile != nil {
      throw ValidationError("give a payload or --payload-file, not both")
    }
    // Reject what no database accepts before one is created.
    do { try Limits().check(job(Array((payload ?? "").utf8), .raw)) } catch {
      throw ValidationError(error.message)
    }
    if !isStream, payloadFile == nil {
      do { _ = try codec(of: Array((payload ?? "").utf8)) } catch { throw ValidationError(error.description) }
    }
  }

  func run() async throws {
    let urls = try database.urls()
    try await database.use(durability: durability.durability, create: true, fleet, enqueues: true) {
      databases in
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
    return try InputFile.readAll(path, limit: limit)
  }

  private func codec(of payload: [UInt8]) throws(CommandError) -> CodecID {
    try PayloadCodec.id(of: payload, chosen: codec)
  }

  func job(_ payload: [UInt8], _ codec: CodecID) -> NewJob {
    NewJob(
      Kind(kind), payload: Payload(payload, codec: codec), unique: options.unique,
      concurrencyKey: options.ordering, group: options.group, priority: options.priority,
      due: options.due, expires: options.expires ?? .never, maxWaiting: options.bound,
      metadata: JobMetadata(options.metadata))
  }
}
