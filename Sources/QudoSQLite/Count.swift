internal import Qudo

extension Snapshot {
  /// A delayed job that is due counts as ready, and so does one whose lease has ended: the next claim finds both.
  ///
  /// Of the ready, only those of the kinds asked for are walked through. The delayed and the running are not kept by
  /// kind: all are read, and sorted into kinds here, since `GROUP BY` would sort the rows, at five times the cost. The kinds of
  /// the running are looked up with the jobs.
  func count(_ kinds: [Kind]?) throws(QudoError) -> [JobCount] {
    let numbers = try numbers(of: kinds)
    guard numbers?.isEmpty != true else { return [] }
    let list = numbers.map { IntegerList($0) }
    let filter = list.map { "WHERE kind IN \($0.sql)" } ?? ""
    let values = list?.values ?? []
    var tallies: [Int64: Tally] = [:]
    try connection.each("SELECT kind, count(*) + total(last - first) FROM qudo_ready \(filter) GROUP BY kind", values: values) { row throws(QudoError) in
      tallies[row.integer(0), default: Tally()].ready += max(0, min(Int(row.integer(1)), Self.mostReady))
    }
    let time = Value.integer(now.wall.microseconds)
    try connection.each("SELECT kind, due > ? FROM qudo_delayed \(filter)", values: [time] + values) { row throws(QudoError) in
      tallies[row.integer(0), default: Tally()].add(row.integer(1) != 0, \.delayed)
    }
    for range in try running() {
      try connection.each(
        "SELECT kind FROM qudo_job WHERE id BETWEEN ? AND ?", values: [.integer(range.ids.lowerBound), .integer(range.ids.upperBound)]
      ) { row throws(QudoError) in
        let kind = row.integer(0)
        if numbers?.contains(kind) != false { tallies[kind, default: Tally()].add(range.isLive, \.running) }
      }
    }
    return try named(tallies)
  }

  /// Of a kind in a file that was changed by others; no file has room for so many jobs.
  private static let mostReady = 1 << 48

  private struct Tally {
    var ready = 0
    var delayed = 0
    var running = 0

    mutating func add(_ isSo: Bool, _ state: WritableKeyPath<Tally, Int>) {
      if isSo { self[keyPath: state] += 1 } else { ready += 1 }
    }
  }

  private func named(_ tallies: [Int64: Tally]) throws(QudoError) -> [JobCount] {
    var counts: [JobCount] = []
    for (number, tally) in tallies {
      try connection.each("SELECT name FROM qudo_kind WHERE id = ?", .integer(number)) { row throws(QudoError) in
        counts.append(JobCount(Kind(row.text(0)), ready: tally.ready, delayed: tally.delayed, running: tally.running))
      }
    }
    return counts.sorted { $0.kind < $1.kind }
  }
}
