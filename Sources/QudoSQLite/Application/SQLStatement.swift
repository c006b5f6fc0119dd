/// A statement for you to run: with another copy of SQLite, or with a library that does not expose its connection.
public struct SQLStatement: Hashable, Sendable {
  /// A single SQL statement, with one `?` for each value.
  public let sql: String
  /// The values, in the order of the parameters.
  public let values: [SQLValue]
}

/// A value to bind to a parameter.
public enum SQLValue: Hashable, Sendable {
  /// A 64-bit INTEGER.
  case integer(Int64)
  /// A TEXT, in UTF-8.
  case text(String)
  /// A BLOB. Bind an empty array as an empty blob, not as NULL.
  case blob([UInt8])
  /// NULL, without a value.
  case null
}
