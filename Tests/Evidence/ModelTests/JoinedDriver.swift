import CSQLite
import ForwardingDriver
import Qudo
import QudoSQLite

/// A driver whose inserts are an application's own transactions, on the application's own connection.
final class JoinedDriver: ForwardingDriver, @unchecked Sendable {  // reason: a script uses one connection after the other
  private let inner: SQLiteDriver
  private var handle: OpaquePointer?
  var base: any LogDriver { inner }

  init(_ inner: SQLiteDriver, path: String) throws {
    self.inner = inner
    guard sqlite3_open(path, &handle) == SQLITE_OK else {
      throw QudoError(.cannotOpen, "no connection of the application's")
    }
    sqlite3_exec(handle, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0", nil, nil, nil)
  }

  deinit { sqlite3_close(handle) }

  func insert(_ jobs: [NewJob]) async throws(QudoError) -> [InsertResult] {
    try inner.insert(jobs, in: handle)
  }

  func close() async {
    sqlite3_close(handle)
    handle = nil
    await inner.close()
  }
}
