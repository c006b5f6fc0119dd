public import Qudo

/// What became of a file's size.
public struct Compaction: Hashable, Sendable {
  /// The size of the database file before, in bytes, without its WAL.
  public let before: Int
  /// And after.
  public let after: Int
}

extension SQLiteDriver {
  /// Rebuilds the file without the room that is free in it, and cuts the WAL off.
  ///
  /// A file keeps the room of jobs that are gone for those that come; this gives it back to the disk. It needs as much free
  /// room as the file has, up to twice, and everybody who writes waits until it is done.
  ///
  /// "The VACUUM command may change the ROWIDs for entries in any tables that do not have an explicit INTEGER PRIMARY KEY":
  /// so the file of an application, which has other tables, is refused.
  ///
  /// - Throws: `QudoError`: `unsupportedDatabase` for a file that is not Qudo's alone; `diskFull`, and then nothing has changed;
  ///   `busy` when somebody else holds the file.
  public func compact() async throws(QudoError) -> Compaction { try await writer.compact() }
}

extension Connection {
  func hasForeignTables() throws(QudoError) -> Bool {
    try integer(
      #"SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'qudo\_%' ESCAPE '\' AND tbl_name NOT LIKE 'sqlite\_%' ESCAPE '\'"#
    ) != 0
  }

  /// The size of the database, in bytes.
  func bytes() throws(QudoError) -> Int {
    Int((try integer("PRAGMA page_count") ?? 0) * (try integer("PRAGMA page_size") ?? 0))
  }
}
