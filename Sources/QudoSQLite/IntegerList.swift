internal import Qudo

/// A list of integers as `(?, ?, ...)`.
///
/// Its length is rounded up to a power of two, and the last value repeated, so that there are only a few different
/// statements to keep.
struct IntegerList {
  let sql: String
  let values: [Value]

  /// - Parameter integers: not empty.
  init(_ integers: [Int64]) {
    var length = 1
    while length < integers.count { length *= 2 }
    sql = "(" + Array(repeating: "?", count: length).joined(separator: ", ") + ")"
    values = (0..<length).map { .integer(integers[min($0, integers.count - 1)]) }
  }
}

extension Snapshot {
  /// The maximum number of ids in one statement.
  static let chunk = 512
  /// "SQLITE_MAX_VARIABLE_NUMBER, which defaults to ... 32766 for SQLite versions after 3.32.0": sqlite.org/limits.html.
  private static let mostKinds = 16_384

  /// Returns the distinct ids of the kinds that the file knows, sorted; nil for nil.
  func numbers(of kinds: [Kind]?) throws(QudoError) -> [Int64]? {
    guard let kinds else { return nil }
    var numbers: Set<Int64> = []
    for kind in kinds {
      if let number = try connection.kindID(kind) { numbers.insert(number) }
    }
    guard numbers.count <= Self.mostKinds else {
      throw QudoError(
        .invalidArgument, "more than \(Self.mostKinds) kinds in one listing: ask for all, or for fewer")
    }
    return numbers.sorted()
  }
}
