#if MySQL
internal import Qudo

/// Rows of the ready, for deleting them.
///
/// Each is a point of its own, since each has a due time of its own: a thousand points cost as much to read and plan as their rows do. Most
/// claims get jobs that were enqueued one after the other, with ids that follow each other in the order of the due times: between the
/// first and the last of these there is nobody else's row, so that they are one range.
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

  /// Less is cheaper as points.
  private static let leastRange = 4
  private var runs: [Run] = []
  /// The last one of each kind.
  private var open: [Int64: Int] = [:]
  /// The one that the last job went to.
  private var last: Int?

  /// - Parameter job: behind those of its kind that were added before.
  mutating func add(_ job: Candidate) {
    if last.map({ runs[$0].kind != job.kind }) ?? true { last = open[job.kind] }
    if let last, runs[last].goesOn(with: job) {
      runs[last].dues.append(job.due)
    } else {
      (open[job.kind], last) = (runs.count, runs.count)
      runs.append(Run(job))
    }
  }

  /// - Parameter asPoints: no ranges. A job that came back, is as old as these and is locked by somebody else may stand between them, and
  ///   a range waits for it.
  func conditions(asPoints: Bool) -> [(condition: SQL, count: Int)] {
    var points = PointPredicate()
    for run in runs {
      var rest = run.dues[...]
      if !asPoints, let first = rest.first, let last = rest.last, first < last, rest.count >= Self.leastRange
      {
        // What is due at the last moment stands alone, for a range reads one row more than it has.
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
