internal import CSQLite

/// The bug in SQLite's WAL mode that may damage a file if a checkpoint runs during a commit:
/// sqlite.org/wal.html#walresetbug.
enum WALResetBug {
  /// Whether the linked SQLite library has the bug.
  static let isInLibrary = isIn(sqlite3_libversion_number())

  /// Returns whether a version has the bug: "present in SQLite versions 3.7.0 through 3.51.2", and fixed from 3.51.3,
  /// 3.50.7 and 3.44.6 on in their branches.
  ///
  /// - Parameter version: The version as an integer: 3,040,001 for 3.40.1.
  static func isIn(_ version: Int32) -> Bool {
    switch version {
    case ..<3_007_000, 3_044_006..<3_045_000, 3_050_007..<3_051_000, 3_051_003...: false
    default: true
    }
  }
}
