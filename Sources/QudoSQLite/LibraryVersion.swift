internal import CSQLite

extension SQLiteDriver {
  /// The version of the SQLite library in use, such as `3.45.1`.
  public static var libraryVersion: String { String(cString: sqlite3_libversion()) }
}
