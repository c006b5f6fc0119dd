internal import CSQLite
package import Qudo

extension SQLiteDriver {
  /// The version of the SQLite library in use, such as `3.45.1`.
  public static var libraryVersion: String { String(cString: sqlite3_libversion()) }

  /// The name that a new file at this path gets: the file's, without its endings.
  package static func defaultName(forPath path: String) -> String { DatabaseOpener.stem(path) }

  /// The size of the file's pages in bytes: 2,048 in a file that Qudo made.
  package func pageSize() async throws(QudoError) -> Int {
    try await reader.read { snapshot throws(QudoError) in Int(try snapshot.connection.integer("PRAGMA page_size") ?? 0) }
  }
}
