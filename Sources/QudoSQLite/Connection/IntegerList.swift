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

extension IntegerList {
  /// The maximum number of ids in one statement.
  static let chunk = 512

  /// Returns lists of at most ``chunk`` integers, one after the other.
  static func chunks(_ integers: [Int64]) -> some Sequence<IntegerList> {
    stride(from: 0, to: integers.count, by: chunk).lazy.map {
      IntegerList(Array(integers[$0..<min($0 + chunk, integers.count)]))
    }
  }
}

extension IntegerList? {
  /// The beginning of a condition on the kind, up to its AND; empty for nil.
  var inKinds: String { map { "kind IN \($0.sql) AND" } ?? "" }
}
