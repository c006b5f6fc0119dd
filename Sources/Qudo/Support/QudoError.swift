/// The error that Qudo throws.
///
/// The message says what failed and what to do. Compare ``code``; do not parse the message.
public struct QudoError: Error, Sendable, CustomStringConvertible {
  /// The kind of failure. New codes may be added: always handle an unknown one.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    enum Value: String, Sendable {
      case invalidArgument, cannotOpen, notADatabase, corrupt, newerSchema, foreignSchema, unsupportedDatabase
      case readOnly, diskFull, busy, ioError, outcomeUnknown, outOfMemory, closed, cancelled, leaseLost,
        plugin, database
      case unreachable, accessDenied, tooManyFiles, databaseReplaced, queueFull, slotsStuck
    }
    let value: Value
    public var description: String { value.rawValue }

    /// Qudo refuses a kind, key, payload, time or setting. Nothing was written.
    public static let invalidArgument = Code(value: .invalidArgument)
    /// The file or its folder cannot be opened.
    public static let cannotOpen = Code(value: .cannotOpen)
    /// The file is not a SQLite database.
    public static let notADatabase = Code(value: .notADatabase)
    /// The file is damaged.
    public static let corrupt = Code(value: .corrupt)
    /// The file was written by a newer Qudo and cannot be used by this one.
    public static let newerSchema = Code(value: .newerSchema)
    /// The file has `qudo_` tables or indexes that are not Qudo's.
    public static let foreignSchema = Code(value: .foreignSchema)
    /// Qudo cannot use the file: its journal mode, its location or the SQLite version is not supported, it is
    /// not a regular file, or it is a file or link that another user may have planted. Or an import found
    /// data that it cannot convert.
    public static let unsupportedDatabase = Code(value: .unsupportedDatabase)
    /// The file or its folder cannot be written to.
    public static let readOnly = Code(value: .readOnly)
    /// There is no space left. Nothing was written; the call works again when there is space.
    public static let diskFull = Code(value: .diskFull)
    /// The kind has its maximum number of waiting jobs: see ``MaxWaiting``. Nothing was written; the call works again when
    /// fewer jobs wait.
    public static let queueFull = Code(value: .queueFull)
    /// Other processes held the database until the timeout, or a long-running read transaction keeps the WAL at
    /// its size limit. Nothing was written.
    public static let busy = Code(value: .busy)
    /// The disk reported an error. Nothing was written.
    public static let ioError = Code(value: .ioError)
    /// It is unknown whether the write happened. Check the database before you repeat the call.
    public static let outcomeUnknown = Code(value: .outcomeUnknown)
    /// The process is out of memory.
    public static let outOfMemory = Code(value: .outOfMemory)
    /// The process or the system is out of file descriptors. Nothing was written; the call works again when
    /// some are closed.
    public static let tooManyFiles = Code(value: .tooManyFiles)
    /// The file was replaced, removed, or restored from a backup while it was open, or a server's tables were replaced.
    /// Nothing was written.
    /// Every later call fails too: close the queue and open it again.
    public static let databaseReplaced = Code(value: .databaseReplaced)
    /// The driver was closed.
    public static let closed = Code(value: .closed)
    /// The calling task was cancelled before the operation began.
    public static let cancelled = Code(value: .cancelled)
    /// The lease no longer holds: another claim has the job, or it is gone. Nothing was written.
    public static let leaseLost = Code(value: .leaseLost)
    /// Runs that ignore their cancellation hold as many of the worker's slots as ``WorkerOptions/maxStuckSlots`` allows. The worker
    /// has ended; end the process, so that a supervisor starts another one.
    public static let slotsStuck = Code(value: .slotsStuck)
    /// A plugin failed to start; ``QudoError/cause`` has its error. The worker claimed no job.
    public static let plugin = Code(value: .plugin)
    /// The server cannot be reached, or the connection was lost or timed out. Nothing was written.
    ///
    /// With several databases: all of them are unavailable, and ``QudoError/cause`` is
    /// ``AllDatabasesUnavailable``.
    public static let unreachable = Code(value: .unreachable)
    /// The server refuses the user, or the user lacks a privilege.
    public static let accessDenied = Code(value: .accessDenied)
    /// Any other error of the database; ``QudoError/cause`` has the details.
    public static let database = Code(value: .database)
  }

  /// The kind of failure, for code to compare.
  public let code: Code
  /// The message for people: what failed and what to do.
  public let message: String
  /// The underlying error, for example SQLite's message and extended code.
  public let cause: (any Error)?

  /// Creates an error; for drivers.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  public var description: String {
    guard let cause else { return message }
    return "\(message) (\(cause))"
  }
}
