extension SQLiteDriver {
  /// The schema of this version, as an SQL script.
  ///
  /// Read it, or use it to create a file by other means. Run on an empty file, it gives the same tables as opening
  /// that file with Qudo. Every name in it begins with `qudo_`.
  public static var schemaSQL: String { Schema.script }
}
