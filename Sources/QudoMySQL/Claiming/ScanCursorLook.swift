#if MySQL
internal import Qudo

/// A look below the bounds takes no round trip of its own: it is sent along with the claim's reads.
extension ScanCursors.Look {
  /// Returns statements that read without locks, which would take three times as long. They do not see
  /// uncommitted rows, which the claim could not take either.
  static func statements(_ view: ScanCursors.View, _ kinds: [ClaimableKind]) -> [SQL] {
    let arms = kinds.compactMap { kind in
      view.below(kind.number).map { below -> SQL in
        """
        (SELECT kind, ranking, due, id FROM qudo_ready WHERE kind = \(kind.number) AND \(below) ORDER BY ranking, due, id LIMIT 1)
        """
      }
    }
    // Take the time before and after, which these statements do not share: the time on the network does not
    // count.
    return ["SET @look = SYSDATE(6)"] + (arms.isEmpty ? [] : [arms.joined(" UNION ALL ")]) + [
      "SELECT \(view.timesBelow), TIMESTAMPDIFF(MICROSECOND, @look, SYSDATE(6))"
    ]
  }

  /// - Parameter rest: The remaining results, from which those of ``statements(_:_:)`` are removed.
  init(_ rest: inout ArraySlice<Rows>, _ view: ScanCursors.View, hasReady: Bool) throws(QudoError) {
    guard rest.count >= (hasReady ? 2 : 1) else {
      throw QudoError(.database, "a look below the scan cursors returned no result set")
    }
    if hasReady, let rows = rest.popFirst() {
      try rows.forEach { row throws(QudoError) in
        ready[row.integer(0)] = ScanCursors.Key(
          ranking: row.integer(1), due: row.integer(2), id: row.integer(3))
      }
    }
    guard let row = rest.popFirst()?.next() else {
      throw QudoError(.database, "a look below the scan cursors returned no row")
    }
    (due, ends, walk) = (
      NextTimes.time(row, 0), NextTimes.time(row, 1), .microseconds(max(0, row.integer(2)))
    )
  }
}
#endif
