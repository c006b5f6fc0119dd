internal import CSQLite
internal import Logging
public import Qudo

extension SQLiteDriver {
  /// Prepares an application's connection to a file that also contains a queue.
  ///
  /// From then on, the connection's automatic checkpoints never run at the same time as Qudo's commits. Call it on each
  /// of the application's connections, before the first write:
  ///
  ///     var configuration = Configuration()
  ///     configuration.prepareDatabase { db in
  ///       try SQLiteDriver.prepareConnection(db.sqliteConnection)
  ///     }
  ///
  /// SQLite 3.7.0 to 3.51.2, except 3.44.6 and 3.50.7, may damage a file if one connection checkpoints while another
  /// one commits: see <doc:WALReset>. By default, every connection checkpoints after some of its commits. This call
  /// replaces that: after a commit that leaves at least 2,000 pages in the WAL, Qudo checkpoints under its own write
  /// lock. If another process holds the lock, the next commit tries again.
  ///
  /// The call uses `sqlite3_wal_hook`. Do not set a WAL hook or `PRAGMA wal_autocheckpoint` on the connection
  /// afterwards, and do not run checkpoints of your own, which Qudo cannot prevent. If the SQLite library has the fix,
  /// the call does nothing.
  ///
  /// - Parameter connection: A `sqlite3 *` of the SQLite library that Qudo links with.
  /// - Throws: `QudoError.Code.invalidArgument` if `connection` is nil.
  public static func prepareConnection(_ connection: OpaquePointer?) throws(QudoError) {
    try prepareConnection(connection, hasBug: WALResetBug.isInLibrary)
  }

  static func prepareConnection(_ connection: OpaquePointer?, hasBug: Bool) throws(QudoError) {
    guard let connection else {
      throw QudoError(.invalidArgument, "the application's connection is closed: prepare an open one")
    }
    guard hasBug else { return }
    AppCheckpoint.start(connection)
  }
}

/// The checkpoints that Qudo runs for the application's connections.
enum AppCheckpoint {
  private static let interval: Int32 = 2000
  /// The WAL size in pages at which the next checkpoint is due, by the connection's address. ``start(_:)`` resets the
  /// entry, because a new connection may reuse the address.
  private static let dueAt = Locked<[UInt: Int32]>([:])

  static func start(_ handle: OpaquePointer) {
    let address = UInt(bitPattern: handle)
    dueAt.withLock { $0[address] = nil }
    // "The callback is invoked by SQLite after the commit has taken place and the associated write-lock on the database released, so the
    // implementation may read, write or checkpoint the database as required." It replaces the automatic checkpoint, which is such a
    // callback as well: "sqlite3_wal_autocheckpoint() ... invoke sqlite3_wal_hook()".
    sqlite3_wal_hook(
      handle,
      { _, handle, name, pages in
        if let handle, let name, String(cString: name) == "main" {
          AppCheckpoint.afterCommit(handle, pages: pages)
        }
        return SQLITE_OK
      }, nil)
  }

  private static func afterCommit(_ handle: OpaquePointer, pages: Int32) {
    let address = UInt(bitPattern: handle)
    guard pages >= interval, pages >= dueAt.withLock({ $0[address] ?? interval }) else { return }
    guard let path = sqlite3_db_filename(handle, "main").map({ String(cString: $0) }), !path.isEmpty else {
      return
    }
    // The commit itself has succeeded. If the checkpoint fails, a later commit tries again.
    guard let writeLock = try? WriteLock(path: path), writeLock.takeIfFree() else { return }
    defer { writeLock.giveBack() }
    let isDone = (try? run(path)) ?? false
    // A long-running read transaction blocks the checkpoint: do not retry after every commit.
    dueAt.withLock { $0[address] = isDone ? nil : pages &+ interval }
  }

  /// Checkpoints on a new connection: on the application's own, its busy handler would make the checkpoint wait.
  private static func run(_ path: String) throws(QudoError) -> Bool {
    let connection = try Connection(path: path, create: false)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    try connection.run("PRAGMA fullfsync = 1")
    // A connection opens the WAL with its first read.
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    var frames: Int32 = -1
    return ExclusiveCheckpoint.run(connection, frames: &frames) == nil
  }
}

/// The application's connections that a driver has joined, checked for settings that put the file at risk.
final class AppConnections: Sendable {
  private struct State {
    var seen: Set<UInt> = []
    var warned: Set<Risk> = []
  }

  private enum Risk {
    /// Automatic checkpoints, with a SQLite that has the bug.
    case checkpoints
    /// Checkpoints, its own or those at its end, that do not wait for the disk. They may copy commits of a driver that are
    /// nowhere else afterwards.
    case noSyncs

    var advice: Logger.Message {
      switch self {
      case .checkpoints:
        """
        automatic checkpoints of an application connection may damage the file with this SQLite: call \
        SQLiteDriver.prepareConnection on each of the application's connections
        """
      case .noSyncs:
        """
        an application connection has PRAGMA synchronous = OFF, so a power failure may damage the file and lose jobs that were \
        acknowledged: set NORMAL or FULL on each of the application's connections
        """
      }
    }
  }

  private let state = Locked(State())
  private let logger: Logger
  private let hasBug: Bool
  /// Whether a power failure must not damage the file.
  private let isSynced: Bool
  /// More connections than an application has at a time; at this number the set is cleared.
  private static let mostSeen = 1000

  /// - Parameter durability: That of the driver.
  init(_ logger: Logger, _ durability: SQLiteDriver.Durability, hasBug: Bool = WALResetBug.isInLibrary) {
    self.logger = logger
    self.hasBug = hasBug
    isSynced = durability != .off
  }

  /// Warns about a connection that puts the file at risk. It checks each connection once and warns once of each risk.
  func check(_ connection: Connection) {
    let address = UInt(bitPattern: connection.handle)
    let isNew = state.withLock { state in
      if state.seen.count >= Self.mostSeen { state.seen = [] }
      return state.seen.insert(address).inserted
    }
    guard isNew else { return }
    // An authorizer of the application may refuse these. Then there is no warning, and the enqueue continues.
    if hasBug, let pages = try? connection.integer("PRAGMA wal_autocheckpoint"), pages > 0 {
      warn(.checkpoints, connection)
    }
    if isSynced, let level = try? connection.integer("PRAGMA synchronous"), level == 0 {
      warn(.noSyncs, connection)
    }
  }

  private func warn(_ risk: Risk, _ connection: Connection) {
    guard state.withLock({ $0.warned.insert(risk).inserted }) else { return }
    logger.warning(
      risk.advice, metadata: ["path": "\(connection.path)", "sqlite": "\(SQLiteDriver.libraryVersion)"])
  }
}
