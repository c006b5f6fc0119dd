#if MySQL
extension MySQLDriver {
  /// The SQL script that creates this version's tables in an empty database.
  ///
  /// Run it if Qudo's user may not create tables. The result is the same as after the first connection. All
  /// names begin with `qudo_`.
  public static var schemaSQL: String { Schema.script }
}
#endif
