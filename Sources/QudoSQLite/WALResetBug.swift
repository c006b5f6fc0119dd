internal import CSQLite

/// The bug of SQLite's WAL mode by which a checkpoint beside a commit may damage a file: sqlite.org/wal.html#walresetbug.
enum WALResetBug {
  /// Whether the library in use has it.
  static let isInLibrary = isIn(sqlite3_libversion_number())

  /// "present in SQLite versions 3.7.0 through 3.51.2", and fixed in 3.51.3, 3.50.7 and 3.44.6 and what follows on their branches.
  ///
  /// - Parameter version: as 3,040,001 for 3.40.1.
  static func isIn(_ version: Int32) -> Bool {
    switch version {
    case ..<3_007_000, 3_044_006..<3_045_000, 3_050_007..<3_051_000, 3_051_003...: false
    default: true
    }
  }
}
