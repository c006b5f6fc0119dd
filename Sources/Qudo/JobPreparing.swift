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

extension Databases {
  /// Calls `body` with the driver of one database, by its place in the list.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/unreachable`` if there is no answer within ``DatabaseOptions/callTimeout``.
  package func call<Value: Sendable>(
    _ index: Int, _ body: @escaping @Sendable (any Driver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    if let only { return try await body(only) }
    let (member, end) = (members[index], end(options.callTimeout))
    _ = try await member.ready(until: end)
    return try await member.call(until: end, body)
  }

  /// Calls `body` with the driver of one database that stores schedules.
  ///
  /// - Throws: ``QudoError``; ``QudoError/Code/invalidArgument`` if no database has the name, or it stores no schedules.
  package func schedules<Value: Sendable>(
    in database: String, _ body: @escaping @Sendable (any ScheduleDriver) async throws(QudoError) -> Value
  ) async throws(QudoError) -> Value {
    try await call(in: database) { driver throws(QudoError) in try await body(try driver.scheduling()) }
  }
}
