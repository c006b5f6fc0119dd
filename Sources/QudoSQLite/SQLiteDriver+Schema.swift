extension SQLiteDriver {
  /// The schema of this version as an SQL script, for reading or for making a file by other means: run on an empty
  /// file, it leaves what opening one leaves. Every name in it begins with `qudo_`.
  public static var schemaSQL: String { Schema.script }
}
