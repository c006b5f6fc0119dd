internal import Qudo

extension Snapshot {
  /// A delayed job that is due counts as ready, and so does one whose lease has ended: the next claim finds both.
  ///
  /// Of the ready, only those of the kinds asked for are walked through; the delayed and the running, which are not kept
  /// by kind, are so in any case.
  func count(_ kinds: [Kind]?) throws(QudoError) -> [JobCount] {
    var filter = ""
    var values: [Value] = []
    if let numbers = try numbers(of: kinds) {
      guard !numbers.isEmpty else { return [] }
      let list = IntegerList(numbers)
      filter = "WHERE kind IN \(list.sql)"
      values = list.values
    }
    var counts: [JobCount] = []
    let time = Value.integer(now.wall.microseconds)
    let live: [Value] = [.integer(boot), .integer(now.sinceBoot)]
    try connection.each(
      """
      SELECT name, sum(ready), sum(delayed), sum(running) FROM (
        SELECT kind, count(*) AS ready, 0 AS delayed, 0 AS running FROM qudo_ready \(filter) GROUP BY kind
        UNION ALL SELECT kind, sum(due <= ?), sum(due > ?), 0 FROM qudo_delayed \(filter) GROUP BY kind
        UNION ALL SELECT kind, sum(NOT live), 0, sum(live)
          FROM (SELECT kind, boot = ? AND ends > ? AS live FROM qudo_running \(filter)) GROUP BY kind)
      JOIN qudo_kind ON qudo_kind.id = kind GROUP BY kind ORDER BY name
      """, values: values + [time, time] + values + live + values
    ) { row throws(QudoError) in
      counts.append(JobCount(
        Kind(row.text(0)), ready: Int(row.integer(1)), delayed: Int(row.integer(2)), running: Int(row.integer(3))))
    }
    return counts
  }
}
