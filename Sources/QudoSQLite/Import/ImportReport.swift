public import Qudo

/// How a file of the Perl job queue is read.
public struct ImportOptions: Sendable {
  /// What the arguments were written with: raw bytes (the default), JSON or MessagePack. The bytes stay as they are. An
  /// argument that is NULL becomes an empty payload of raw bytes.
  public var codec = CodecID.raw
  /// What the old database is remembered as in the new file. Default: its path, absolute and with symbolic links followed.
  public var source: String?
  /// Whether jobs that somebody has grabbed are ready at once. Default: no, they wait until their grab ends.
  public var ignoresGrabs = false
  /// What is refused.
  public var limits = Limits()

  /// Each with its default.
  public init(codec: CodecID = .raw, source: String? = nil, ignoresGrabs: Bool = false, limits: Limits = Limits()) {
    self.codec = codec
    self.source = source
    self.ignoresGrabs = ignoresGrabs
    self.limits = limits
  }
}

/// What became of each row of an old file.
public struct ImportReport: Sendable {
  /// The old tables.
  public enum Table: String, Sendable, CaseIterable {
    /// The kinds.
    case `func`
    /// The jobs.
    case job
    /// The failure log.
    case exceptionLog = "exception_log"
    /// The status log.
    case jobStatus = "job_status"
  }

  /// What became of one row.
  public enum Outcome: Hashable, Sendable {
    /// It has this id now: of a job, of a row of the failure log or of the status log; of a kind the number.
    case imported(Int64)
    /// An import would write it. Only where nothing is written.
    case importable
    /// An earlier import gave it this id.
    case alreadyImported(Int64)
    /// The job with this id has the unique key and is not finished. A later import may succeed.
    case conflict(Int64)
  }

  /// One row of an old file.
  public struct Row: Hashable, Sendable {
    /// Where it stood.
    public let table: Table
    /// The row's id in the old file.
    public let old: Int64
    /// The kind that it is, or whose it is.
    public let kind: Kind
    /// What became of it.
    public let outcome: Outcome

    /// The id in the new file.
    public var new: Int64? {
      switch outcome {
      case .imported(let id), .alreadyImported(let id): id
      case .importable, .conflict: nil
      }
    }
  }

  /// What the old database is remembered as.
  public let source: String
  /// Kinds, jobs, failures, statuses, each in the order of the old ids.
  public let rows: [Row]
}
