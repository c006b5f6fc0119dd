internal import ArgumentParser
internal import Qudo

/// The options with new values for jobs.
struct ChangeOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The new priority; higher ones run first; from -2147483647 to 2147483647.", valueName: "number"))
  var priority: Int?
  @Option(
    help: ArgumentHelp("Run the jobs no earlier than this long from now.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var delay: Duration?
  @Option(
    help: ArgumentHelp(
      "Run the jobs no earlier than this ISO 8601 time with a zone. A past time counts as now.",
      valueName: "time"),
    transform: { try Timestamp(parsing: $0) })
  var at: Timestamp?
  @Option(
    help: ArgumentHelp(
      "When the jobs expire if they still wait: this long from now, at this ISO 8601 time, or never.",
      valueName: "duration, time or never"),
    transform: { $0 == "never" ? .never : try Expiry(parsing: $0) })
  var expires: Expiry?
  @Option(help: ArgumentHelp("The new payload, as enqueue takes it.", valueName: "text")) var payload: String?
  @Option(
    help: ArgumentHelp("Read the new payload from a file, unchanged; - is standard input.", valueName: "path")
  )
  var payloadFile: String?
  @Option(
    help: ArgumentHelp(
      "An entry of the new metadata, which replaces all of the old. Repeat for several.",
      valueName: "name=text"),
    transform: { try MetadataEntry($0) })
  var setMetadata: [MetadataEntry] = []
  @Option(
    help: ArgumentHelp(
      "The codec of the stored payload: json or raw. Default: json if it is valid JSON, else raw.",
      valueName: "codec"))
  var codec: PayloadCodec?

  func validate() throws {
    try MetadataEntry.check(setMetadata)
    if delay != nil, at != nil { throw ValidationError("--delay and --at exclude each other") }
    if payload != nil, payloadFile != nil {
      throw ValidationError("give --payload or --payload-file, not both")
    }
    if codec != nil, payload == nil, payloadFile == nil {
      throw ValidationError("--codec needs --payload or --payload-file")
    }
  }

  /// Whether an option is given.
  var isGiven: Bool {
    priority != nil || delay != nil || at != nil || expires != nil || payload != nil || payloadFile != nil
      || !setMetadata.isEmpty
  }

  private var due: Due? {
    if let delay { return .after(delay) }
    // A past time would order the job before other ready jobs.
    return at.map { $0 > SystemClock().now().wall ? .at($0) : .now }
  }

  /// Reads the payload, if it is in a file.
  func change() throws -> JobChange {
    let bytes =
      if let payloadFile { try InputFile.readAll(payloadFile, limit: Limits().payloadBytes) } else {
        payload.map { Array($0.utf8) }
      }
    let payload = try bytes.map { Payload($0, codec: try PayloadCodec.id(of: $0, chosen: codec)) }
    return JobChange(
      priority: priority, due: due, payload: payload,
      metadata: setMetadata.isEmpty ? nil : JobMetadata(setMetadata), expires: expires)
  }
}
