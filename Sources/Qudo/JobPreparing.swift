/// A queue without its hooks' type, for products that store jobs to be enqueued later.
package protocol JobPreparing: Sendable {
  /// The databases that hold the jobs.
  var databases: Databases { get }
  /// The codecs that jobs are encoded with.
  var codecs: Codecs { get }

  /// Returns jobs as an enqueue would store them: passed through the hooks' `willEnqueue` and `serialize`.
  ///
  /// - Throws: The error of a hook that refuses a job.
  func prepared(_ jobs: [NewJob]) throws -> [NewJob]
}

extension Queue: JobPreparing {
  package func prepared(_ jobs: [NewJob]) throws -> [NewJob] { try hooks.prepare(jobs) }
}
