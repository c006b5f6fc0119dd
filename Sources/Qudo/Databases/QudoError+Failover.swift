extension QudoError {
  /// Whether the error makes a database unavailable.
  var setsAside: Bool {
    switch code {
    case .unreachable, .accessDenied, .cannotOpen, .notADatabase, .corrupt, .newerSchema, .foreignSchema,
      .unsupportedDatabase, .readOnly,
      .diskFull, .busy, .ioError, .outcomeUnknown, .closed, .databaseReplaced:
      true
    // These concern the call, the task, this process, or a job that may fail in every database.
    default: false
    }
  }

  /// Whether the database may be back soon, after a restart or a failover.
  var isOutage: Bool { code == .unreachable || code == .outcomeUnknown }

  /// Whether an enqueue may fail over to another database: nothing was written, and the job is not the cause.
  var allowsFailover: Bool {
    switch code {
    case .outcomeUnknown: false
    case .database, .outOfMemory, .tooManyFiles: true
    default: setsAside
    }
  }
}

/// The errors of all databases if none is available: the ``QudoError/cause`` of
/// ``QudoError/Code/unreachable``.
///
/// Nothing was written. If the code is ``QudoError/Code/outcomeUnknown`` instead, that is unknown.
public struct AllDatabasesUnavailable: Error, CustomStringConvertible {
  /// A database and the reason why it is unavailable.
  public struct Failure: Sendable {
    /// The name of the database.
    public let database: String
    /// Its error, or that it did not answer.
    public let error: QudoError
  }
  /// All databases, in the order in which they were tried.
  public let failures: [Failure]

  public var description: String { failures.map { "\($0.database): \($0.error)" }.joined(separator: "; ") }

  var error: QudoError { QudoError(.unreachable, "no database is available: try again later", cause: self) }
}
