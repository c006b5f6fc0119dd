#if MySQL
internal import Qudo

/// Rows of `qudo_ready` to delete.
///
/// Each row is a separate point, because each has its own due time; a thousand points cost as much to read
/// and plan as their rows do. Most claims get jobs that were enqueued one after the other, with consecutive
/// ids in the order of their due times. No other job's row lies between the first and the last of them, so
/// they form one range.
struct ReadyRows {
  private struct Run {
    let kind: Int64
    let ranking: Int64
    var dues: [Int64]
    let first: Int64
    var last: Int64 { first + Int64(dues.count - 1) }

    init(_ job: Candidate) { (kind, ranking, dues, first) = (job.kind, job.ranking, [job.due], job.id) }

    func goesOn(with job: Candidate) -> Bool {
      guard job.ranking == ranking, last < .max, job.id == last + 1, let due = dues.last else { return false }
      return job.due >= due
    }
  }

  /// Fewer rows are cheaper as points.
  private static let leastRange = 4
  private var runs: [Run] = []
  /// The position of each kind's last run.
  private var open: [Int64: Int] = [:]
  /// The position of the run that got the last job.
  private var last: Int?

  /// - Parameter job: A job that sorts after the earlier ones of its kind.
  mutating func add(_ job: Candidate) {
    if last.map({ runs[$0].kind != job.kind }) ?? true { last = open[job.kind] }
    if let last, runs[last].goesOn(with: job) {
      runs[last].dues.append(job.due)
    } else {
      (open[job.kind], last) = (runs.count, runs.count)
      runs.append(Run(job))
    }
  }

  /// - Parameter asPoints: Whether to use no ranges. Between these rows there may be a job that became ready
  ///   again, is as old as they are, and is locked by another session: a range would wait for it.
  func conditions(asPoints: Bool) -> [(condition: SQL, count: Int)] {
    var points = PointPredicate()
    for run in runs {
      var rest = run.dues[...]
      if !asPoints, let first = rest.first, let last = rest.last, first < last, rest.count >= Self.leastRange
      {
        // Rows with the last due time are points, because a range reads one row beyond its end.
        points.add(
          range:
            "kind = \(run.kind) AND ranking = \(run.ranking) AND due >= \(first) AND due < \(last) AND id BETWEEN \(run.first) AND \(run.last)",
          count: rest.prefix { $0 < last }.count)
        rest = rest.drop { $0 < last }
      }
      for (index, due) in zip(rest.indices, rest) {
        points.add(
          "kind = \(run.kind) AND ranking = \(run.ranking) AND due = \(due)", run.first + Int64(index))
      }
    }
    return points.counted
  }
}
#endif
