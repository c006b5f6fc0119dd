/// A selection of live jobs: those that meet all of its conditions. A condition that is nil holds for all jobs.
///
/// The first three conditions use the order of the tables. The others look into each job that those select, in the
/// order of the ids.
public struct JobFilter: Hashable, Sendable, Codable {
  /// The ids.
  public var ids: [Int64]?
  /// The kinds.
  public var kinds: [Kind]?
  /// The states.
  public var states: Set<JobState>?
  /// The beginning of the unique key, compared byte by byte, at most 255 bytes. A job without a key does not match.
  public var uniqueKeyPrefix: String?
  /// The concurrency key, compared byte by byte, of 1 to 255 bytes. A job without a key does not match.
  public var concurrencyKey: String?
  /// The group, compared byte by byte, of 1 to 255 bytes. A job without a group does not match.
  public var group: String?
  /// The priorities.
  public var priority: ClosedRange<Int>?
  /// The time range of the enqueue.
  public var enqueuedAt: Range<Timestamp>?
  /// The time range in which the job's next run becomes possible.
  public var dueAt: Range<Timestamp>?
  /// Bytes that the payload contains as it is stored, at most 1,024. You cannot search in an encrypted or compressed
  /// payload.
  public var payloadContains: [UInt8]?
  /// Entries that the job's metadata has, with these texts; at most 1,024 bytes each. A job with more entries matches, too.
  public var metadata: [String: String]?

  /// Creates a filter. Without arguments it matches all jobs.
  public init(
    ids: [Int64]? = nil, kinds: [Kind]? = nil, states: Set<JobState>? = nil, uniqueKeyPrefix: String? = nil,
    priority: ClosedRange<Int>? = nil, enqueuedAt: Range<Timestamp>? = nil, dueAt: Range<Timestamp>? = nil,
    payloadContains: [UInt8]? = nil, metadata: [String: String]? = nil, concurrencyKey: String? = nil,
    group: String? = nil
  ) {
    self.ids = ids
    self.kinds = kinds
    self.states = states
    self.uniqueKeyPrefix = uniqueKeyPrefix
    self.priority = priority
    self.enqueuedAt = enqueuedAt
    self.dueAt = dueAt
    self.payloadContains = payloadContains
    self.metadata = metadata
    self.concurrencyKey = concurrencyKey
    self.group = group
  }
}

// A new condition that looks into jobs also goes into `looksIntoJobs` and `looksRight(_:)`, into the SQL of both drivers
// (`JobConditions` and `conditions(_:)` in `Find.swift`), and into `JobFilterOptions` of the command: see CONTRIBUTING.
extension JobFilter {
  /// The most bytes of ``payloadContains``.
  package static let mostPayloadBytes = 1024
  /// The most bytes of an entry of ``metadata``.
  package static let mostMetadataBytes = 1024

  /// Whether the filter looks at more than ids, kinds and states. Drivers ignore a condition that is missing here.
  package var looksIntoJobs: Bool {
    uniqueKeyPrefix != nil || concurrencyKey != nil || group != nil || priority != nil || enqueuedAt != nil
      || dueAt != nil || payloadContains != nil || looksIntoMetadata
  }

  /// Whether the filter looks at the metadata.
  package var looksIntoMetadata: Bool { metadata?.isEmpty == false }

  /// The bytes of each entry as the database stores them. Metadata that has the entries contains them all. The reverse
  /// need not hold: a text may look like an entry.
  package var metadataBytes: [[UInt8]] {
    (metadata ?? [:]).sorted { $0.key < $1.key }.map { name, text in
      Array((JobMetadata(dictionaryLiteral: (name, text))).bytes.dropFirst())
    }
  }

  /// The stored priorities that fit, negated, or nil for all.
  package var ranks: ClosedRange<Int64>? {
    guard let priority else { return nil }
    // No job has this one.
    guard priority.overlaps(Limits.priorities) else { return .max...(.max) }
    let stored = priority.clamped(to: Limits.priorities)
    return -Int64(stored.upperBound)...(-Int64(stored.lowerBound))
  }

  /// - Throws: ``QudoError/Code/invalidArgument`` for a key or bytes beyond their limits.
  package func check() throws(QudoError) {
    if let uniqueKeyPrefix, !uniqueKeyPrefix.isEmpty {
      try Limits.check("beginning of the unique key", uniqueKeyPrefix, atMost: Limits.uniqueKeyBytes)
    }
    if let concurrencyKey {
      try Limits.check("concurrency key", concurrencyKey, atMost: Limits.concurrencyKeyBytes)
    }
    if let group { try Limits.check("group", group, atMost: Limits.groupBytes) }
    if let bytes = payloadContains?.count, bytes > Self.mostPayloadBytes {
      throw QudoError(
        .invalidArgument,
        "\(bytes) bytes are to be found in payloads, the limit is \(Self.mostPayloadBytes): give a part of them"
      )
    }
    for (name, text) in metadata ?? [:] {
      let bytes = name.utf8.count + text.utf8.count
      guard bytes > Self.mostMetadataBytes else { continue }
      throw QudoError(
        .invalidArgument,
        "an entry of the metadata to be found has \(bytes) bytes, the limit is \(Self.mostMetadataBytes): look for a shorter one"
      )
    }
  }

  /// Whether a job's metadata has the entries of ``metadata``.
  package func fits(_ stored: JobMetadata) -> Bool {
    (metadata ?? [:]).allSatisfy { name, text in stored[name].map { $0.utf8.elementsEqual(text.utf8) } == true
    }
  }

  /// Whether a job meets the conditions other than ids, kinds and states.
  package func looksRight(_ job: StoredJob) -> Bool {
    if let uniqueKeyPrefix, job.uniqueKey?.utf8.starts(with: uniqueKeyPrefix.utf8) != true { return false }
    if let concurrencyKey, job.concurrencyKey?.utf8.elementsEqual(concurrencyKey.utf8) != true {
      return false
    }
    if let group, job.group?.utf8.elementsEqual(group.utf8) != true { return false }
    if let priority, !priority.contains(job.priority) { return false }
    if let enqueuedAt, !enqueuedAt.contains(job.enqueuedAt) { return false }
    if let dueAt, !dueAt.contains(job.dueAt) { return false }
    guard fits(job.metadata) else { return false }
    guard let payloadContains, !payloadContains.isEmpty else { return true }
    return job.payload.bytes.indices.contains { job.payload.bytes[$0...].starts(with: payloadContains) }
  }
}

extension JobQuery {
  /// Returns the query with this limit on the bytes of each payload: see ``payloadPrefix``.
  package func withPayloads(upTo bytes: Int) -> JobQuery {
    var query = self
    query.payloadPrefix = max(bytes, 0)
    return query
  }

  /// Collects a page of elements that the database preselects and `fitting` checks.
  ///
  /// - Parameters:
  ///   - page: Returns a page of such elements, in the order of their ids.
  ///   - id: Returns the id of an element.
  ///   - fitting: Returns those of the elements that fit, in the same order.
  package func collect<Element>(
    _ page: (JobQuery) throws(QudoError) -> [Element], id: (Element) -> Int64,
    fitting: ([Element]) throws(QudoError) -> [Element]
  ) throws(QudoError) -> [Element] {
    var (found, query): ([Element], JobQuery) = ([], self)
    guard limit > 0 else { return [] }
    while true {
      let rough = try page(query)
      found += try fitting(rough)
      guard rough.count >= query.limit, found.count < limit, let last = rough.last else {
        return Array(found.prefix(limit))
      }
      query.after = id(last)
    }
  }
}

/// A query for live jobs. It lists the jobs that meet all of its conditions, in the order of their ids.
public struct JobQuery: Sendable {
  /// The jobs to list. Each page shows its own point in time: a job that changes its state between two pages may be on both or on
  /// neither.
  public var filter: JobFilter
  /// Lists ids above this one. For the next page, give the last id of this one. Default: 0.
  public var after: Int64 = 0
  /// The maximum number of jobs. Default: 100.
  public var limit = 100
  /// The maximum number of bytes to list of each payload, for lists that show only the beginnings; nil for all. Default: nil.
  package var payloadPrefix: Int?

  /// Creates a query for a page of the jobs that fit a filter: the first 100, unless given otherwise.
  public init(_ filter: JobFilter, after: Int64 = 0, limit: Int = 100) {
    self.filter = filter
    self.after = after
    self.limit = limit
  }

  /// Creates a query for the first 100 jobs, unless given otherwise.
  public init(
    ids: [Int64]? = nil, kinds: [Kind]? = nil, states: Set<JobState>? = nil, after: Int64 = 0,
    limit: Int = 100
  ) {
    self.init(JobFilter(ids: ids, kinds: kinds, states: states), after: after, limit: limit)
  }

  /// The ids to list, or nil for all.
  public var ids: [Int64]? {
    get { filter.ids }
    set { filter.ids = newValue }
  }

  /// The kinds to list, or nil for all.
  public var kinds: [Kind]? {
    get { filter.kinds }
    set { filter.kinds = newValue }
  }

  /// The states to list, or nil for all.
  public var states: Set<JobState>? {
    get { filter.states }
    set { filter.states = newValue }
  }
}
