internal import CSQLite
internal import Logging
public import Qudo

extension SQLiteDriver {
  /// Prepares a connection of the application's own for a file that a queue is in: its automatic checkpoints take turns with Qudo's
  /// commits from now on.
  ///
  /// Call it on each of the application's connections, before their first write:
  ///
  ///     var configuration = Configuration()
  ///     configuration.prepareDatabase { db in
  ///       try SQLiteDriver.prepareConnection(db.sqliteConnection)
  ///     }
  ///
  /// SQLite 3.7.0 to 3.51.2, but for 3.44.6 and 3.50.7, may damage a file if one connection makes a checkpoint while another one
  /// commits: see <doc:WALReset>. By default each connection makes one after some commits. This call replaces them: after a commit
  /// that leaves the WAL with 2,000 pages or more, Qudo makes the checkpoint, under the lock that its own commits take. If another
  /// process holds that lock, the next commit tries again.
  ///
  /// It uses `sqlite3_wal_hook`, so an application that sets such a hook, or `PRAGMA wal_autocheckpoint`, must not do so afterwards. With
  /// a SQLite that has the fix it does nothing. It leaves the checkpoints that the application itself asks for: do not ask for any.
  ///
  /// - Parameter connection: a `sqlite3 *` of the SQLite library that Qudo is linked with.
  /// - Throws: `QudoError.Code.invalidArgument` for nil.
  public static func prepareConnection(_ connection: OpaquePointer?) throws(QudoError) {
    try prepareConnection(connection, hasBug: WALResetBug.isInLibrary)
  }

  static func prepareConnection(_ connection: OpaquePointer?, hasBug: Bool) throws(QudoError) {
    guard let connection else { throw QudoError(.invalidArgument, "the application's connection is closed: prepare an open one") }
    guard hasBug else { return }
    AppCheckpoint.start(connection)
  }
}

/// The checkpoints of the application's connections.
enum AppCheckpoint {
  private static let interval: Int32 = 2000
  /// By the connection's address, how many pages the WAL has when the next one is due. The address may be that of another connection
  /// later, which begins anew.
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
        if let handle, let name, String(cString: name) == "main" { AppCheckpoint.afterCommit(handle, pages: pages) }
        return SQLITE_OK
      }, nil)
  }

  private static func afterCommit(_ handle: OpaquePointer, pages: Int32) {
    let address = UInt(bitPattern: handle)
    guard pages >= interval, pages >= dueAt.withLock({ $0[address] ?? interval }) else { return }
    guard let path = sqlite3_db_filename(handle, "main").map({ String(cString: $0) }), !path.isEmpty else { return }
    // What fails here is done after another commit. The commit itself has been done.
    guard let writeLock = try? WriteLock(path: path), writeLock.takeIfFree() else { return }
    defer { writeLock.giveBack() }
    let isDone = (try? run(path)) ?? false
    // Somebody reads an old snapshot: it is not tried again after each commit.
    dueAt.withLock { $0[address] = isDone ? nil : pages &+ interval }
  }

  /// On a connection of Qudo's own: on the application's it would wait as long as the busy handler there does.
  private static func run(_ path: String) throws(QudoError) -> Bool {
    let connection = try Connection(path: path, create: false)
    try connection.run("PRAGMA wal_autocheckpoint = 0")
    try connection.run("PRAGMA fullfsync = 1")
    // Until something is read it has no WAL open.
    _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
    var frames: Int32 = -1
    return ExclusiveCheckpoint.run(connection, frames: &frames) == nil
  }
}

/// The application's connections that a driver has joined, so far as their checkpoints matter.
final class AppConnections: Sendable {
  private struct State {
    var seen: Set<UInt> = []
    var hasWarned = false
  }

  private let state = Locked(State())
  private let logger: Logger
  private let hasBug: Bool
  /// More connections than one application has at once; after so many it begins anew.
  private static let mostSeen = 1000

  init(_ logger: Logger, hasBug: Bool = WALResetBug.isInLibrary) {
    self.logger = logger
    self.hasBug = hasBug
  }

  /// Warns, once, of a connection that makes checkpoints by itself. Each connection is asked once.
  func check(_ connection: Connection) {
    guard hasBug else { return }
    let address = UInt(bitPattern: connection.handle)
    let isNew = state.withLock { state in
      if state.hasWarned { return false }
      if state.seen.count >= Self.mostSeen { state.seen = [] }
      return state.seen.insert(address).inserted
    }
    guard isNew, let pages = try? connection.integer("PRAGMA wal_autocheckpoint"), pages > 0 else { return }
    let isFirst = state.withLock { state in
      defer { state.hasWarned = true }
      return !state.hasWarned
    }
    guard isFirst else { return }
    logger.warning(
      """
      a connection of the application makes checkpoints beside Qudo's commits, by which this version of SQLite may damage the file: call \
      SQLiteDriver.prepareConnection on each of the application's connections
      """, metadata: ["path": "\(connection.path)", "sqlite": "\(SQLiteDriver.libraryVersion)"])
  }
}
