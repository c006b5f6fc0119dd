public import Qudo

/// The file sizes before and after a compaction.
public struct Compaction: Hashable, Sendable {
  /// The size of the database file before the compaction, in bytes, without its WAL.
  public let before: Int
  /// The size of the database file after the compaction, in bytes, without its WAL.
  public let after: Int
}

extension SQLiteDriver {
  /// Rebuilds the file without its free pages, and truncates the WAL.
  ///
  /// A file keeps the space of deleted jobs and reuses it for new ones; a compaction returns it to the disk. It needs
  /// free disk space of up to twice the file's size. All writers wait until it is done.
  ///
  /// It refuses files with other tables than Qudo's: "The VACUUM command may change the ROWIDs for entries in any
  /// tables that do not have an explicit INTEGER PRIMARY KEY".
  ///
  /// - Throws: `QudoError`: `unsupportedDatabase` if the file has foreign tables; `diskFull`, and then the file is
  ///   unchanged; `busy` if another process holds the file.
  public func compact() async throws(QudoError) -> Compaction { try await writer.compact() }
}

extension Connection {
  func hasForeignTables() throws(QudoError) -> Bool {
    try integer(
      #"SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'qudo\_%' ESCAPE '\' AND tbl_name NOT LIKE 'sqlite\_%' ESCAPE '\'"#
    ) != 0
  }

  /// Returns the size of the database without its WAL, in bytes.
  func bytes() throws(QudoError) -> Int {
    Int((try integer("PRAGMA page_count") ?? 0) * (try integer("PRAGMA page_size") ?? 0))
  }
}
