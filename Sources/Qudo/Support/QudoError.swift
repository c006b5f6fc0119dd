/// The one error that Qudo throws.
///
/// The message says what is wrong and what to do about it. Compare ``code``; do not read the message.
public struct QudoError: Error, Sendable, CustomStringConvertible {
  /// What sort of trouble this is. New codes may come: always keep a default.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    enum Value: String, Sendable {
      case invalidArgument, cannotOpen, notADatabase, corrupt, newerSchema, foreignSchema, unsupportedDatabase
      case readOnly, diskFull, busy, ioError, outcomeUnknown, outOfMemory, closed, cancelled, leaseLost, plugin, database
      case unreachable, accessDenied, tooManyFiles, databaseReplaced
    }
    let value: Value
    public var description: String { value.rawValue }

    /// A kind, key, payload, time or setting that Qudo refuses. Nothing was written.
    public static let invalidArgument = Code(value: .invalidArgument)
    /// The file or its folder cannot be opened.
    public static let cannotOpen = Code(value: .cannotOpen)
    /// The file is not a SQLite database.
    public static let notADatabase = Code(value: .notADatabase)
    /// The file is damaged.
    public static let corrupt = Code(value: .corrupt)
    /// The file was written by a newer Qudo that does not allow this one.
    public static let newerSchema = Code(value: .newerSchema)
    /// The file has `qudo_` tables or indexes that are not Qudo's.
    public static let foreignSchema = Code(value: .foreignSchema)
    /// The file's journal mode, place or SQLite version is not one that Qudo works with, or it is no file, or a link or a file
    /// that somebody else may have put there; or a file that is to be imported has something in it that cannot be.
    public static let unsupportedDatabase = Code(value: .unsupportedDatabase)
    /// The file or its folder cannot be written to.
    public static let readOnly = Code(value: .readOnly)
    /// There is no room. Nothing was written; it works again when there is room.
    public static let diskFull = Code(value: .diskFull)
    /// Another process held the database until the deadline.
    public static let busy = Code(value: .busy)
    /// The disk reported an error. Nothing was written.
    public static let ioError = Code(value: .ioError)
    /// The commit failed in a way that may still be found done after recovery. Ask before repeating.
    public static let outcomeUnknown = Code(value: .outcomeUnknown)
    /// Memory ran out.
    public static let outOfMemory = Code(value: .outOfMemory)
    /// The process, or the system, has as many files open as it may. Nothing was written; it works again when some are closed.
    public static let tooManyFiles = Code(value: .tooManyFiles)
    /// The database is not the one that was opened: its file was replaced, removed, or restored from a backup meanwhile. Nothing was
    /// written. Each later call fails likewise: close the queue and open it again.
    public static let databaseReplaced = Code(value: .databaseReplaced)
    /// The driver was closed.
    public static let closed = Code(value: .closed)
    /// The asking task was cancelled before the operation began.
    public static let cancelled = Code(value: .cancelled)
    /// Another claim has the job, or it is gone. Nothing was written.
    public static let leaseLost = Code(value: .leaseLost)
    /// A plugin of a worker did not start; ``QudoError/cause`` says why. No job was claimed.
    public static let plugin = Code(value: .plugin)
    /// The server cannot be reached, or the connection was lost or not answered in time. Nothing was written.
    ///
    /// Of a queue of several databases: none of them can be used, and ``QudoError/cause`` is ``AllDatabasesUnavailable``.
    public static let unreachable = Code(value: .unreachable)
    /// The server refuses the user, or the user lacks a right.
    public static let accessDenied = Code(value: .accessDenied)
    /// Any other error of the database; ``QudoError/cause`` has the details.
    public static let database = Code(value: .database)
  }

  /// What sort of trouble it is.
  public let code: Code
  /// What is wrong and what to do, for people.
  public let message: String
  /// The error below, for instance SQLite's own message and extended code.
  public let cause: (any Error)?

  /// For drivers.
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
