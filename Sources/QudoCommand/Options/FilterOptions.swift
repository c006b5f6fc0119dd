public import ArgumentParser
public import Qudo

/// The options that choose jobs by what they are.
struct JobFilterOptions: ParsableArguments {
  @OptionGroup var kind: KindOption
  @Option(help: "Only this state: ready, delayed, running or held. Repeat for several. Default: all.")
  var state: [JobState] = []
  @Option(help: ArgumentHelp("Only unique keys that begin with this.", valueName: "text")) var keyPrefix:
    String?
  @Option(help: ArgumentHelp("Only this concurrency key.", valueName: "key")) var concurrencyKey: String?
  @Option(help: ArgumentHelp("Only this group.", valueName: "name")) var group: String?
  @Option(
    help: ArgumentHelp(
      "Only payloads that contain this text, as they are stored; at most 1,024 bytes.", valueName: "text"))
  var contains: String?
  @Option(
    name: .customLong("metadata"),
    help: ArgumentHelp(
      "Only jobs with this entry in their metadata. Repeat for several.", valueName: "name=text"),
    transform: { try MetadataEntry($0) })
  var metadata: [MetadataEntry] = []
  @Option(help: ArgumentHelp("Only this priority or higher ones.", valueName: "number")) var minPriority: Int?
  @Option(help: ArgumentHelp("Only this priority or lower ones.", valueName: "number")) var maxPriority: Int?
  @Option(
    help: ArgumentHelp("Only jobs that were enqueued longer ago than this.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var olderThan: Duration?
  @Option(
    help: ArgumentHelp("Only jobs that were enqueued within this time.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var newerThan: Duration?
  @Option(
    help: ArgumentHelp("Only jobs that are due before this ISO 8601 time with a zone.", valueName: "time"),
    transform: { try Timestamp(parsing: $0) })
  var dueBefore: Timestamp?
  @Option(
    help: ArgumentHelp(
      "Only jobs that are due at this ISO 8601 time with a zone or later.", valueName: "time"),
    transform: { try Timestamp(parsing: $0) })
  var dueAfter: Timestamp?

  func validate() throws {
    if let minPriority, let maxPriority, minPriority > maxPriority {
      throw ValidationError("--min-priority is above --max-priority")
    }
    if let dueAfter, let dueBefore, dueAfter > dueBefore {
      throw ValidationError("--due-after is later than --due-before")
    }
    if let olderThan, let newerThan, olderThan > newerThan {
      throw ValidationError("no job is older than --older-than and newer than --newer-than")
    }
    try MetadataEntry.check(metadata)
    // Usually an unset variable: every job would fit.
    if contains?.isEmpty == true { throw ValidationError("--contains is empty: leave it out for all jobs") }
    if keyPrefix?.isEmpty == true {
      throw ValidationError("--key-prefix is empty: leave it out for all jobs")
    }
    do { try filter.check() } catch { throw ValidationError(error.message) }
  }

  /// Whether an option is given.
  var isGiven: Bool { kind.kinds != nil || !state.isEmpty || filter.looksIntoJobs }

  var filter: JobFilter {
    let now = SystemClock().now().wall
    return JobFilter(
      kinds: kind.kinds, states: state.isEmpty ? nil : Set(state), uniqueKeyPrefix: keyPrefix,
      priority: minPriority == nil && maxPriority == nil
        ? nil : (minPriority ?? .min)...(maxPriority ?? .max),
      enqueuedAt: Self.range(
        from: newerThan.map { now.advanced(by: .zero - $0) },
        to: olderThan.map { now.advanced(by: .zero - $0) }),
      dueAt: Self.range(from: dueAfter, to: dueBefore), payloadContains: contains.map { Array($0.utf8) },
      metadata: metadata.isEmpty
        ? nil : Dictionary(metadata.map { ($0.name, $0.text) }, uniquingKeysWith: { _, last in last }),
      concurrencyKey: concurrencyKey, group: group)
  }

  /// Returns nil if neither end is given.
  static func range(from: Timestamp?, to: Timestamp?) -> Range<Timestamp>? {
    guard from != nil || to != nil else { return nil }
    let (from, to) = (from ?? Timestamp(microseconds: .min), to ?? Timestamp(microseconds: .max))
    return from..<max(from, to)
  }
}

/// The options that choose failures.
struct FailureFilterOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Only this reason: failed, aborted, lost, cancelled, expired or dropped. Repeat for several. Default: all.",
      valueName: "reason"))
  var reason: [FailureReason] = []
  @Option(
    help: ArgumentHelp("Only failures within this time.", valueName: "duration"),
    transform: { try Duration(parsing: $0) })
  var since: Duration?
  @Option(help: ArgumentHelp("Only messages that contain this text.", valueName: "text")) var message: String?

  func validate() throws {
    if message?.isEmpty == true { throw ValidationError("--message is empty: leave it out for all failures") }
    do { try filter.check() } catch { throw ValidationError(error.message) }
  }

  /// Whether an option is given.
  var isGiven: Bool { !reason.isEmpty || since != nil || message != nil }

  var filter: FailureFilter {
    let now = SystemClock().now().wall
    return FailureFilter(
      reasons: reason.isEmpty ? nil : Set(reason),
      failedAt: JobFilterOptions.range(from: since.map { now.advanced(by: .zero - $0) }, to: nil),
      messageContains: message)
  }
}

extension FailureReason: ExpressibleByArgument {}
