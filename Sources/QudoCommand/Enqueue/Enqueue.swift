internal import ArgumentParser
internal import Qudo

struct Enqueue: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Enqueue a job, or one per line of standard input.",
    discussion: """
      Prints the job's id once it is on the disk, with several databases as DATABASE/ID; with --json an object {"id", "database"}, and "existing": true where \
      --on-conflict keep kept the job that was there.

      --lines makes a job of each line of standard input, byte for byte but for the newline: a carriage return before it stays, \
      the bytes need not be UTF-8, an empty line is an empty payload, and a last line without a newline counts. --null does the same \
      between NUL bytes, as find -print0 writes them. Lines that come together share a transaction, up to 1,000 of them and some 2 MiB, and are \
      acknowledged together; no line waits for the next. If one is too long, those before it stay enqueued, and the message says which \
      it was.

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
    if payload != nil, payloadFile != nil { throw ValidationError("give a payload or --payload-file, not both") }
    // What no database would take is refused before one is made.
    do { try Limits().check(job(Array((payload ?? "").utf8), .raw)) } catch { throw ValidationError(error.message) }
    if !isStream, payloadFile == nil {
      do { _ = try codec(of: Array((payload ?? "").utf8)) } catch { throw ValidationError(error.description) }
    }
  }

  func run() async throws {
    try await database.use(durability: durability.durability, create: true, fleet) { databases in
      let queue = Queue(databases)
      if isStream {
        try await stream(queue)
      } else {
        try await enqueue([try readPayload(limit: Limits().payloadBytes)], after: nil, queue)
      }
    }
  }

  private func readPayload(limit: Int) throws -> [UInt8] {
    guard let path = payloadFile else { return Array((payload ?? "").utf8) }
    if path == "-" { return try InputFile.standardInput.readAll(limit: limit) }
    return try InputFile.at(path).readAll(limit: limit)
  }

  private func codec(of payload: [UInt8], line: Int? = nil) throws(CommandError) -> CodecID {
    if codec == .raw { return .raw }
    guard let fault = JSONScanner.fault(in: payload) else { return .json }
    guard codec == .json else { return .raw }
    let what = line.map { "line \($0)" } ?? "the payload"
    throw CommandError("\(what) is not JSON: at byte \(fault.byte), \(fault.problem)")
  }

  private func job(_ payload: [UInt8], _ codec: CodecID) -> NewJob {
    NewJob(Kind(kind), payload: Payload(payload, codec: codec), unique: options.unique, priority: options.priority, due: options.due)
  }

  // MARK: Streams

  /// A thousand lines in a transaction are 60 times as fast as one at a time.
  private static let batch = 1000
  /// Nor more bytes than that and one line: what waits is in memory several times.
  private static let batchBytes = 2 << 20

  /// Enqueues what has come as soon as no more is there to be read, or a batch is full.
  private func stream(_ queue: Queue<NoHooks>) async throws {
    var splitter = LineSplitter(separator: null ? 0 : UInt8(ascii: "\n"), limit: Limits().payloadBytes)
    let input = InputFile.standardInput
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 262_144, alignment: 16)
    defer { buffer.deallocate() }
    var waiting: [[UInt8]] = []
    // How many lines were taken from `waiting`.
    var done = 0
    var isAtEnd = false
    while !isAtEnd {
      let bytes = try input.next(into: buffer)
      isAtEnd = bytes.isEmpty
      var isTooLong = false
      do { try splitter.feed(bytes, into: &waiting) } catch { isTooLong = true }
      if isAtEnd, let last = splitter.finish() { waiting.append(last) }
      let isPausing = isAtEnd || isTooLong || !input.isReady(within: 0)
      try await enqueueBatches(&waiting, all: isPausing, &done, queue)
      if isTooLong { throw tooLong(splitter) }
    }
  }

  private func enqueueBatches(_ waiting: inout [[UInt8]], all: Bool, _ done: inout Int, _ queue: Queue<NoHooks>) async throws {
    var rest = waiting[...]
    while let count = Self.batch(of: rest, all: all) {
      try await enqueue(rest.prefix(count), after: done, queue)
      rest = rest.dropFirst(count)
      done += count
    }
    waiting = Array(rest)
  }

  /// - Returns: how many lines the next transaction has; nil while there are not enough.
  private static func batch(of waiting: ArraySlice<[UInt8]>, all: Bool) -> Int? {
    var bytes = 0
    for (index, line) in waiting.enumerated() {
      bytes += line.count
      if bytes >= batchBytes || index + 1 == batch { return index + 1 }
    }
    return all && !waiting.isEmpty ? waiting.count : nil
  }

  private func tooLong(_ splitter: LineSplitter) -> CommandError {
    let before = splitter.count == 0 ? "nothing was enqueued" : "the lines before it are enqueued"
    return CommandError("line \(splitter.count + 1) has more than \(splitter.limit) bytes, the limit of a payload; \(before)")
  }

  // MARK: Results

  /// - Parameter done: how many lines came before these; nil if these are no lines.
  private func enqueue(_ payloads: some Sequence<[UInt8]>, after done: Int?, _ queue: Queue<NoHooks>) async throws {
    var jobs: [NewJob] = []
    var refusal: CommandError?
    for (index, payload) in payloads.enumerated() {
      do throws(CommandError) {
        jobs.append(job(payload, try codec(of: payload, line: done.map { $0 + index + 1 })))
      } catch {
        refusal = error
        break
      }
    }
    try await enqueue(jobs, queue)
    if let refusal {
      throw CommandError(refusal.description + (done.map { $0 + jobs.count } ?? 0 > 0 ? "; the lines before it are enqueued" : "; nothing was enqueued"))
    }
  }

  private func enqueue(_ jobs: [NewJob], _ queue: Queue<NoHooks>) async throws {
    guard !jobs.isEmpty else { return }
    let results = try await queue.enqueue(jobs)
    if json {
      try Output.write(JSONWriter.lines(results.compactMap { $0.json }))
    } else {
      let isSeveral = database.isSeveral
      try Output.write(results.compactMap { $0.line(named: isSeveral) }.joined())
    }
    for case .conflict(let id) in results {
      throw CommandError(
        "job \(id.number) of kind \(SafeText.shown(kind)) has the unique key and is not finished: nothing was enqueued")
    }
  }
}

extension EnqueueResult {
  fileprivate func line(named: Bool) -> String? {
    if case .conflict = self { return nil }
    return named ? "\(SafeText.shown(id.database))/\(id.number)\n" : "\(id.number)\n"
  }

  fileprivate var json: JSON? {
    let members: [(key: String, value: JSON)] = [("id", .integer(id.number)), ("database", .text(id.database))]
    switch self {
    case .inserted, .overwritten: return .object(members)
    case .existing: return .object(members + [("existing", .bool(true))])
    case .conflict: return nil
    }
  }
}
