internal import Qudo

/// A read transaction, the context of every listing.
struct Snapshot: TableAccess {
  let connection: Connection
  let now: ClockReading
  let locks: KernelLocks
}

extension Snapshot {
  /// "SQLITE_MAX_VARIABLE_NUMBER, which defaults to ... 32766 for SQLite versions after 3.32.0": sqlite.org/limits.html.
  private static let mostKinds = 16_384

  /// Returns the distinct ids of the kinds that the file knows, sorted; nil for nil.
  func numbers(of kinds: [Kind]?) throws(QudoError) -> [Int64]? {
    guard let kinds else { return nil }
    var numbers: Set<Int64> = []
    for kind in kinds {
      if let number = try kindTable.id(of: kind) { numbers.insert(number) }
    }
    guard numbers.count <= Self.mostKinds else {
      throw QudoError(
        .invalidArgument, "more than \(Self.mostKinds) kinds in one listing: ask for all, or for fewer")
    }
    return numbers.sorted()
  }
}
