public import Qudo

/// Options for reading a Perl Qudo file.
public struct ImportOptions: Sendable {
  /// The codec of the job arguments: raw bytes (the default), JSON or MessagePack.
  ///
  /// The bytes are imported unchanged. A NULL argument becomes an empty payload of raw bytes.
  public var codec = CodecID.raw
  /// The name under which the new file records the old database. Default: its absolute path, symbolic links resolved.
  public var source: String?
  /// Whether grabbed jobs are ready immediately. Default: false; they wait until the grab expires.
  public var ignoresGrabs = false
  /// The size limits of a job; a row that exceeds them cannot be imported.
  public var limits = Limits()

  /// Creates options. By default, the file has raw bytes, and its grabs are respected.
  public init(
    codec: CodecID = .raw, source: String? = nil, ignoresGrabs: Bool = false, limits: Limits = Limits()
  ) {
    self.codec = codec
    self.source = source
    self.ignoresGrabs = ignoresGrabs
    self.limits = limits
  }
}

/// The result of an import, row by row.
public struct ImportReport: Sendable {
  /// A table of the old file.
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

  /// The result for one row.
  public enum Outcome: Hashable, Sendable {
    /// The import wrote the row. Its new id is that of a job, a failure, a status or a kind, depending on the table.
    case imported(Int64)
    /// An import would write the row. Only a plan reports this outcome.
    case importable
    /// An earlier import wrote the row with this id.
    case alreadyImported(Int64)
    /// The unfinished job with this id has the same unique key. A later import may succeed.
    case conflict(Int64)
  }

  /// One row of an old file.
  public struct Row: Hashable, Sendable {
    /// The old table that contains the row.
    public let table: Table
    /// The row's id in the old file.
    public let old: Int64
    /// The kind that the row defines or belongs to.
    public let kind: Kind
    /// The result for this row.
    public let outcome: Outcome

    /// The row's id in the new file, or nil if no import has written it.
    public var new: Int64? {
      switch outcome {
      case .imported(let id), .alreadyImported(let id): id
      case .importable, .conflict: nil
      }
    }
  }

  /// The name under which the new file records the old database.
  public let source: String
  /// The rows: first kinds, then jobs, failures and statuses, each ordered by old id.
  public let rows: [Row]
}
