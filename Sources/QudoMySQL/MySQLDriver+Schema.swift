#if MySQL
extension MySQLDriver {
  /// The schema of this version as an SQL script, for reading, or for making the tables by other means where Qudo's own
  /// user may not: run in an empty database, it leaves what the first connection leaves. Every name in it begins with
  /// `qudo_`.
  public static var schemaSQL: String { Schema.script }
}
#endif
