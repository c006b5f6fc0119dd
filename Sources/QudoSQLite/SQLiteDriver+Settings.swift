internal import CSQLite
package import Qudo

extension SQLiteDriver {
  /// The version of the linked SQLite library, such as `3.45.1`.
  public static var libraryVersion: String { String(cString: sqlite3_libversion()) }

  /// Returns the database name that a new file at `path` gets: the file's name without its extensions.
  package static func defaultName(forPath path: String) -> String { DatabaseOpener.stem(path) }

  /// Returns the page size of the file, in bytes. Files that Qudo creates use 2,048.
  package func pageSize() async throws(QudoError) -> Int {
    try await reader.read { snapshot throws(QudoError) in
      Int(try snapshot.connection.integer("PRAGMA page_size") ?? 0)
    }
  }
}
