/// A statement for another copy of SQLite, or for a library that does not hand out its connection.
public struct SQLStatement: Hashable, Sendable {
  /// One statement, with a `?` for each value.
  public let sql: String
  /// To be bound in this order.
  public let values: [SQLValue]
}

/// What is to be bound to a parameter, in SQLite's own type.
public enum SQLValue: Hashable, Sendable {
  /// An INTEGER.
  case integer(Int64)
  /// A TEXT in UTF-8.
  case text(String)
  /// One without bytes is a blob of no length, not NULL.
  case blob([UInt8])
  /// A NULL.
  case null
}
