extension QudoError {
  /// Whether a database that says so is of no use for the time being.
  var setsAside: Bool {
    switch code {
    case .unreachable, .accessDenied, .cannotOpen, .notADatabase, .corrupt, .newerSchema, .foreignSchema, .unsupportedDatabase, .readOnly,
      .diskFull, .busy, .ioError, .outcomeUnknown, .closed, .databaseReplaced:
      true
    // Of the call, the task or this process. Another error of the database may be one that this job causes everywhere.
    default: false
    }
  }

  /// Whether the database is away and may be back soon: it restarts, or another server takes its place.
  var isOutage: Bool { code == .unreachable || code == .outcomeUnknown }

  /// Whether an enqueue that got it may go on to another database: nothing was written, and the fault is not the job's.
  var allowsFailover: Bool {
    switch code {
    case .outcomeUnknown: false
    case .database, .outOfMemory, .tooManyFiles: true
    default: setsAside
    }
  }
}

/// Why none of a queue's databases can be used: the ``QudoError/cause`` of an error with the code
/// ``QudoError/Code/unreachable``. Nothing was written, unless the code is ``QudoError/Code/outcomeUnknown``.
public struct AllDatabasesUnavailable: Error, CustomStringConvertible {
  /// One database and what it is set aside for.
  public struct Failure: Sendable {
    /// The database's name.
    public let database: String
    /// What it said, or that it did not answer.
    public let error: QudoError
  }
  /// All of them, in the order in which they were asked.
  public let failures: [Failure]

  public var description: String { failures.map { "\($0.database): \($0.error)" }.joined(separator: "; ") }

  var error: QudoError { QudoError(.unreachable, "none of the databases can be used", cause: self) }
}
