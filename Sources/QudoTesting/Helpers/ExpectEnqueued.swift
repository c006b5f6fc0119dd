public import Qudo

extension Queue {
  /// Checks that a job is enqueued. If it is not, throws an error that lists the enqueued jobs instead. This
  /// works with every test framework in which a test fails if it throws.
  ///
  ///     try await queue.expectEnqueued(SendMail.self, unique: "ada", due: .after(.seconds(60))) {
  ///       $0.to == "ada"
  ///     }
  ///
  /// The check sees jobs as their runs would receive them: decoded by the queue's codecs and its hooks'
  /// `deserialize`. A completed or given-up job is no longer enqueued.
  ///
  /// - Parameters:
  ///   - type: the type of the job.
  ///   - count: the exact number of such jobs. Default: one or more.
  ///   - unique: the job's unique key. Default: any or none.
  ///   - priority: the job's priority. Default: any.
  ///   - due: the time from which it may run, relative to its enqueue. Default: any. A retry or a snooze
  ///     changes it.
  ///   - meta: metadata entries that the job must have, possibly among others.
  ///   - matches: returns true for the expected job. Default: always.
  /// - Returns: the matching jobs, in the order of their enqueues.
  /// - Throws: ``UnexpectedJobs``; ``/Qudo/PayloadDecodingError`` for a payload of this kind but of another
  ///   type; ``/Qudo/QudoError``, and the errors of `matches` and of the hooks.
  @discardableResult
  public func expectEnqueued<J: Job>(
    _ type: J.Type, count: Int? = nil, unique: String? = nil, priority: Int? = nil, due: Due? = nil,
    meta: [String: String] = [:],
    where matches: (J) throws -> Bool = { _ in true }
  ) async throws -> [EnqueuedJob<J>] {
    let expected = JobExpectation(unique: unique, priority: priority, due: due, meta: meta)
    let all = try await live(nil)
    var found: [EnqueuedJob<J>] = []
    var lines: [String] = []
    for stored in all {
      guard stored.kind == J.kind else {
        lines.append(stored.line("\(stored.payload)"))
        continue
      }
      let job = try decode(J.self, stored)
      lines.append(stored.line("\(job)"))
      if expected.fits(stored), try matches(job) { found.append(EnqueuedJob(job, stored)) }
    }
    try check(found.count, count, "\(J.kind)\(expected.words)", lines)
    return found
  }

  /// Like ``expectEnqueued(_:count:unique:priority:due:meta:where:)``, for a kind and a raw payload.
  ///
  /// - Parameters:
  ///   - kind: the job's kind.
  ///   - payload: the payload as its run would receive it. Default: any.
  ///   - count: the exact number of such jobs. Default: one or more.
  ///   - expected: further properties that must match. Default: none.
  /// - Returns: the matching jobs, in the order of their enqueues, with the payloads as their runs would
  ///   receive them.
  /// - Throws: ``UnexpectedJobs``; ``/Qudo/QudoError``, and the errors of the hooks.
  @discardableResult
  public func expectEnqueued(
    _ kind: Kind, payload: Payload? = nil, count: Int? = nil, _ expected: JobExpectation = JobExpectation()
  ) async throws -> [StoredJob] {
    let all = try await live(nil).map { $0.kind == kind ? try opened($0) : $0 }
    let found = all.filter { $0.kind == kind && $0.payload == payload ?? $0.payload && expected.fits($0) }
    let what = (payload.map { " and the payload \($0.shown)" } ?? "")
    try check(
      found.count, count, "\(kind)\(expected.words)\(what)",
      all.map { $0.line($0.kind == kind ? $0.payload.shown : "\($0.payload)") })
    return found
  }

  /// Checks that no job of these kinds is enqueued, or no job at all if none is given.
  ///
  /// - Throws: ``UnexpectedJobs``, which lists the enqueued jobs; ``/Qudo/QudoError``.
  public func expectNothingEnqueued(_ kinds: Kind...) async throws {
    let there = try await live(kinds.isEmpty ? nil : kinds)
    guard !there.isEmpty else { return }
    let of = kinds.isEmpty ? "" : " of \(kinds.map(\.name).joined(separator: ", "))"
    throw UnexpectedJobs("no job\(of) was expected", there: there.map { $0.line("\($0.payload)") })
  }

  /// Checks that no matching job of a type is enqueued.
  ///
  /// - Parameters:
  ///   - type: the type of the job.
  ///   - matches: returns true for jobs that must not be enqueued. Default: all.
  /// - Throws: the errors of ``expectEnqueued(_:count:unique:priority:due:meta:where:)``.
  public func expectNothingEnqueued<J: Job>(_ type: J.Type, where matches: (J) throws -> Bool = { _ in true })
    async throws
  {
    try await expectEnqueued(type, count: 0, where: matches)
  }

  private func check(_ found: Int, _ count: Int?, _ what: String, _ lines: [String]) throws {
    if let count {
      guard found != count else { return }
      throw UnexpectedJobs("\(count) jobs \(what) were expected and \(found) fit", there: lines)
    }
    guard found == 0 else { return }
    throw UnexpectedJobs("no job \(what) fits", there: lines)
  }
}

extension Payload {
  /// The payload as text if it is UTF-8, so that a failed test shows it.
  var shown: String { String(validating: bytes, as: UTF8.self).map { "\"\($0)\"" } ?? description }
}
